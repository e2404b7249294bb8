package guest

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// A marked is a service that is known by its mark: of two ports of a virtual
// address.
type marked struct {
	family     topology.Family
	method     director.Method
	persistent bool
	mark       int
	ports      [2]uint16
}

func (m *marked) String() string {
	if m.persistent {
		return fmt.Sprintf("%s/%v/persistent", m.family, m.method)
	}
	return fmt.Sprintf("%s/%v", m.family, m.method)
}

func (m *marked) at(i int) netip.AddrPort { return netip.AddrPortFrom(m.family.Virtual(), m.ports[i]) }

// rule has nft mark what is for the service.
func (m *marked) rule() string {
	family := map[topology.Family]string{topology.IPv4: "ip", topology.IPv6: "ip6"}[m.family]
	return fmt.Sprintf("%s daddr %v tcp dport { %d, %d } meta mark set %d",
		family, m.family.Virtual(), m.ports[0], m.ports[1], m.mark)
}

func (m *marked) service(lab *topology.Topology) director.Service {
	s := director.Service{Firewall: m.mark, Method: m.method, Virtual: m.at(0), Servers: lab.ServersAt(m.family, 0)}
	if m.persistent {
		s.Persistence = persistence
	}
	return s
}

// Services that are known by a mark keep it in their copies, and their templates
// hold both ports of a client together on any director.
func TestFirewallMarks(t *testing.T) {
	const clients = 5 // odd: a scheduler that merely went on would change sides
	director.LoadModule(t)
	lab := topology.New(t, 2, 2)
	lab.EnableIPv6(t)
	a, b := lab.Directors[0], lab.Directors[1]
	var all []*marked
	for _, family := range []topology.Family{topology.IPv4, topology.IPv6} {
		for _, method := range director.Methods[:2] {
			for _, persistent := range []bool{false, true} {
				n := uint16(2 * len(all))
				all = append(all, &marked{family: family, method: method, persistent: persistent,
					mark: 1 + len(all), ports: [2]uint16{8000 + n, 8001 + n}})
			}
		}
	}
	rules := "table inet marks {\nchain incoming {\ntype filter hook prerouting priority mangle;\n"
	var services []director.Service
	for _, m := range all {
		rules += m.rule() + "\n"
		services = append(services, m.service(lab))
		for _, server := range lab.Servers {
			for _, port := range m.ports {
				at := netip.AddrPortFrom(m.family.Virtual(), port)
				if m.method == director.NAT {
					at = netip.AddrPortFrom(server.In(m.family), port)
				}
				echo, err := traffic.ServeAt(server.Namespace, "tcp", at)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { echo.Close() })
			}
		}
	}
	for _, d := range lab.Directors {
		if _, err := d.Feed(rules+"}\n}\n", "/sbin/nft", "-f", "-"); err != nil {
			t.Fatal(err)
		}
		d.AddService(t, services...)
	}
	relay := newRelay(t, a, b)

	visit := func(t *testing.T, m *marked, i, client int) *traffic.Stream {
		t.Helper()
		return open(t, traffic.Client{Namespace: lab.Client, Source: clientOf(m.family, client, 1)}, m.at(i))
	}
	streams := make(map[*marked][]*traffic.Stream)
	for _, m := range all {
		for client := range clients {
			streams[m] = append(streams[m], visit(t, m, 0, client))
		}
	}
	relay.pass(t)
	pairs := copies(t, a, b)
	relay.failOver(t, lab)

	for _, m := range all {
		t.Run(m.String(), func(t *testing.T) {
			for client, s := range streams[m] {
				found := find(t, pairs, func(c ipvs.Conn) bool {
					return c.Client == s.Local() && c.Virtual == m.at(0)
				})
				found.compare(t)
				if found.owner.Fwmark != uint32(m.mark) {
					t.Errorf("%v: mark %d, want %d", &found.owner, found.owner.Fwmark, m.mark)
				}
				if err := s.ExchangeWithin(crowdPatience); err != nil {
					t.Error(err)
				}
				relay.mustCarry(t, found.owner.Key())
				if !m.persistent {
					continue
				}
				template := find(t, pairs, func(c ipvs.Conn) bool {
					return c.Template() && c.Client.Addr() == s.Local().Addr() && c.Fwmark == uint32(m.mark) &&
						c.Client.Addr().Is6() == (m.family == topology.IPv6)
				})
				template.compare(t)
				if template.owner.Protocol != ipvs.IP || template.owner.Timeout != persistence {
					t.Errorf("%v: want a template of the mark, for %v", &template.owner, persistence)
				}
				if again := visit(t, m, 1, client); again.Server != s.Server {
					t.Errorf("%v was with %s and comes to %s on the other port", s.Local().Addr(), s.Server, again.Server)
				}
			}
		})
	}
}

// clientOf returns an address that the client can take: a host of the n-th of
// many networks.
func clientOf(f topology.Family, n, host int) netip.Addr {
	if f == topology.IPv6 {
		a := topology.Clients6.Addr().As16()
		a[7], a[15] = byte(n), byte(host)
		return netip.AddrFrom16(a)
	}
	a := topology.Clients.Addr().As4()
	a[2], a[3] = byte(n), byte(host)
	return netip.AddrFrom4(a)
}
