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

// Real servers and services that are not on both directors at all times.

// A remote is a real server of a service behind NAT.
type remote struct{ virtual, server netip.AddrPort }

// serve and unserve put it in and take it out again.
func (s remote) serve(t testing.TB, d *director.Director) {
	t.Helper()
	d.IPVSAdm(t, "--add-server", "--tcp-service", s.virtual.String(), "--real-server", s.server.String(), string(director.NAT))
}

func (s remote) unserve(t testing.TB, d *director.Director) {
	t.Helper()
	d.IPVSAdm(t, "--delete-server", "--tcp-service", s.virtual.String(), "--real-server", s.server.String())
}

// visit opens a stream of a new port.
func visit(t testing.TB, c *cluster, virtual netip.AddrPort) *traffic.Stream {
	t.Helper()
	return open(t, traffic.Client{Namespace: c.Client}, virtual)
}

// goesWithin reports whether a stream ends, and does not merely hang.
func goesWithin(s *traffic.Stream, limit time.Duration) error {
	began := time.Now()
	if err := s.ExchangeWithin(limit); err == nil {
		return fmt.Errorf("it goes on")
	} else if time.Since(began) >= limit {
		return fmt.Errorf("it hangs: %w", err)
	}
	return nil
}

// Where net.ipv4.vs.expire_nodest_conn says so, IPVS drops the connections of a
// real server that is taken out: director B the copies as A the connections.
// Checkers do not act at the same moment; what the one has dropped is not
// brought back by what the other still has.
func TestExpireNoDest(t *testing.T) {
	const (
		port    = 8000
		streams = 10
		limit   = 5 * time.Second
	)
	for _, first := range []int{0, 1} {
		t.Run(fmt.Sprintf("director %c takes it out first", 'A'+first), func(t *testing.T) {
			c := newCluster(t, 2, 2)
			serve(t, c.Topology, "tcp", port)
			virtual := c.AddService(t, director.Service{Method: director.NAT}, port)
			for _, d := range c.Directors {
				d.Set(t, "expire_nodest_conn", "1")
			}
			open, err := traffic.Client{Namespace: c.Client}.OpenMany(streams, 0, virtual)
			if err != nil {
				t.Fatal(err)
			}
			defer traffic.CloseAll(open)
			mirrored(t, c.Directors[0], c.Directors[1], open...)
			server := remote{virtual, netip.AddrPortFrom(c.Servers[0].Address, port)}
			var lost, kept []*traffic.Stream
			for _, s := range open {
				if s.Server == c.Servers[0].Name {
					lost = append(lost, s)
				} else {
					kept = append(kept, s)
				}
			}
			has := func(d *director.Director) (n int) {
				known := d.ByClient(t)
				for _, s := range lost {
					if _, is := known[s.Local()]; is {
						n++
					}
				}
				return n
			}

			dropper, other := c.Directors[first], c.Directors[1-first]
			server.unserve(t, dropper)
			eventually(t, 10*time.Second, func() bool { return has(dropper) == 0 }, "IPVS did not drop them")
			before := dropper.Stats(t)
			c.daemons[1-first].Stop(t)
			c.start(t, 1-first) // which tells all that it owns
			if first == 1 {
				eventually(t, 10*time.Second, func() bool {
					after := dropper.Stats(t)
					return after.Refused(chardev.RefusedNoDest) >= before.Refused(chardev.RefusedNoDest)+uint64(len(lost))
				}, "director A did not tell of them")
			} else {
				for _, s := range lost {
					if err := goesWithin(s, limit); err != nil {
						t.Errorf("through director A: %v", err)
					}
				}
				c.told(t)
			}
			if n := has(dropper); n != 0 {
				t.Errorf("%d of %d are back", n, len(lost))
			}
			if n := has(other); n != len(lost) {
				t.Errorf("%s, which has the real server, has %d of %d", other.Name, n, len(lost))
			}

			server.unserve(t, other)
			eventually(t, 10*time.Second, func() bool { return has(other) == 0 }, "IPVS did not drop them there either")
			c.failOver(t, 0, 1)
			for _, err := range traffic.Exchange(kept, crowdPatience).Errors {
				t.Error(err)
			}
			for _, s := range lost {
				if err := goesWithin(s, limit); err != nil {
					t.Errorf("through director B: %v", err)
				}
			}
			if fresh := visit(t, c, virtual); fresh.Server != c.Servers[1].Name {
				t.Errorf("a new stream came to %s", fresh.Server)
			}
		})
	}
}

