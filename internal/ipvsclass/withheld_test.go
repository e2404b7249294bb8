package ipvsclass_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ssyncp/ssyncp/internal/ipvsclass"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice/ipvsdevicetest"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/chardev/chardevtest"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// A connection that had packets here just before is not to be changed by a peer;
// what the peer said may be true as soon as there are no more.
func TestWhatIsInUseHereIsTriedOnceMore(t *testing.T) {
	for _, tt := range []struct {
		name  string
		until time.Duration // it is in use here
		want  []uint16      // the ports that the kernel takes behind that
		tries int           // of one of them
	}{
		{"not any more", 3 * time.Second, []uint16{1025, 1027}, 2},
		{"still", time.Minute, nil, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				tries := 0
				module := chardevtest.Module{Refuse: func(c *ipvs.Conn) (chardev.Reason, bool) {
					switch c.Client.Port() {
					case 1025:
						tries++
						fallthrough
					case 1027:
						return chardev.RefusedLocalHold, time.Since(began) < tt.until
					case 1026:
						return chardev.RefusedStale, true
					}
					return 0, false
				}}
				o := options(&module)
				objects := openObjects(t, o)
				list := ipvsdevicetest.Conns(5)
				for i := range list {
					list[i].Age = time.Second
				}
				if err := objects.Apply(advertise(t, list, 0), 0); err != nil {
					t.Fatal(err)
				}
				flush := func() []ipvs.Conn {
					t.Helper()
					before := len(module.Written())
					if err := objects.Flush(); err != nil {
						t.Fatal(err)
					}
					return module.Written()[before:]
				}
				first := flush()
				if slices.Contains(ports(first), 1025) || len(first) != 2 {
					t.Errorf("at once: %v", ports(first))
				}
				time.Sleep(3400 * time.Millisecond)
				if early := flush(); len(early) != 0 {
					t.Errorf("behind 3.4 s: %v", ports(early))
				}
				time.Sleep(200 * time.Millisecond)
				then := flush()
				if !slices.Equal(ports(then), tt.want) {
					t.Errorf("behind 3.6 s: %v, want %v", ports(then), tt.want)
				}
				for _, c := range then {
					if want := 5100 * time.Millisecond; c.Age != want { // a second before, and half a second for what messages differ in
						t.Errorf("age %v, want %v", c.Age, want)
					}
				}
				time.Sleep(time.Minute)
				if late := flush(); len(late) != 0 || tries != tt.tries {
					t.Errorf("behind a minute: %v, %d tries, want %d", ports(late), tries, tt.tries)
				}
				if n := o.Counters.Counts.Value(ipvsclass.Retried); n != 2 {
					t.Errorf("%d counted", n)
				}
			})
		})
	}
}

// There is no room for a table that all is in use: what has none is counted.
func TestRoomForWhatIsInUseHereEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		module := chardevtest.Module{Refuse: func(*ipvs.Conn) (chardev.Reason, bool) { return chardev.RefusedLocalHold, true }}
		o := options(&module)
		objects := openObjects(t, o)
		list := ipvsdevicetest.Conns(20000)
		for part := range slices.Chunk(list, 500) {
			if err := objects.Apply(advertise(t, part, 0), 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := objects.Flush(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if err := objects.Flush(); err != nil {
			t.Fatal(err)
		}
		tried, without := o.Counters.Counts.Value(ipvsclass.Retried), o.Counters.Refused.Value(ipvsclass.RefusedWithheld)
		if tried < 10000 || tried+without != uint64(len(list)) {
			t.Errorf("%d of %d were tried again, and %d had no room", tried, len(list), without)
		}
	})
}
