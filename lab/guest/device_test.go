package guest

import (
	"testing"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// What the tests of the device itself share: no daemon runs in them.

// capture attaches a reader.
func capture(t testing.TB, d *director.Director) *chardev.Device {
	t.Helper()
	return d.Attach(t, chardev.AttachOptions{Mode: chardev.ModeCapture})
}

// readNews reads a capture device until it is empty; an event fails the test.
func readNews(t testing.TB, device *chardev.Device) []ipvs.Conn {
	t.Helper()
	news, events := readAll(t, device)
	if events != 0 {
		t.Errorf("events: %v", events)
	}
	return news
}

// readAll reads a device until it is empty.
func readAll(t testing.TB, device *chardev.Device) (news []ipvs.Conn, events chardev.Events) {
	t.Helper()
	batch := chardev.NewBatch(chardev.DefaultBatchSize)
	var c ipvs.Conn
	for {
		some, err := device.ReadBatch(batch)
		if err != nil {
			t.Fatal(err)
		}
		if !some {
			return news, events
		}
		for batch.Next(&c) {
			news = append(news, c.Clone())
		}
		if err := batch.Err(); err != nil {
			t.Fatal(err)
		}
		events |= batch.Events()
	}
}

// inject writes connections in one batch and returns why each was refused.
func inject(t testing.TB, device *chardev.Device, conns ...ipvs.Conn) map[int]chardev.Reason {
	t.Helper()
	var records []byte
	for i := range conns {
		var err error
		if records, err = chardev.AppendRecord(records, &conns[i]); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := device.Write(records); err != nil || n != len(records) {
		t.Fatalf("wrote %d bytes of %d: %v", n, len(records), err)
	}
	list, err := device.Refusals(nil)
	if err != nil {
		t.Fatal(err)
	}
	refused := make(map[int]chardev.Reason)
	for _, r := range list {
		refused[int(r.Index)] = r.Reason
	}
	return refused
}

// injectOne is inject where nothing may be refused.
func injectOne(t testing.TB, device *chardev.Device, c ipvs.Conn) {
	t.Helper()
	for _, reason := range inject(t, device, c) {
		t.Fatalf("%v: refused: %v", &c, reason)
	}
}

// snapshot reads a director's table.
func snapshot(t testing.TB, d *director.Director, owned bool) []ipvs.Conn {
	t.Helper()
	device := d.Attach(t, chardev.AttachOptions{Mode: chardev.ModeSnapshot, Owned: owned})
	defer device.Close()
	var found []ipvs.Conn
	for c, err := range chardev.Snapshot(t.Context(), device, chardev.NewBatch(chardev.DefaultBatchSize)) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, c.Clone())
	}
	return found
}

// known returns the connection of a key in a director's table.
func known(t testing.TB, d *director.Director, key ipvs.Key) (ipvs.Conn, bool) {
	t.Helper()
	for _, c := range snapshot(t, d, false) {
		if c.Key() == key {
			return c, true
		}
	}
	return ipvs.Conn{}, false
}

// counter returns one of the module's counters for a director.
func counter(t testing.TB, d *director.Director, c chardev.Counter) uint64 {
	t.Helper()
	stats := d.Stats(t)
	return stats.Counters[c]
}
