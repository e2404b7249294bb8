package guest

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// What somebody on the link could write, under the module's own policy. Version
// 1 of the protocol has no authentication: what stands between a forged record
// and the connections is the module.

// Beside the services of an injection, on the virtual address: one whose only
// real server is the second one, FTP of the first server, and services of marks.
const (
	ownPort          = 8443 // not privileged, so that FTP could mean it
	mark             = 5    // real servers of all ports
	markElsewhere    = 6    // the second real server alone
	markUnknown      = 7
	otherVirtualPort = natPort
)

// otherVirtual has the same real servers behind natPort as the virtual address.
var otherVirtual = netip.MustParseAddr("192.0.2.81")

// newForgery is an injection with services that a record could be mistaken in.
func newForgery(t testing.TB, parameters ...string) *injection {
	t.Helper()
	in := newInjection(t, parameters...)
	first, second := in.lab.Servers[0].Address, in.lab.Servers[1].Address
	for _, service := range []director.Service{
		{Virtual: netip.AddrPortFrom(topology.Virtual, ownPort), Servers: []netip.AddrPort{netip.AddrPortFrom(second, ownPort)}},
		{Virtual: netip.AddrPortFrom(topology.Virtual, ftpPort), Servers: []netip.AddrPort{netip.AddrPortFrom(first, ftpPort)}},
		{Virtual: netip.AddrPortFrom(otherVirtual, otherVirtualPort), Servers: []netip.AddrPort{
			netip.AddrPortFrom(first, natPort), netip.AddrPortFrom(second, natPort)}},
		{Firewall: mark, Persistence: persistence, Servers: []netip.AddrPort{netip.AddrPortFrom(first, 0)}},
		{Firewall: markElsewhere, Persistence: persistence, Servers: []netip.AddrPort{netip.AddrPortFrom(second, 0)}},
	} {
		service.Method = director.NAT
		in.AddService(t, service)
	}
	return in
}

// markTemplate is the persistence template of a mark's service.
func (in *injection) markTemplate(key, mark uint32, server netip.Addr) ipvs.Conn {
	c := in.template()
	c.Protocol, c.Fwmark = ipvs.IP, mark
	c.Virtual = netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(key >> 24), byte(key >> 16), byte(key >> 8), byte(key)}), 0)
	c.Dest = netip.AddrPortFrom(server, 0)
	return c
}

// table is a director's table, by key, without what time changes.
func table(t testing.TB, d *director.Director) map[ipvs.Key]ipvs.Conn {
	t.Helper()
	found := make(map[ipvs.Key]ipvs.Conn)
	for _, c := range snapshot(t, d, false) {
		c.Age, c.Advert, c.PEData = 0, 0, nil // the key has the data
		found[c.Key()] = c
	}
	return found
}

// sameTable compares two tables, whose connections are comparable that far.
func sameTable(a, b map[ipvs.Key]ipvs.Conn) bool {
	return maps.EqualFunc(a, b, func(x, y ipvs.Conn) bool { return fmt.Sprintf("%+v", x) == fmt.Sprintf("%+v", y) })
}

