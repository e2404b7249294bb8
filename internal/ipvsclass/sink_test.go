package ipvsclass_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ssyncp/ssyncp/internal/ipvsclass"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice/ipvsdevicetest"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/chardev/chardevtest"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/block/blocktest"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
)

// advertise returns the blocks of a body with connections.
func advertise(t testing.TB, list []ipvs.Conn, held time.Duration) block.Blocks {
	t.Helper()
	var e entry.Encoder
	if err := e.Reset(make([]byte, block.HeaderSize), block.MaxLength); err != nil {
		t.Fatal(err)
	}
	for i := range list {
		if err := e.Append(&list[i]); err != nil {
			t.Fatal(err)
		}
	}
	return blocktest.Sent(t, e.Finish(), 1, held)
}

// broken returns an ADVERT that claims more entries than it has, behind one
// that is good.
func broken(t testing.TB) block.Blocks {
	t.Helper()
	var e entry.Encoder
	if err := e.Reset(make([]byte, block.HeaderSize), block.MaxLength); err != nil {
		t.Fatal(err)
	}
	if err := e.Append(&ipvsdevicetest.Conns(1)[0]); err != nil {
		t.Fatal(err)
	}
	body := e.Finish()
	entries := body[block.HeaderSize+block.HeadSize+block.AdvertHeaderSize:]
	body = append(body, blocktest.Advert(t, block.ClassIPVS, 2, entries)...)
	return blocktest.Sent(t, body, 1, 0)
}

func TestManyFramesAreOneWrite(t *testing.T) {
	var module chardevtest.Module
	o := options(&module)
	objects := openObjects(t, o)
	list := ipvsdevicetest.Conns(1000)
	for part := range slices.Chunk(list, 50) {
		if err := objects.Apply(advertise(t, part, 0), 0); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(module.Written()); n != 0 {
		t.Errorf("%d written before Flush", n)
	}
	if err := objects.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := ports(module.Written()); !slices.Equal(got, ports(list)) {
		t.Errorf("%d connections written of %d", len(got), len(list))
	}
	if n := o.Counters.Counts.Value(ipvsclass.Writes); n != 1 {
		t.Errorf("%d writes", n)
	}
	if err := objects.Flush(); err != nil || o.Counters.Counts.Value(ipvsclass.Writes) != 1 {
		t.Errorf("nothing is written again: %v", err)
	}
}

func TestNoMoreIsWrittenThanTheDeviceTakes(t *testing.T) {
	var module chardevtest.Module
	o := options(&module)
	objects := openObjects(t, o)
	list := ipvsdevicetest.Conns(3200) // 88 bytes each: over 256 KiB
	if err := objects.Apply(advertise(t, list, 0), 0); err != nil {
		t.Fatal(err)
	}
	if err := objects.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := ports(module.Written()); !slices.Equal(got, ports(list)) {
		t.Errorf("%d connections written of %d", len(got), len(list))
	}
	if n := o.Counters.Counts.Value(ipvsclass.Writes); n != 2 {
		t.Errorf("%d writes", n)
	}
}

func TestAgesHaveTheTimeThatEntriesWereHeld(t *testing.T) {
	for _, tt := range []struct {
		name         string
		sender, held time.Duration
		kept         time.Duration
		want         time.Duration // with an age of a second
	}{
		{"at once", 0, 0, 0, time.Second},
		{"by the sender", 200 * time.Millisecond, 0, 0, 1200 * time.Millisecond},
		{"on its way", 200 * time.Millisecond, 300 * time.Millisecond, 0, 1300 * time.Millisecond},
		{"by the sender, for longer than on its way", 200 * time.Millisecond, 100 * time.Millisecond, 0, 1200 * time.Millisecond},
		{"here", 0, 0, 40 * time.Millisecond, 1040 * time.Millisecond},
		{"everywhere", 200 * time.Millisecond, 300 * time.Millisecond, 40 * time.Millisecond, 1340 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var module chardevtest.Module
				objects := openObjects(t, options(&module))
				list := ipvsdevicetest.Conns(2)
				list[0].Age, list[1].Age = time.Second, time.Second
				if err := objects.Apply(advertise(t, list[:1], tt.sender), tt.held); err != nil {
					t.Fatal(err)
				}
				time.Sleep(tt.kept)
				// What comes later is not older for what came before.
				if err := objects.Apply(advertise(t, list[1:], 0), 0); err != nil {
					t.Fatal(err)
				}
				if err := objects.Flush(); err != nil {
					t.Fatal(err)
				}
				got := module.Written()
				if len(got) != 2 || got[0].Age != tt.want || got[1].Age != time.Second {
					t.Errorf("written %v, %v; want ages of %v and 1s", got[0].Age, got[1].Age, tt.want)
				}
			})
		})
	}
}

