package guest

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// A client that uses its port again is scheduled again, or not, as
// net.ipv4.vs.conn_reuse_mode says; by the copy that director B has as by the
// connection that A has. Its first real server takes nothing new then, so
// that who answers tells the two apart.
func TestPortReuse(t *testing.T) {
	const port = 8000
	for _, method := range []director.Method{director.NAT, director.DR} {
		// What is left of a connection behind NAT is in TIME_WAIT. With DR the
		// director does not see the server's half of its end.
		left, again := "TIME_WAIT", map[int]bool{0: false, 1: true, 2: true}
		if method == director.DR {
			left, again = "FIN_WAIT", map[int]bool{0: false, 1: false, 2: true}
		}
		t.Run(method.String(), func(t *testing.T) {
			c := newCluster(t, 2, 2)
			serve(t, c.Topology, "tcp", port)
			virtual := c.AddService(t, director.Service{Method: method}, port)
			// The client's own TIME_WAIT must not keep the port from it.
			if err := c.Client.Sysctl("ipv4.tcp_max_tw_buckets", "0"); err != nil {
				t.Fatal(err)
			}
			// And to a FIN that comes again, late, nobody answers with a reset:
			// to the director it would be another end.
			if _, err := c.Client.Feed(noResets, "/sbin/nft", "-f", "-"); err != nil {
				t.Fatal(err)
			}
			next := uint16(20000)
			reuse := func(t *testing.T, through, mode int) {
				t.Helper()
				next++
				client := traffic.Client{Namespace: c.Client, Source: netip.MustParseAddr("10.4.0.1"), Port: next}
				for _, d := range c.Directors {
					d.Set(t, "conn_reuse_mode", strconv.Itoa(mode))
				}
				c.Activate(t, c.Directors[0])
				first, err := client.Open(1, virtual)
				if err != nil {
					t.Fatal(err)
				}
				exchange(t, first)
				mirrored(t, c.Directors[0], c.Directors[1], first)
				if err := first.Close(); err != nil {
					t.Fatal(err)
				}
				for _, d := range c.Directors {
					eventually(t, 10*time.Second, func() bool { return d.ByClient(t)[first.Local()].State == left },
						fmt.Sprintf("%s does not know that it ended", d.Name))
				}
				if t.Failed() {
					t.FailNow()
				}
				mirrored(t, c.Directors[0], c.Directors[1], first)

				// Sooner than messages differ in the time that they take, the
				// age may call the new connection older than the old one's
				// end (docs/decisions.md).
				time.Sleep(300 * time.Millisecond)

				d := c.Directors[through]
				c.Activate(t, d)
				weigh := func(weight string) {
					d.IPVSAdm(t, "--edit-server", "--tcp-service", virtual.String(), "--real-server",
						netip.AddrPortFrom(c.server(t, first.Server), port).String(), string(method), "--weight", weight)
				}
				weigh("0")
				defer weigh("1")
				second, err := client.Open(2, virtual)
				if err != nil {
					t.Fatal(err)
				}
				exchange(t, second)
				if got := second.Server != first.Server; got != again[mode] {
					t.Errorf("was with %s and comes to %s: scheduled again %t, want %t", first.Server, second.Server, got, again[mode])
				}
				// Behind a failover A would hold what it has for local_hold.
				if through == 0 {
					mirrored(t, d, c.Directors[1], second)
				}
				second.Close()
			}
			for mode := range again {
				t.Run(fmt.Sprintf("mode %d, on director A", mode), func(t *testing.T) { reuse(t, 0, mode) })
				t.Run(fmt.Sprintf("mode %d, after a failover", mode), func(t *testing.T) { reuse(t, 1, mode) })
			}
		})
	}
}

// A client that uses its port again, on the director that took over just now: the
// other one holds what it saw itself for a moment (local_hold), and has the new
// connection all the same behind that, with the real server that it has.
func TestPortUsedAgainBehindAFailover(t *testing.T) {
	const (
		port     = 8000
		each     = 4
		withheld = 3500 * time.Millisecond
	)
	c := newCluster(t, 2, 2)
	serve(t, c.Topology, "tcp", port)
	virtual := c.AddService(t, director.Service{Method: director.NAT}, port)
	if err := c.Client.Sysctl("ipv4.tcp_max_tw_buckets", "0"); err != nil {
		t.Fatal(err)
	}
	next := uint16(20000)
	for _, tt := range []struct {
		name string
		end  func(*traffic.Stream)
	}{
		{"closed", func(s *traffic.Stream) { s.Close() }},
		{"reset", func(s *traffic.Stream) { s.Reset() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := c.Directors[0], c.Directors[1]
			c.Activate(t, a)
			var clients []traffic.Client
			for range each {
				next++
				client := traffic.Client{Namespace: c.Client, Source: netip.MustParseAddr("10.4.0.1"), Port: next}
				stream, err := client.Open(1, virtual)
				if err != nil {
					t.Fatal(err)
				}
				exchange(t, stream)
				mirrored(t, a, b, stream)
				tt.end(stream)
				clients = append(clients, client)
			}
			time.Sleep(300 * time.Millisecond) // B is told that they ended
			c.Activate(t, b)
			var again []*traffic.Stream
			for _, client := range clients {
				stream, err := client.Open(2, virtual)
				if err != nil {
					t.Fatal(err)
				}
				exchange(t, stream)
				again = append(again, stream)
			}
			defer traffic.CloseAll(again)
			time.Sleep(withheld)
			// Where it is with another real server, the old one may be there, too.
			eventually(t, 5*time.Second, func() bool {
				onA, onB := snapshot(t, a, false), connections(t, b)
				for _, stream := range again {
					if !slices.ContainsFunc(onA, func(c ipvs.Conn) bool {
						return c.Client == stream.Local() && c.State == ipvs.TCPEstablished && c.Dest == onB[c.Client].Dest
					}) {
						return false
					}
				}
				return true
			}, "director A has not what B has")
			c.Activate(t, a)
			for _, stream := range again {
				exchange(t, stream)
			}
		})
	}
}

const noResets = `table ip noresets {
	chain output {
		type filter hook output priority 0
		tcp flags & rst == rst drop
	}
}
`

// server returns the address of the real server of a name.
func (c *cluster) server(t testing.TB, name string) netip.Addr {
	t.Helper()
	for _, s := range c.Servers {
		if s.Name == name {
			return s.Address
		}
	}
	t.Fatalf("no real server is called %s", name)
	return netip.Addr{}
}
