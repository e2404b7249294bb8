package guest

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// A forwarding is one way for a service to reach its real servers, and a stream
// that takes it.
type forwarding struct {
	virtual, servers topology.Family
	method           director.Method
	protocol         string
	at               netip.AddrPort
	stream           *traffic.Stream
}

func (f *forwarding) String() string {
	way := string(f.virtual)
	if f.servers != f.virtual {
		way += " to " + string(f.servers)
	}
	return fmt.Sprintf("%s/%v/%s", way, f.method, f.protocol)
}

// forwardings are all that IPVS has. Between families it knows tunnels only.
func forwardings() (all []*forwarding) {
	tunnels := []director.Method{director.TUN, director.GRE, director.GUE}
	for _, way := range []struct {
		virtual, servers topology.Family
		methods          []director.Method
	}{
		{topology.IPv4, topology.IPv4, append([]director.Method{director.NAT, director.DR}, tunnels...)},
		{topology.IPv6, topology.IPv6, append([]director.Method{director.NAT, director.DR}, tunnels...)},
		{topology.IPv6, topology.IPv4, tunnels},
		{topology.IPv4, topology.IPv6, tunnels},
	} {
		for _, method := range way.methods {
			for _, protocol := range []string{"tcp", "udp", "sctp"} {
				at := netip.AddrPortFrom(way.virtual.Virtual(), uint16(8000+len(all)))
				all = append(all, &forwarding{virtual: way.virtual, servers: way.servers,
					method: method, protocol: protocol, at: at})
			}
		}
	}
	return all
}

func (f *forwarding) service(lab *topology.Topology) director.Service {
	return director.Service{Protocol: f.protocol, Method: f.method, Virtual: f.at,
		Servers: lab.ServersAt(f.servers, f.at.Port())}
}

// serve starts a server where packets come out: behind NAT at the server's own
// address.
func (f *forwarding) serve(t testing.TB, s topology.Server) {
	t.Helper()
	at := f.at
	if f.method == director.NAT {
		at = netip.AddrPortFrom(s.In(f.servers), at.Port())
	}
	server, err := traffic.ServeAt(s.Namespace, f.protocol, at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
}

// is reports whether a connection is the stream's.
func (f *forwarding) is(c ipvs.Conn) bool {
	return f.stream != nil && c.Client == f.stream.Local() && c.Virtual == f.at && c.Protocol == f.number()
}

func (f *forwarding) number() ipvs.Protocol {
	return map[string]ipvs.Protocol{"tcp": ipvs.TCP, "udp": ipvs.UDP, "sctp": ipvs.SCTP}[f.protocol]
}

// Whatever the way to the real server and whatever the protocol, a copy is what
// its owner has, and packets go through it.
func TestForwarding(t *testing.T) {
	loadModules(t, topology.TunnelModules...)
	director.LoadModule(t)
	lab := topology.New(t, 2, 2)
	lab.EnableIPv6(t)
	lab.OpenTunnels(t)
	a, b := lab.Directors[0], lab.Directors[1]
	all := forwardings()
	var services []director.Service
	for _, f := range all {
		services = append(services, f.service(lab))
		for _, s := range lab.Servers {
			f.serve(t, s)
		}
	}
	for _, d := range lab.Directors {
		d.AddService(t, services...)
	}
	relay := newRelay(t, a, b)

	for i, f := range all {
		client := traffic.Client{Namespace: lab.Client, Network: f.protocol}
		stream, err := client.Open(i, f.at)
		if err != nil {
			t.Errorf("%v: through director A: %v", f, err)
			continue
		}
		t.Cleanup(func() { stream.Close() })
		f.stream = stream
	}
	relay.pass(t)
	pairs := copies(t, a, b)
	relay.failOver(t, lab)

	for _, f := range all {
		t.Run(f.String(), func(t *testing.T) {
			if f.stream == nil {
				t.Fatal("it did not even open")
			}
			found := find(t, pairs, f.is)
			found.compare(t)
			if family := found.owner.Dest.Addr().Is6(); family != (f.servers == topology.IPv6) {
				t.Errorf("the real server of %v is not of %v", &found.owner, f.servers)
			}
			if method := found.owner.Method(); !strings.HasPrefix(string(f.method), optionOf[method]) {
				t.Errorf("%v: forwarded by %v", &found.owner, method)
			}
			if err := f.stream.ExchangeWithin(crowdPatience); err != nil {
				t.Fatal(err)
			}
			relay.mustCarry(t, found.owner.Key())
		})
	}
}

// optionOf is how ipvsadm is told of a method.
var optionOf = map[ipvs.Method]string{
	ipvs.Masquerade: string(director.NAT), ipvs.DirectRouting: string(director.DR), ipvs.Tunnel: string(director.TUN),
}

// find returns the one pair that is asked for.
func find(t testing.TB, pairs []copied, is func(ipvs.Conn) bool) copied {
	t.Helper()
	var found []copied
	for _, pair := range pairs {
		if is(pair.owner) {
			found = append(found, pair)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d connections of their owner with a copy, want 1: %v", len(found), found)
	}
	return found[0]
}
