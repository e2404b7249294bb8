package guest

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// Under a SYN flood IPVS drops half-open connections at random, where
// net.ipv4.vs.drop_entry says so. Director B has copies of them: they do not
// come back to A, and what is established goes on, on A and behind a failover.
func TestDropEntry(t *testing.T) {
	const (
		port    = 8000
		streams = 20
		flood   = 2000
	)
	c := newCluster(t, 2, 2)
	a, b := c.Directors[0], c.Directors[1]
	serve(t, c.Topology, "tcp", port)
	virtual := c.AddService(t, director.Service{Method: director.NAT}, port)
	open, err := traffic.Client{Namespace: c.Client}.OpenMany(streams, 0, virtual)
	if err != nil {
		t.Fatal(err)
	}
	defer traffic.CloseAll(open)
	mirrored(t, a, b, open...)

	const always = "3"
	a.Set(t, "drop_entry", always)
	if err := traffic.Flood(c.Client, topology.Flood, virtual, flood, 2000); err != nil {
		t.Fatal(err)
	}
	// In steps: what was on B and is no longer on A was dropped there.
	halfOpen := func(d *director.Director) map[netip.AddrPort]ipvs.Conn {
		found := connections(t, d)
		for client := range found {
			if !topology.Flood.Contains(client.Addr()) {
				delete(found, client)
			}
		}
		return found
	}
	dropped := make(map[netip.AddrPort]bool)
	eventually(t, 30*time.Second, func() bool {
		onA, onB := halfOpen(a), halfOpen(b)
		for client := range onB {
			if _, has := onA[client]; !has && onB[client].Age > 2*time.Second {
				dropped[client] = true
			}
		}
		return len(dropped) > flood/50
	}, "A dropped next to nothing, or B had no copies of it")
	t.Logf("A dropped %d half-open connections that B has", len(dropped))

	// All that B could say is said again.
	c.daemons[1].Stop(t)
	c.start(t, 1)
	c.told(t)
	back := 0
	for client := range halfOpen(a) {
		if dropped[client] {
			back++
		}
	}
	if back != 0 {
		t.Errorf("%d of them came back to A", back)
	}
	goOn := func(through *director.Director) {
		t.Helper()
		for _, err := range traffic.Exchange(open, crowdPatience).Errors {
			t.Errorf("%s: %v", through.Name, err)
		}
		exchange(t, visit(t, c, virtual))
	}
	goOn(a)

	// The copies are under the same pressure, and go the same way.
	c.failOver(t, 0, 1)
	b.Set(t, "drop_entry", always)
	before := len(halfOpen(b))
	goOn(b)
	eventually(t, 30*time.Second, func() bool { return len(halfOpen(b)) < before-before/50 },
		"B drops nothing of what it has copies of")
	goOn(b)
}
