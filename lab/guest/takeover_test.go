package guest

import (
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/traffic"
)

// Streams outlive one director after the other: whoever forwards their packets
// owns them, and tells the others, which need never have heard of a director
// before. One that comes back is told too, and does not turn anything back.
func TestTakeover(t *testing.T) {
	const (
		port    = 8000
		streams = 60
	)
	c := newQuietCluster(t, 3, 2)
	serve(t, c.Topology, "tcp", port)
	virtual := c.AddService(t, director.Service{Method: director.NAT}, port)
	client := traffic.Client{Namespace: c.Client}
	c.start(t, 0)
	c.start(t, 1)
	c.synced(t)

	open, err := client.OpenMany(streams, time.Second, virtual)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { traffic.CloseAll(open) }()
	goOn := func(through string) {
		t.Helper()
		r := traffic.Exchange(open, crowdPatience)
		for _, err := range r.Errors {
			t.Errorf("through director %s: %v", through, err)
		}
		if len(r.Lost) > 0 {
			t.FailNow()
		}
		c.told(t)
	}
	goOn("A")

	c.failOver(t, 0, 1)
	c.start(t, 2)
	if n := len(c.Directors[2].Connections(t)); n != 0 {
		t.Fatalf("director C knows %d connections of a director that was gone before it came", n)
	}
	c.daemons[2].Synced(t)
	goOn("B")
	origins(t, c.Directors[2], "SYNC", open)

	c.failOver(t, 1, 2)
	goOn("C")

	// A comes back with what it knew when it went.
	c.Restore(t, c.Directors[0])
	c.start(t, 0)
	c.daemons[0].Synced(t)
	goOn("C, and A is back")
	more, err := client.OpenMany(streams/2, time.Second, virtual)
	if err != nil {
		t.Fatal(err)
	}
	open = append(open, more...)
	goOn("C, and A is told of what is new")
	origins(t, c.Directors[0], "SYNC", more)

	c.failOver(t, 2, 0)
	goOn("A again")
}

// origins checks where a director has connections from: LOCAL or SYNC.
func origins(t testing.TB, d *director.Director, want string, streams []*traffic.Stream) {
	t.Helper()
	known := make(map[string]director.Connection)
	for _, conn := range d.SyncConnections(t) {
		known[conn.Client.String()] = conn
	}
	for _, s := range streams {
		if conn := known[s.Local().String()]; conn.Origin != want {
			t.Errorf("%s: %v: %+v, want origin %s", d.Name, s.Local(), conn, want)
		}
	}
}
