package guest

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// A flood of half-open connections does not keep director B from knowing every
// stream two periods after it was established.
func TestSYNFlood(t *testing.T) {
	const (
		port    = 8000
		streams = 1000
		syns    = 100000
		rate    = 5000 // a second
		over    = syns * time.Second / rate
	)
	c := newCluster(t, 2, 2)
	serve(t, c.Topology, "tcp", port)
	for _, server := range c.Servers {
		// Or the flood fills their queues, which this is no test of.
		if err := server.IP(fmt.Sprintf("route add blackhole %v\n", topology.Flood)); err != nil {
			t.Fatal(err)
		}
	}
	virtual := c.AddService(t, director.Service{Method: director.NAT}, port)
	a, b := c.Directors[0], c.Directors[1]

	flooded := make(chan error)
	began := time.Now()
	go func() { flooded <- traffic.Flood(c.Client, topology.Flood, virtual, syns, rate) }()
	open, err := traffic.Client{Namespace: c.Client, Patience: time.Minute}.OpenMany(streams, over, virtual)
	defer traffic.CloseAll(open)
	if err != nil {
		t.Fatal(err)
	}
	c.told(t)
	// From here on B learns nothing any more, however long we look at it.
	c.daemons[1].Kill(t)
	opened := time.Since(began)
	if err := <-flooded; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d streams opened in %v, %d SYN sent in %v", streams, opened, syns, time.Since(began))

	known := make(map[netip.AddrPort]ipvs.State)
	for _, conn := range snapshot(t, b, false) {
		known[conn.Client] = conn.State
	}
	missing, early := 0, 0
	for _, s := range open {
		switch state, has := known[s.Local()]; {
		case !has:
			missing++
		case state != ipvs.TCPEstablished:
			early++
		}
	}
	if missing > 0 || early > 0 {
		t.Errorf("of %d streams B does not know %d, and %d not as established", streams, missing, early)
	}
	stats := a.Stats(t)
	for _, c := range []chardev.Counter{chardev.CounterLostEvents, chardev.CounterDroppedFull} {
		if n := stats.Counters[c]; n != 0 {
			t.Errorf("director A: %v %d, want 0", c, n)
		}
	}
	t.Logf("director A: %d queued, %d read, %d new ones dropped",
		stats.Counters[chardev.CounterQueued], stats.Counters[chardev.CounterReadRecords],
		stats.Counters[chardev.CounterDroppedNew])
}