// A forged record cannot send a client to a server, or to a port of one, that
// is not configured behind the service that it names.
func TestForgedRecordRedirectsNobody(t *testing.T) {
	in := newForgery(t)
	first, second := in.lab.Servers[0].Address, in.lab.Servers[1].Address
	nowhere := netip.MustParseAddr("203.0.113.1")
	to := func(c ipvs.Conn, server netip.Addr, port uint16) ipvs.Conn {
		c.Dest = netip.AddrPortFrom(server, port)
		return c
	}
	established := func() ipvs.Conn { return in.established(natPort, ipvs.Masquerade) }
	own := func() ipvs.Conn { return to(in.established(ownPort, ipvs.Masquerade), second, ownPort) }
	wildcard := func(c ipvs.Conn) ipvs.Conn {
		c.Client = netip.AddrPortFrom(c.Client.Addr(), 0)
		c.Flags, c.State = c.Flags|ipvs.FlagNoCPort, ipvs.TCPListen
		return c
	}
	marked := func(c ipvs.Conn, mark uint32) ipvs.Conn {
		c.Fwmark = mark
		return c
	}
	by := func(c ipvs.Conn, method ipvs.Method) ipvs.Conn {
		c.Flags = c.Flags&^ipvs.FlagMethodMask | ipvs.Flags(method)
		return c
	}
	known := established()
	sticky := in.template()
	stickyMark := in.markTemplate(mark, mark, first)
	for _, c := range []ipvs.Conn{known, sticky, stickyMark} {
		injectOne(t, in.device, c)
	}

	for _, test := range []struct {
		name string
		conn ipvs.Conn
	}{
		{"to a server that nobody configured", to(established(), nowhere, natPort)},
		{"to another port of a real server", to(established(), first, 22)},
		{"to port 0 of a real server", to(established(), first, 0)},
		{"to the real server of another service", to(own(), first, ownPort)},
		{"to a server of another family", to(established(), netip.MustParseAddr("2001:db8::1"), natPort)},
		{"past all real servers", by(to(established(), nowhere, natPort), ipvs.Bypass)},
		{"to the director itself", by(to(established(), in.Back, natPort), ipvs.LocalNode)},
		{"to a tunnel's end that nobody configured", by(to(established(), nowhere, natPort), ipvs.Tunnel)},

		{"where a copy has a real server", to(known, nowhere, natPort)},
		{"where a copy has a real server, by another method", by(to(known, nowhere, natPort), ipvs.Bypass)},
		{"where a template has a real server", to(sticky, nowhere, persistentPort)},
		{"where a template has one, with its service's other port", to(sticky, nowhere, 0)},

		{"as FTP's data, to the port of another service", to(own(), first, ownPort)},
		{"as FTP's data, without the client's port", wildcard(to(own(), first, ownPort))},
		{"as FTP's data, to a server that is none of FTP's", wildcard(to(in.established(5000, ipvs.Masquerade), second, 5000))},

		{"with the mark of no service", marked(to(established(), nowhere, natPort), markUnknown)},
		{"with a mark, to a server of another one", marked(to(established(), second, natPort), mark)},
		{"with a mark, to another port than the client asked for", marked(to(established(), first, 22), mark)},
		{"with a mark, by direct routing", by(marked(to(established(), second, natPort), mark), ipvs.DirectRouting)},
		{"a template by address, with the mark of another service", marked(to(sticky, second, 0), markElsewhere)},
		{"a mark's template, with the mark of another service", func() ipvs.Conn {
			c := in.markTemplate(mark, markElsewhere, second)
			c.Client = stickyMark.Client
			return c
		}()},
		{"a mark's template, without its mark", in.markTemplate(mark, 0, first)},
		{"a mark's template, of a port", func() ipvs.Conn {
			c := in.markTemplate(mark, mark, first)
			c.Virtual = netip.AddrPortFrom(c.Virtual.Addr(), natPort)
			return c
		}()},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := table(t, in.Director)
			if refused := inject(t, in.device, test.conn); refused[0] != chardev.RefusedNoDest || len(refused) != 1 {
				t.Errorf("%v: refused %v, want no_dest", &test.conn, refused)
			}
			if after := table(t, in.Director); !sameTable(before, after) {
				t.Errorf("%v left its mark:\n before %v\n after  %v", &test.conn, before, after)
			}
		})
	}
}