func TestNothingOfABrokenFrameIsApplied(t *testing.T) {
	var module chardevtest.Module
	o := options(&module)
	objects := openObjects(t, o)
	if err := objects.Apply(broken(t), 0); !errors.Is(err, entry.ErrMalformed) {
		t.Errorf("err = %v", err)
	}
	if err := objects.Flush(); err != nil || len(module.Written()) != 0 {
		t.Errorf("written %v, %v", module.Written(), err)
	}
	if n := o.Counters.Refused.Value(ipvsclass.RefusedCount); n != 1 {
		t.Errorf("counted %d times", n)
	}
}

func TestMissingIsWhatWaitsForAService(t *testing.T) {
	for _, tt := range []struct {
		reason chardev.Reason
		want   int
	}{
		{chardev.RefusedNoDest, 5},
		{chardev.RefusedPE, 5}, // loaded by the service
		{chardev.RefusedStale, 0},
		{chardev.RefusedTableFull, 0},
		{chardev.RefusedProtocol, 0},
	} {
		t.Run(tt.reason.String(), func(t *testing.T) {
			module := chardevtest.Module{Refuse: func(c *ipvs.Conn) (chardev.Reason, bool) {
				return tt.reason, c.Client.Port()%2 == 0
			}}
			o := options(&module)
			objects := openObjects(t, o)
			if err := objects.Apply(advertise(t, ipvsdevicetest.Conns(10), 0), 0); err != nil {
				t.Fatal(err)
			}
			if n := objects.Missing(); n != 0 {
				t.Errorf("%d missing before Flush", n)
			}
			if err := objects.Flush(); err != nil {
				t.Fatal(err)
			}
			if n := len(module.Written()); n != 5 {
				t.Errorf("%d taken, want 5", n)
			}
			if n := objects.Missing(); n != tt.want {
				t.Errorf("%d missing, want %d", n, tt.want)
			}
			if n := objects.Missing(); n != 0 {
				t.Errorf("%d missing since", n)
			}
			if n := o.Counters.Refused.Value(ipvsclass.RefusedMissing); n != uint64(tt.want) {
				t.Errorf("%d counted", n)
			}
		})
	}
}

func TestMissingAddsUpOverWrites(t *testing.T) {
	module := chardevtest.Module{Refuse: func(*ipvs.Conn) (chardev.Reason, bool) { return chardev.RefusedNoDest, true }}
	objects := openObjects(t, options(&module))
	for range 2 {
		if err := objects.Apply(advertise(t, ipvsdevicetest.Conns(3200), 0), 0); err != nil {
			t.Fatal(err)
		}
		if err := objects.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if n := objects.Missing(); n != 6400 {
		t.Errorf("%d missing, want 6400", n)
	}
}

// particular is a device that takes records of some connections for malformed.
type particular struct {
	ipvsdevice.Device
	port uint16 // of such clients: multiples
}

func (d *particular) Write(records []byte) (int, error) {
	records = slices.Clone(records)
	batch := chardev.NewBatch(len(records))
	batch.Load(records)
	var c ipvs.Conn
	for at := 0; batch.Next(&c); at += chardev.RecordSize(records[at:]) {
		if c.Client.Port()%d.port == 0 {
			records[at+2] = 99 // the kind
		}
	}
	return d.Device.Write(records)
}

func TestWhatIsBehindAMalformedRecordIsNotLost(t *testing.T) {
	var module chardevtest.Module
	o := options(&module, func(d ipvsdevice.Device) ipvsdevice.Device { return &particular{d, 4} })
	objects := openObjects(t, o)
	list := ipvsdevicetest.Conns(40) // from 1024 on: also the first one
	if err := objects.Apply(advertise(t, list, 0), 0); err != nil {
		t.Fatal(err)
	}
	if err := objects.Flush(); err != nil {
		t.Fatal(err)
	}
	good := slices.DeleteFunc(list, func(c ipvs.Conn) bool { return c.Client.Port()%4 == 0 })
	if got := ports(module.Written()); !slices.Equal(got, ports(good)) {
		t.Errorf("written %v", got)
	}
	if n := o.Counters.Refused.Value(ipvsclass.RefusedMalformed); n != 10 {
		t.Errorf("counted %d times", n)
	}
}

func TestFlushFailsWithTheDevice(t *testing.T) {
	for _, tt := range []struct {
		name    string
		good    int // writes
		written int
	}{
		{"at once", 0, 0},
		{"at the second write", 1, 2975}, // as many as fit a write with room for the largest record
	} {
		t.Run(tt.name, func(t *testing.T) {
			var module chardevtest.Module
			o := options(&module, failsAfter(tt.good))
			objects := openObjects(t, o)
			if err := objects.Apply(advertise(t, ipvsdevicetest.Conns(3200), 0), 0); err != nil {
				t.Errorf("the frame is not broken: %v", err)
			}
			if err := objects.Flush(); !errors.Is(err, errBroken) {
				t.Errorf("err = %v", err)
			}
			if n := len(module.Written()); n != tt.written {
				t.Errorf("%d written, want %d", n, tt.written)
			}
			if n := o.Counters.Refused.Value(ipvsclass.RefusedDevice); n != uint64(3200-tt.written) {
				t.Errorf("%d counted", n)
			}
			if err := objects.Flush(); err != nil {
				t.Errorf("said again: %v", err)
			}
		})
	}
}
