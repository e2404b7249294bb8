package guest

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// A reader that is too slow is told once that it lost something, and finds all
// of it in a snapshot.
func TestOverrun(t *testing.T) {
	director.LoadModule(t, "queue_len=64")
	lab := topology.New(t, 1, 1)
	a := lab.Directors[0]
	service := lab.AddService(t, director.Service{Method: director.NAT}, 80)
	serve(t, lab, "tcp", 80)
	client := traffic.Client{Namespace: lab.Client}
	device := capture(t, a)

	const streams = 200
	opened, err := client.OpenMany(streams, 0, service)
	if err != nil {
		t.Fatal(err)
	}
	defer traffic.CloseAll(opened)

	told, events := readAll(t, device)
	if events != chardev.EventLost {
		t.Fatalf("events %v, want lost", events)
	}
	if len(told) == 0 || len(told) >= streams {
		t.Errorf("%d told of %d, with a queue of 64", len(told), streams)
	}
	stats := a.Stats(t)
	if lost := stats.Counters[chardev.CounterLostEvents]; lost != 1 {
		t.Errorf("%d lost events, want one", lost)
	}
	if stats.Counters[chardev.CounterDroppedFull] == 0 {
		t.Error("no drop is counted")
	}
	// What was dropped is news again with its next packet, snapshot or not.
	late := make(map[netip.AddrPort]bool)
	for _, c := range told {
		late[c.Client] = true
	}
	for _, s := range opened {
		exchange(t, s)
		for _, c := range readNews(t, device) {
			late[c.Client] = true
		}
	}
	for _, s := range opened {
		if !late[s.Local()] {
			t.Errorf("%v was never told", s.Local())
		}
	}
	owned := make(map[netip.AddrPort]bool)
	for _, c := range snapshot(t, a, true) {
		owned[c.Client] = true
	}
	for _, s := range opened {
		if !owned[s.Local()] {
			t.Errorf("%v is not in the snapshot", s.Local())
		}
	}
}

// Half of the queue is all that a SYN flood gets, and it raises no alarm: an
// established connection finds room, and is told at the next read.
func TestOverrunByAFlood(t *testing.T) {
	director.LoadModule(t, "queue_len=256")
	lab := topology.New(t, 1, 1)
	a := lab.Directors[0]
	service := lab.AddService(t, director.Service{Method: director.NAT}, 80)
	serve(t, lab, "tcp", 80)
	device := capture(t, a)

	if err := traffic.Flood(lab.Client, topology.Flood, service, 2000, 0); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() bool {
		return counter(t, a, chardev.CounterDroppedNew) >= 2000-256
	}, "the flood is not counted as dropped_new")
	stream := open(t, traffic.Client{Namespace: lab.Client}, service)

	news, events := readAll(t, device)
	if events != 0 {
		t.Errorf("events %v, want none", events)
	}
	established := 0
	for _, c := range news {
		if c.Client == stream.Local() && c.State == ipvs.TCPEstablished {
			established++
		}
	}
	if established != 1 {
		t.Errorf("the real stream is told %d times among %d", established, len(news))
	}
	if len(news) > 256/2+20 {
		t.Errorf("%d told, more than half of the queue", len(news))
	}
	if full := counter(t, a, chardev.CounterDroppedFull); full != 0 {
		t.Errorf("%d dropped as if they were established", full)
	}
}
