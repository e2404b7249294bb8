package ipvsclass_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ssyncp/ssyncp/internal/cluster"
	"github.com/ssyncp/ssyncp/internal/ipvsclass"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice/ipvsdevicetest"
	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/chardev/chardevtest"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
)

// begin walks over objects of a kind.
func begin(t testing.TB, o *ipvsclass.Objects, kind cluster.Kind) peering.Walk {
	t.Helper()
	walk, err := o.Walk(kind)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(walk.Close)
	return walk
}

// read reads the next part of a walk, behind a header and up to limit bytes.
func read(t testing.TB, walk peering.Walk, limit int) (list []ipvs.Conn, more bool) {
	t.Helper()
	header := make([]byte, block.HeaderSize, limit)
	body, more, err := walk.Read(header, limit)
	if err != nil {
		t.Fatal(err)
	}
	if len(body) > limit {
		t.Fatalf("%d bytes, the limit is %d", len(body), limit)
	}
	if len(body) > block.HeaderSize {
		list = decode(t, body)
	}
	return list, more
}

// all reads a walk to its end.
func all(t testing.TB, walk peering.Walk, limit int) (list []ipvs.Conn) {
	t.Helper()
	for {
		part, more := read(t, walk, limit)
		if list = append(list, part...); !more {
			return list
		}
	}
}

func TestWalkGivesEachConnectionOnce(t *testing.T) {
	for _, n := range []int{0, 1, 2978, 2979, 10000} {
		for _, limit := range []int{block.HeaderSize + entry.MinRoom, room, 9000, block.MaxLength} {
			t.Run(fmt.Sprintf("%d in parts of %d bytes", n, limit), func(t *testing.T) {
				var module chardevtest.Module
				list := ipvsdevicetest.Conns(n)
				module.SetTable(list...)
				objects := openObjects(t, options(&module))
				got := all(t, begin(t, objects, cluster.All), limit)
				if !slices.Equal(ports(got), ports(list)) {
					t.Errorf("%d connections, want %d", len(got), n)
				}
			})
		}
	}
}

func TestWalkFillsItsPartsAcrossReadsOfTheDevice(t *testing.T) {
	var module chardevtest.Module
	module.SetTable(ipvsdevicetest.Conns(20000)...)
	objects := openObjects(t, options(&module))
	walk := begin(t, objects, cluster.All)
	for more := true; more; {
		var body []byte
		var err error
		if body, more, err = walk.Read(nil, 9000); err != nil {
			t.Fatal(err)
		}
		if more && len(body) < 9000-entry.MaxEntrySize {
			t.Errorf("a part of %d bytes, and more follows", len(body))
		}
	}
	for range 2 {
		if body, more, err := walk.Read(nil, 9000); len(body) != 0 || more || err != nil {
			t.Errorf("behind the end: %d bytes, %v, %v", len(body), more, err)
		}
	}
}

func TestWalksOfAKind(t *testing.T) {
	var module chardevtest.Module
	list := ipvsdevicetest.Conns(120)
	for i := 100; i < 120; i++ { // copies of a peer's
		list[i].Flags, list[i].Marks = ipvs.FlagSync, 0
	}
	module.SetTable(list...)
	objects := openObjects(t, options(&module))
	walk := func(kind cluster.Kind) []uint16 {
		t.Helper()
		return ports(all(t, begin(t, objects, kind), room))
	}
	if got := walk(cluster.All); !slices.Equal(got, ports(list)) {
		t.Errorf("all: %v", got)
	}
	if got := walk(cluster.Owned); !slices.Equal(got, ports(list[:100])) {
		t.Errorf("owned: %v", got)
	}
	if got := walk(cluster.Due); len(got) != 0 {
		t.Errorf("nothing is due: %v", got)
	}
	module.SetDue(list[98:103]...)
	if got := walk(cluster.Due); !slices.Equal(got, ports(list[98:100])) {
		t.Errorf("due: %v", got)
	}
	if got := walk(cluster.Due); len(got) != 0 {
		t.Errorf("told again: %v", got)
	}
}

