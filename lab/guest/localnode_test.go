package guest

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"testing"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// Where the director is the real server itself, a copy hands packets to the new
// director's own stack. A flow of datagrams goes on with the server there; of a
// TCP connection that stack knows nothing, and says so.
func TestLocalNode(t *testing.T) {
	const apart = 1000 // of a server's port from the service's: NAT alone can change it
	director.LoadModule(t)
	lab := topology.New(t, 2, 0)
	lab.EnableIPv6(t)
	a, b := lab.Directors[0], lab.Directors[1]
	type local struct {
		family   topology.Family
		method   director.Method
		protocol string
		at       netip.AddrPort
		stream   *traffic.Stream
	}
	var all []*local
	for _, family := range []topology.Family{topology.IPv4, topology.IPv6} {
		for _, method := range director.Methods {
			for _, protocol := range []string{"tcp", "udp"} {
				port := uint16(8000 + len(all))
				l := &local{family: family, method: method, protocol: protocol,
					at: netip.AddrPortFrom(family.Virtual(), port)}
				all = append(all, l)
				server := l.at
				if method == director.NAT {
					server = netip.AddrPortFrom(l.at.Addr(), port+apart)
				}
				for _, d := range lab.Directors {
					d.AddService(t, director.Service{Protocol: protocol, Method: method,
						Virtual: l.at, Servers: []netip.AddrPort{server}})
					echo, err := traffic.ServeAt(d.Namespace, protocol, server)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { echo.Close() })
				}
			}
		}
	}
	relay := newRelay(t, a, b)
	for _, l := range all {
		l.stream = open(t, traffic.Client{Namespace: lab.Client, Network: l.protocol}, l.at)
		if l.stream.Server != a.Name {
			t.Errorf("%v: answered by %s, want director A itself", l.at, l.stream.Server)
		}
	}
	relay.pass(t)
	pairs := copies(t, a, b)
	relay.failOver(t, lab)

	for _, l := range all {
		t.Run(fmt.Sprintf("%s/%v/%s", l.family, l.method, l.protocol), func(t *testing.T) {
			found := find(t, pairs, func(c ipvs.Conn) bool {
				return c.Client == l.stream.Local() && c.Virtual == l.at
			})
			// A copy has this from its real server, which may be elsewhere,
			// until it sees what its owner saw: an answer.
			found.owner.Flags &^= ipvs.FlagNoOutput
			found.copy.Flags &^= ipvs.FlagNoOutput
			found.compare(t)
			want := traffic.ErrMoved
			if l.protocol == "tcp" {
				want = syscall.ECONNRESET
			}
			if err := l.stream.ExchangeWithin(crowdPatience); !errors.Is(err, want) {
				t.Errorf("an exchange through director B: %v, want %v", err, want)
			}
			relay.mustCarry(t, found.owner.Key())
		})
	}
}