// A real server that is missing on director B for a while: the copies that B
// has wait for it, what is new is refused and comes with its next news.
func TestServerMissingOnBackup(t *testing.T) {
	const port = 8000
	c := newCluster(t, 2, 1)
	a, b := c.Directors[0], c.Directors[1]
	serve(t, c.Topology, "tcp", port)
	virtual := c.AddService(t, director.Service{Method: director.NAT}, port)
	server := remote{virtual, netip.AddrPortFrom(c.Servers[0].Address, port)}
	a.Set(t, "sync_refresh_period", "1")

	older := visit(t, c, virtual)
	exchange(t, older)
	mirrored(t, a, b, older)
	server.unserve(t, b)
	before := b.Stats(t)
	younger := visit(t, c, virtual)
	refused := func() bool {
		after := b.Stats(t)
		return after.Refused(chardev.RefusedNoDest) > before.Refused(chardev.RefusedNoDest)
	}
	eventually(t, 10*time.Second, refused, "director B refused nothing")
	if _, has := connections(t, b)[younger.Local()]; has {
		t.Error("director B took what it cannot forward")
	}
	if _, has := connections(t, b)[older.Local()]; !has {
		t.Error("director B dropped what it had")
	}

	server.serve(t, b)
	eventually(t, 20*time.Second, func() bool {
		exchange(t, younger)
		exchange(t, older)
		_, has := connections(t, b)[younger.Local()]
		return has
	}, "director B was not told again")
	mirrored(t, a, b, older, younger)
	c.failOver(t, 0, 1)
	exchange(t, older)
	exchange(t, younger)
	text, err := b.ReadFile("ip_vs")
	if err != nil {
		t.Fatal(err)
	}
	active, inactive, err := serviceConns(string(text), fmt.Sprintf("%04X", port))
	if err != nil || active != 2 || inactive != 0 {
		t.Errorf("%d active, %d inactive, %v: want the two streams", active, inactive, err)
	}
}

// A real server that is taken out behind a failover and put back: its streams
// wait for it, as they do where IPVS never heard of copies.
func TestServerBackOnBackup(t *testing.T) {
	const port = 8000
	c := newCluster(t, 2, 1)
	serve(t, c.Topology, "tcp", port)
	virtual := c.AddService(t, director.Service{Method: director.NAT}, port)
	server := remote{virtual, netip.AddrPortFrom(c.Servers[0].Address, port)}
	stream := visit(t, c, virtual)
	mirrored(t, c.Directors[0], c.Directors[1], stream)
	c.failOver(t, 0, 1)
	server.unserve(t, c.Directors[1])
	answered := make(chan error, 1)
	go func() { answered <- stream.ExchangeWithin(crowdPatience) }()
	select {
	case err := <-answered:
		t.Errorf("without its real server: %v", err)
	case <-time.After(500 * time.Millisecond):
	}
	server.serve(t, c.Directors[1])
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

// Director B has no service yet, nor even a table in newer kernels: it refuses
// all that A tells it, and is told again when the services are there.
func TestServiceMissingOnBackup(t *testing.T) {
	const port, stickyPort = 8000, 8001
	c := newCluster(t, 2, 2)
	a, b := c.Directors[0], c.Directors[1]
	serve(t, c.Topology, "tcp", port)
	serve(t, c.Topology, "tcp", stickyPort)
	service := func(d *director.Director, port uint16, persistence time.Duration) netip.AddrPort {
		s := director.Service{Method: director.NAT, Persistence: persistence, Virtual: netip.AddrPortFrom(topology.Virtual, port)}
		for _, server := range c.Servers {
			s.Servers = append(s.Servers, netip.AddrPortFrom(server.Address, port))
		}
		d.AddService(t, s)
		return s.Virtual
	}
	virtual, sticky := service(a, port, 0), service(a, stickyPort, time.Hour)
	a.Set(t, "sync_refresh_period", "1")
	streams := []*traffic.Stream{visit(t, c, virtual), visit(t, c, virtual), visit(t, c, sticky)}
	eventually(t, 10*time.Second, func() bool {
		stats := b.Stats(t)
		return stats.Refused(chardev.RefusedNoDest) >= uint64(len(streams))+1 // and a template
	}, "director B did not refuse what it has no service for")
	if n := len(b.Connections(t)); n != 0 {
		t.Errorf("director B has %d connections of no service", n)
	}

	service(b, port, 0)
	service(b, stickyPort, time.Hour)
	eventually(t, 20*time.Second, func() bool {
		for _, s := range streams {
			exchange(t, s)
		}
		return len(connections(t, b)) == len(streams) && len(templates(t, b)) == 1
	}, "director B was not told again")
	mirrored(t, a, b, streams...)
	c.failOver(t, 0, 1)
	for _, s := range streams {
		exchange(t, s)
	}
	if again := visit(t, c, sticky); again.Server != streams[2].Server {
		t.Errorf("the client was with %s and comes to %s", streams[2].Server, again.Server)
	}
}
