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
)

// Two directors forward at once, each what half of the clients send. Each has
// copies of the other's connections and never tells of them itself: what is
// heard of a connection comes from its owner alone.
func TestActiveActive(t *testing.T) {
	const (
		port    = 8000
		streams = 60 // of each half
	)
	c := newQuietCluster(t, 3, 2)
	wire := tap(t, c.Directors[2])
	c.start(t, 0)
	c.start(t, 1)
	c.synced(t)
	serve(t, c.Topology, "tcp", port)
	virtual := c.AddService(t, director.Service{Method: director.DR}, port)

	// Clients of each half have a director of their own.
	halves := []netip.Addr{netip.MustParseAddr("10.4.0.1"), netip.MustParseAddr("10.4.128.1")}
	for i, source := range halves {
		err := c.Client.IP(fmt.Sprintf("rule add from %v lookup %d\nroute add %v via %v table %[2]d\n",
			source, 101+i, topology.Virtual, c.Directors[i].Front))
		if err != nil {
			t.Fatal(err)
		}
	}
	of := make([][]*traffic.Stream, len(halves))
	for i, source := range halves {
		open, err := traffic.Client{Namespace: c.Client, Source: source}.OpenMany(streams, time.Second, virtual)
		if err != nil {
			t.Fatal(err)
		}
		defer traffic.CloseAll(open)
		of[i] = open
	}
	for i := range halves {
		if r := traffic.Exchange(of[i], crowdPatience); len(r.Lost) > 0 {
			t.Fatal(r.Errors[0])
		}
	}
	c.told(t)

	for i := range halves {
		origins(t, c.Directors[i], "LOCAL", of[i])
		origins(t, c.Directors[i], "SYNC", of[1-i])
	}
	times := make(map[netip.AddrPort]int)
	for _, h := range wire.since(0) {
		times[h.conn.Client]++
		for i, source := range halves {
			if h.conn.Client.Addr() == source && h.from != c.Directors[i].Sync {
				t.Errorf("%v advertises %v, which is not its own", h.from, h.conn.Client)
			}
		}
	}
	for _, half := range of {
		for _, s := range half {
			// Its states before it was established, at most.
			if n := times[s.Local()]; n < 1 || n > 2 {
				t.Errorf("%v was advertised %d times, want 1 or 2", s.Local(), n)
			}
		}
	}

	// Nobody answers an advert with one: without news it is quiet.
	before := len(wire.since(0))
	time.Sleep(time.Second)
	for _, h := range wire.since(before) {
		t.Errorf("%v advertises %v, where there is no news", h.from, h.conn.Client)
	}

	// All of it survives on either.
	read := counter(t, c.Directors[1], chardev.CounterReadRecords)
	c.powerOff(t, 0)
	if err := c.Client.IP(fmt.Sprintf("route replace %v via %v table 101\n", topology.Virtual, c.Directors[1].Front)); err != nil {
		t.Fatal(err)
	}
	for i := range halves {
		for _, err := range traffic.Exchange(of[i], crowdPatience).Errors {
			t.Error(err)
		}
	}
	// B tells of those it took over, and not again of those it had.
	c.told(t)
	if told := counter(t, c.Directors[1], chardev.CounterReadRecords) - read; told != streams {
		t.Errorf("director B tells of %d connections after it took over %d", told, streams)
	}
}