// A copy is forwarded as its real server is, whatever a record says, be it the
// first of it or a later one.
func TestForgedRecordChangesNoMethod(t *testing.T) {
	in := newForgery(t)
	serve(t, in.lab, "tcp", natPort)
	methods := map[string]ipvs.Method{"direct routing": ipvs.DirectRouting, "a tunnel": ipvs.Tunnel,
		"local": ipvs.LocalNode, "past IPVS": ipvs.Bypass}
	for name, method := range methods {
		for _, order := range []string{"first", "later"} {
			t.Run(name+", "+order, func(t *testing.T) {
				honest := in.established(natPort, ipvs.Masquerade)
				honest.State, honest.Timeout = ipvs.TCPSynRecv, time.Minute
				forged := honest
				forged.Flags = ipvs.Flags(method) | ipvs.FlagNoOutput
				if order == "later" {
					injectOne(t, in.device, honest)
				}
				injectOne(t, in.device, forged)
				if got := in.mustKnow(t, honest.Key()); got.Method() != ipvs.Masquerade || got.Flags&ipvs.FlagNoOutput != 0 {
					t.Errorf("have %v, flags %x", &got, got.Flags)
				}

				// Its packets go the way of NAT, or there is no answer.
				client := traffic.Client{Namespace: in.lab.Client, Source: honest.Client.Addr(), Port: honest.Client.Port()}
				stream := open(t, client, honest.Virtual)
				exchange(t, stream)
				if want := in.lab.Servers[0].Name; stream.Server != want {
					t.Errorf("forwarded to %s, the copy is of %s", stream.Server, want)
				}
			})
		}
	}
}

// A forged record cannot make a copy live for ever, nor longer than max_timeout
// behind the last record of it.
func TestForgedRecordLivesNoLonger(t *testing.T) {
	in := newForgery(t)
	const (
		ceiling = 24 * time.Hour // max_timeout's default
		most    = math.MaxUint32 * time.Millisecond
		jiffies = math.MaxInt32 * 4 * time.Millisecond // INT_MAX of them, HZ=250
	)
	for _, test := range []struct {
		name         string
		timeout, age time.Duration
		want         time.Duration // 0: refused
	}{
		{"the longest timeout that there is", most, 0, ceiling},
		{"INT_MAX jiffies", min(jiffies, most), 0, ceiling},
		{"INT_MAX milliseconds", math.MaxInt32 * time.Millisecond, 0, ceiling},
		{"INT_MAX milliseconds and one", (math.MaxInt32 + 1) * time.Millisecond, 0, ceiling},
		{"a little more than the ceiling", ceiling + time.Second, 0, ceiling},
		{"the ceiling, and old", most, time.Hour, ceiling},
		{"as old as the ceiling", most, ceiling, 0},
		{"as old as can be", most, most, 0},
		{"older than its timeout", time.Minute, time.Minute + time.Second, 0},
		{"as old as can be, and a short timeout", time.Millisecond, most, 0},
		{"as old as can be, and no timeout", 0, most, 0},
		{"no timeout", 0, 0, 15 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, c := range []ipvs.Conn{in.established(natPort, ipvs.Masquerade), in.template()} {
				want := test.want
				if c.Template() && test.timeout == 0 && want != 0 {
					want = persistence
				}
				c.Timeout, c.Age = test.timeout, test.age
				refused := inject(t, in.device, c)
				if want == 0 {
					if refused[0] != chardev.RefusedExpired || len(refused) != 1 {
						t.Errorf("%v: refused %v, want expired", &c, refused)
					}
					continue
				}
				if len(refused) != 0 {
					t.Fatalf("%v: refused %v", &c, refused)
				}
				if got := in.mustKnow(t, c.Key()); got.Timeout != want {
					t.Errorf("%v: timeout %v, want %v", &c, got.Timeout, want)
				}
				for _, line := range in.Connections(t) { // what its timer says
					if line.Client == c.Client && line.Virtual == c.Virtual && line.Expires > want-test.age {
						t.Errorf("%v: expires in %v, want %v at most", &c, line.Expires, want-test.age)
					}
				}
			}
		})
	}

	t.Run("one that says so of a copy changes nothing that is older", func(t *testing.T) {
		c := in.established(natPort, ipvs.Masquerade)
		injectOne(t, in.device, c)
		forged := c
		forged.Timeout, forged.Age = 0, most
		if refused := inject(t, in.device, forged); refused[0] != chardev.RefusedStale || len(refused) != 1 {
			t.Errorf("refused %v, want stale", refused)
		}
		forged.Timeout, forged.Age = most, 0
		injectOne(t, in.device, forged)
		if got := in.mustKnow(t, c.Key()); got.Timeout != ceiling {
			t.Errorf("timeout %v, want the ceiling", got.Timeout)
		}
	})
}
