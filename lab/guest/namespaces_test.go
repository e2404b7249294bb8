package guest

import (
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// Two directors in two namespaces of one kernel are strangers to the module.
func TestNamespaces(t *testing.T) {
	const (
		port    = 8000
		streams = 20
	)
	c := newQuietCluster(t, 2, 2)
	a, b := c.Directors[0], c.Directors[1]
	serve(t, c.Topology, "tcp", port)
	virtual := c.AddService(t, director.Service{Method: director.NAT}, port)
	client := traffic.Client{Namespace: c.Client}
	deviceA, deviceB := capture(t, a), capture(t, b)

	through := func(d *director.Director) map[string]bool {
		t.Helper()
		c.Activate(t, d)
		open, err := client.OpenMany(streams, 0, virtual)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { traffic.CloseAll(open) })
		clients := make(map[string]bool)
		for _, s := range open {
			clients[s.Local().String()] = true
		}
		return clients
	}
	only := func(what string, found []ipvs.Conn, want map[string]bool) {
		t.Helper()
		if len(found) != len(want) {
			t.Errorf("%s: %d connections, want %d", what, len(found), len(want))
		}
		for _, conn := range found {
			if !want[conn.Client.String()] {
				t.Errorf("%s: %v", what, &conn)
			}
		}
	}

	// B first, or A would forward what its own servers answer to B's clients.
	viaB := through(b)
	only("captured on A", readNews(t, deviceA), nil)
	only("captured on B", readNews(t, deviceB), viaB)
	viaA := through(a)
	only("captured on A", readNews(t, deviceA), viaA)
	only("captured on B", readNews(t, deviceB), nil)
	only("snapshot of A", snapshot(t, a, false), viaA)
	only("snapshot of B", snapshot(t, b, false), viaB)

	// What is injected, and counted, stays where it was.
	var copied ipvs.Conn
	for _, conn := range snapshot(t, a, false) {
		copied = conn
	}
	viaB[copied.Client.String()] = true
	injectOne(t, deviceB, copied)
	only("snapshot of A", snapshot(t, a, false), viaA)
	only("snapshot of B", snapshot(t, b, false), viaB)
	only("captured on A", readNews(t, deviceA), nil)
	only("captured on B", readNews(t, deviceB), nil)
	for d, want := range map[*director.Director]map[chardev.Counter]uint64{
		a: {chardev.CounterReadRecords: streams, chardev.CounterCreated: 0},
		b: {chardev.CounterReadRecords: streams, chardev.CounterCreated: 1},
	} {
		for which, n := range want {
			if got := counter(t, d, which); got != n {
				t.Errorf("%s: %v %d, want %d", d.Name, which, got, n)
			}
		}
	}
}

// Daemons that cannot hear each other copy nothing, although they run in one
// kernel on one device.
func TestNamespacesWithoutSyncLink(t *testing.T) {
	const port = 8000
	c := newCluster(t, 2, 2)
	serve(t, c.Topology, "tcp", port)
	virtual := c.AddService(t, director.Service{Method: director.NAT}, port)
	c.CutSync(t, c.Directors[0])
	open(t, traffic.Client{Namespace: c.Client}, virtual)
	time.Sleep(2 * twoPeriods)
	if n := len(c.Directors[0].Connections(t)); n != 1 {
		t.Errorf("director A has %d connections, want 1", n)
	}
	if found := c.Directors[1].Connections(t); len(found) != 0 {
		t.Errorf("director B has %+v", found)
	}
}