func TestAgesOfAWalkGoOnBetweenItsParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var module chardevtest.Module
		list := ipvsdevicetest.Conns(6000) // two batches, and some more
		for i := range list {
			list[i].Age = time.Duration(i%100) * time.Millisecond
		}
		module.SetTable(list...)
		objects := openObjects(t, options(&module))
		walk := begin(t, objects, cluster.All)
		asked := make(map[uint16]time.Duration)
		batches := map[time.Duration]int{}
		start := time.Now()
		for more := true; more; {
			var part []ipvs.Conn
			part, more = read(t, walk, room)
			for _, c := range part {
				asked[c.Client.Port()] = time.Since(start)
				held := c.Age - list[c.Client.Port()-1024].Age
				batches[time.Since(start)-held]++ // when it was read
			}
			time.Sleep(300 * time.Millisecond)
		}
		if len(asked) != len(list) {
			t.Fatalf("%d connections, want %d", len(asked), len(list))
		}
		// Every age says that its connection was read half a second before
		// its batch: whatever time a message takes, it must not turn back
		// what news says that was read later and told before.
		if len(batches) != 3 || batches[-500*time.Millisecond] != 2978 {
			t.Errorf("connections by the time at which they were read: %v", batches)
		}
	})
}

// failing is a device that fails from a call on.
type failing struct {
	ipvsdevice.Device
	calls int // that are good
}

var errBroken = errors.New("broken")

func (d *failing) ReadBatch(b *chardev.Batch) (bool, error) {
	if d.calls--; d.calls < 0 {
		return false, errBroken
	}
	return d.Device.ReadBatch(b)
}

func (d *failing) Write(records []byte) (int, error) {
	if d.calls--; d.calls < 0 {
		return 0, errBroken
	}
	return d.Device.Write(records)
}

func failsAfter(calls int) func(ipvsdevice.Device) ipvsdevice.Device {
	return func(d ipvsdevice.Device) ipvsdevice.Device { return &failing{d, calls} }
}

func TestWalkFailsWithItsDevice(t *testing.T) {
	var module chardevtest.Module
	module.SetTable(ipvsdevicetest.Conns(5000)...)
	objects := openObjects(t, options(&module, failsAfter(1)))
	walk := begin(t, objects, cluster.All)
	var err error
	for more := true; more && err == nil; {
		_, more, err = walk.Read(nil, room)
	}
	if !errors.Is(err, errBroken) {
		t.Errorf("err = %v", err)
	}
}

func TestWalksNeedAModuleWithSnapshots(t *testing.T) {
	module := chardevtest.Module{Missing: chardev.MissingConnSeqNext}
	objects := openObjects(t, options(&module))
	if _, err := objects.Walk(cluster.Owned); !errors.Is(err, chardev.ErrUnsupported) {
		t.Errorf("err = %v", err)
	}
}

func TestWalkNeedsRoom(t *testing.T) {
	var module chardevtest.Module
	module.SetTable(ipvsdevicetest.Conns(1)...)
	objects := openObjects(t, options(&module))
	walk := begin(t, objects, cluster.All)
	if _, _, err := walk.Read(nil, entry.MinRoom-1); !errors.Is(err, entry.ErrRoom) {
		t.Errorf("err = %v", err)
	}
	if list, _ := read(t, walk, room); len(list) != 1 {
		t.Errorf("%d connections behind that", len(list))
	}
}

func TestWalksAtOnceDoNotMix(t *testing.T) {
	var module chardevtest.Module
	list := ipvsdevicetest.Conns(7000)
	module.SetTable(list...)
	objects := openObjects(t, options(&module))
	early := begin(t, objects, cluster.All)
	read(t, early, room)
	early.Close() // in the middle: what it has left is not another's
	a, b := begin(t, objects, cluster.All), begin(t, objects, cluster.All)
	var got [2][]ipvs.Conn
	for moreA, moreB := true, true; moreA || moreB; {
		var part []ipvs.Conn
		if moreA {
			part, moreA = read(t, a, room)
			got[0] = append(got[0], part...)
		}
		if moreB {
			part, moreB = read(t, b, 5000)
			got[1] = append(got[1], part...)
		}
	}
	for i := range got {
		if !slices.Equal(ports(got[i]), ports(list)) {
			t.Errorf("walk %d: %d connections", i, len(got[i]))
		}
	}
}
