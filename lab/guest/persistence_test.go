package guest

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/traffic"
)

// Clients of a persistent service stay with their real server when they come
// back through another director, and for as long as the service says.
func TestPersistence(t *testing.T) {
	const port = 8000
	c := newCluster(t, 2, 2)
	serve(t, c.Topology, "tcp", port)
	virtual := c.AddService(t, director.Service{Method: director.NAT, Persistence: persistence}, port)
	a, b := c.Directors[0], c.Directors[1]

	serverOf := make(map[netip.Addr]string)
	visit := func(source netip.Addr) *traffic.Stream {
		return open(t, traffic.Client{Namespace: c.Client, Source: source}, virtual)
	}
	source := netip.MustParseAddr("10.4.0.1")
	for range 11 { // odd: a scheduler that merely went on would change sides
		serverOf[source] = visit(source).Server
		source = source.Next()
	}
	c.told(t)

	onA, onB := templates(t, a), templates(t, b)
	if len(onA) != len(serverOf) {
		t.Errorf("director A has %d templates of %d clients", len(onA), len(serverOf))
	}
	for client, template := range onA {
		copied, has := onB[client]
		if !has {
			t.Errorf("director B has no template of %v", client)
			continue
		}
		if apart := (template.Expires - copied.Expires).Abs(); apart > 2*time.Second {
			t.Errorf("template of %v: %v left on A, %v on B", client, template.Expires, copied.Expires)
		}
		if copied.Destination != template.Destination {
			t.Errorf("template of %v: to %v on A, to %v on B", client, template.Destination, copied.Destination)
		}
	}

	c.failOver(t, 0, 1)
	for source, server := range serverOf {
		for range 2 {
			if s := visit(source); s.Server != server {
				t.Errorf("%v was with %s and comes to %s", source, server, s.Server)
			}
		}
	}
	for client, template := range templates(t, b) {
		if left := template.Expires; left < persistence-10*time.Second || left > persistence {
			t.Errorf("template of %v, used on B just now: %v left, want %v", client, left, persistence)
		}
	}
}

// templates returns a director's templates by client.
func templates(t testing.TB, d *director.Director) map[netip.Addr]director.Connection {
	t.Helper()
	found := make(map[netip.Addr]director.Connection)
	for _, c := range d.Connections(t) {
		if c.Client.Port() == 0 {
			found[c.Client.Addr()] = c
		}
	}
	return found
}
