package guest

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/netns"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// An affinity is what holds clients together at one real server: the network
// that they are of, or the call that they speak of.
type affinity struct {
	family    topology.Family
	netmask   string // else SIP's Call-ID
	onePacket bool   // nothing but the template lasts longer than a packet
	at        netip.AddrPort
	calls     int // that were made
}

func (f *affinity) String() string {
	if f.netmask != "" {
		return fmt.Sprintf("%s/netmask %s", f.family, f.netmask)
	}
	if f.onePacket {
		return fmt.Sprintf("%s/SIP, each packet by itself", f.family)
	}
	return fmt.Sprintf("%s/SIP", f.family)
}

func (f *affinity) service(lab *topology.Topology) director.Service {
	s := director.Service{Protocol: "udp", Method: f.method(), Persistence: persistence, OnePacket: f.onePacket,
		Virtual: f.at, Servers: lab.ServersAt(f.family, f.at.Port()), Netmask: f.netmask}
	if f.netmask == "" {
		s.Engine = "sip"
	}
	return s
}

// method is NAT, where answers find their connection.
func (f *affinity) method() director.Method {
	if f.onePacket {
		return director.DR
	}
	return director.NAT
}

// visit comes as one of those of a group: each time from another port and, where
// it is the network that counts, from another address. It returns who answered.
func (f *affinity) visit(t testing.TB, n *netns.Namespace, group, member int) string {
	t.Helper()
	if f.netmask == "" {
		// All calls come from the same address. A port that came before would
		// find the connection that it had then, whatever the Call-ID.
		f.calls++
		return call(t, n, netip.AddrPortFrom(clientOf(f.family, 0, 1), uint16(20000+f.calls)), f.at, callID(group))
	}
	source := clientOf(f.family, group, member)
	return open(t, traffic.Client{Namespace: n, Network: "udp", Source: source}, f.at).Server
}

// isTemplate reports whether a connection is the template of a group.
func (f *affinity) isTemplate(c ipvs.Conn, group int) bool {
	if !c.Template() || c.Virtual != f.at {
		return false
	}
	if f.netmask == "" {
		return c.PEName == "sip" && string(c.PEData) == callID(group) && c.Client.Addr() == clientOf(f.family, 0, 1)
	}
	return c.PEName == "" && c.Client.Addr() == clientOf(f.family, group, 0)
}

func callID(n int) string { return fmt.Sprintf("call-%d@lab.example", n) }

// call sends a SIP request (RFC 3261), or as much of it as a director looks at,
// and returns the name of the server that answered.
func call(t testing.TB, n *netns.Namespace, source, to netip.AddrPort, id string) string {
	t.Helper()
	var conn net.Conn
	err := n.Do(func() (err error) {
		conn, err = net.DialUDP("udp", net.UDPAddrFromAddrPort(source), net.UDPAddrFromAddrPort(to))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := fmt.Sprintf("OPTIONS sip:lab.example SIP/2.0\r\nCall-ID: %s\r\nContent-Length: 0\r\n\r\n", id)
	conn.SetDeadline(time.Now().Add(crowdPatience))
	if _, err := conn.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 2048)
	k, err := conn.Read(answer)
	if err != nil {
		t.Fatalf("%s: %v", id, err)
	}
	server, echoed, _ := strings.Cut(string(answer[:k]), " ")
	if echoed != request {
		t.Fatalf("%s: answer %q", id, answer[:k])
	}
	return server
}

// Clients that belong together come to the same real server through another
// director, too, and for as long as there.
func TestAffinity(t *testing.T) {
	const groups = 5 // odd: a scheduler that merely went on would change sides
	loadModules(t, "ip_vs_pe_sip")
	director.LoadModule(t)
	lab := topology.New(t, 2, 2)
	lab.EnableIPv6(t)
	a, b := lab.Directors[0], lab.Directors[1]
	all := []*affinity{
		{family: topology.IPv4, netmask: "255.255.255.0"},
		{family: topology.IPv6, netmask: "64"},
		{family: topology.IPv4},
		{family: topology.IPv6},
		{family: topology.IPv4, onePacket: true},
		{family: topology.IPv6, onePacket: true},
	}
	var services []director.Service
	for i, f := range all {
		f.at = netip.AddrPortFrom(f.family.Virtual(), uint16(5060+i))
		services = append(services, f.service(lab))
		for j, at := range lab.ServersAt(f.family, f.at.Port()) {
			if f.method() == director.DR {
				at = f.at
			}
			echo, err := traffic.ServeAt(lab.Servers[j].Namespace, "udp", at)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { echo.Close() })
		}
	}
	for _, d := range lab.Directors {
		d.AddService(t, services...)
	}
	relay := newRelay(t, a, b)

	serverOf := make(map[*affinity][]string)
	for _, f := range all {
		for group := range groups {
			serverOf[f] = append(serverOf[f], f.visit(t, lab.Client, group, 1))
		}
	}
	relay.pass(t)
	pairs := copies(t, a, b)
	relay.failOver(t, lab)

	for _, f := range all {
		t.Run(f.String(), func(t *testing.T) {
			met := make(map[string]bool)
			for group, server := range serverOf[f] {
				met[server] = true
				template := find(t, pairs, func(c ipvs.Conn) bool { return f.isTemplate(c, group) })
				template.compare(t)
				if template.owner.Timeout != persistence || template.copy.Remaining() < persistence-time.Minute {
					t.Errorf("%v: %v, %v left in its copy: want %v", &template.owner,
						template.owner.Timeout, template.copy.Remaining(), persistence)
				}
				if again := f.visit(t, lab.Client, group, 2); again != server {
					t.Errorf("group %d was with %s and comes to %s", group, server, again)
				}
			}
			if len(met) != len(lab.Servers) {
				t.Errorf("all groups were with %v: that they stay says nothing", met)
			}
		})
	}
	for _, pair := range pairs {
		if !pair.owner.Template() {
			pair.compare(t)
		}
	}
}
