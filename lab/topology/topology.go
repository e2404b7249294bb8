// Package topology builds the network of a guest test: a client, directors and
// real servers, each in a network namespace of its own, on three segments.
//
//	             10.0.1.0/24 front
//	-----+---------+---------+---------+-----
//	     |         |         |         |
//	   .2|      .11|      .12|       .1|
//	+----+---+ +---+---+ +---+---+ +---+----+
//	| client | | dir A | | dir B | | fabric |
//	+--------+ +-+---+-+ +-+---+-+ +---+----+
//	          .11|   |  .12|   |     .1|
//	             |   +-----|---+-------|----- 10.0.3.0/24 sync
//	-------+-----+-----+---+-------+---+-----
//	    .21|        .22|
//	+------+---+ +-----+----+
//	| server 1 | | server 2 |   10.0.2.0/24 back
//	+----------+ +----------+
//
// The virtual address is on every director and, for DR and TUN, on the servers'
// loopback; none of them answers ARP for it. What a failover moves is routes:
// the client's to the virtual address, and the servers' way back, for NAT.
// Answers of DR and TUN servers come from the virtual address and go through
// fabric, which is also the switch of all three segments.
package topology

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/netns"
)

// Virtual is the address of the virtual services.
var Virtual = netip.MustParseAddr("192.0.2.80")

// Clients are addresses that the client can take beside its own, and Flood ones
// that it swallows what is sent to: sources for a SYN flood.
var (
	Clients = netip.MustParsePrefix("10.4.0.0/16")
	Flood   = netip.MustParsePrefix("198.18.0.0/15")
)

var clientAddress = netip.MustParseAddr("10.0.1.2")

// The segments' bridges and ports are in this namespace.
const fabricName = "fabric"

var segments = []string{director.FrontLink, director.BackLink, director.SyncLink}

// A Server is a real server.
type Server struct {
	*netns.Namespace
	Address  netip.Addr
	Address6 netip.Addr // zero until EnableIPv6
}

// In returns the server's address of a family.
func (s Server) In(f Family) netip.Addr {
	if f == IPv6 {
		return s.Address6
	}
	return s.Address
}

// A Topology is the network of one test.
type Topology struct {
	Client    *netns.Namespace
	Directors []*director.Director
	Servers   []Server
	fabric    *netns.Namespace
	ipv6      bool
}

// New builds a network that goes away with the test. Director 0 is active.
func New(t testing.TB, directors, servers int) *Topology {
	t.Helper()
	lab := &Topology{fabric: namespace(t, fabricName), Client: namespace(t, "client")}
	for i := range directors {
		last := byte(11 + i)
		lab.Directors = append(lab.Directors, &director.Director{
			Namespace: namespace(t, "director"+string(rune('A'+i))),
			Front:     netip.AddrFrom4([4]byte{10, 0, 1, last}),
			Back:      netip.AddrFrom4([4]byte{10, 0, 2, last}),
			Sync:      netip.AddrFrom4([4]byte{10, 0, 3, last}),
		})
	}
	for i := range servers {
		lab.Servers = append(lab.Servers, Server{
			Namespace: namespace(t, fmt.Sprintf("server%d", i+1)),
			Address:   netip.AddrFrom4([4]byte{10, 0, 2, byte(21 + i)}),
		})
	}
	lab.wire(t)
	lab.configure(t)
	lab.Activate(t, lab.Directors[0])
	return lab
}

func namespace(t testing.TB, name string) *netns.Namespace {
	t.Helper()
	n, err := netns.New(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// port names the end of a node's link that is in the fabric.
func port(node *netns.Namespace, segment string) string { return node.Name + "-" + segment }

// wire makes the segments and plugs everybody in.
func (lab *Topology) wire(t testing.TB) {
	t.Helper()
	var b strings.Builder
	for _, segment := range segments {
		fmt.Fprintf(&b, "link add %s type bridge mcast_snooping 0\nlink set %[1]s up\n", segment)
	}
	plug(&b, lab.Client, director.FrontLink)
	for _, d := range lab.Directors {
		plug(&b, d.Namespace, segments...)
	}
	for _, s := range lab.Servers {
		plug(&b, s.Namespace, director.BackLink)
	}
	batch(t, lab.fabric, b.String())
}

// plug adds commands for the fabric that plug a node into segments.
func plug(b *strings.Builder, node *netns.Namespace, segments ...string) {
	for _, segment := range segments {
		fmt.Fprintf(b, "link add %s type veth peer name %s netns %s\n", port(node, segment), segment, node.Name)
		fmt.Fprintf(b, "link set %s master %s up\n", port(node, segment), segment)
	}
}

// configure gives everybody addresses and the routes that do not move.
func (lab *Topology) configure(t testing.TB) {
	t.Helper()
	all := errands{ip: (*netns.Namespace).IP}
	all.node(t, lab.fabric, router(),
		"addr add 10.0.1.1/24 dev front",
		"addr add 10.0.2.1/24 dev back",
		fmt.Sprintf("route add %v via %v", Clients, clientAddress),
		fmt.Sprintf("route add %v via %v", Flood, clientAddress))
	all.node(t, lab.Client, nil,
		fmt.Sprintf("addr add %v/24 dev front", clientAddress),
		"link set front up",
		fmt.Sprintf("route add local %v dev lo", Clients))
	for _, d := range lab.Directors {
		all.director(t, d)
	}
	for _, s := range lab.Servers {
		all.node(t, s.Namespace, map[string]string{
			"ipv4.conf.all.arp_ignore":   "1",
			"ipv4.conf.all.arp_announce": "2",
		},
			fmt.Sprintf("addr add %v/24 dev back", s.Address),
			fmt.Sprintf("addr add %v/32 dev lo", Virtual),
			"link set back up", "link set tunl0 up",
			fmt.Sprintf("rule add from %v lookup 100", Virtual),
			"route add default via 10.0.2.1 table 100")
	}
	all.wait(t)
}

// Errands are what is done on several nodes at once.
type errands struct {
	sync.WaitGroup
	ip func(n *netns.Namespace, batch string) error
}

// node sets keys and runs iproute2 commands on a node.
func (e *errands) node(t testing.TB, n *netns.Namespace, sysctls map[string]string, commands ...string) {
	e.Go(func() {
		for key, value := range sysctls {
			if err := n.Sysctl(key, value); err != nil {
				t.Error(err)
			}
		}
		if err := e.ip(n, strings.Join(commands, "\n")+"\n"); err != nil {
			t.Error(err)
		}
	})
}

// router are the keys of who forwards.
func router() map[string]string {
	return map[string]string{
		"ipv4.ip_forward":              "1",
		"ipv4.conf.all.send_redirects": "0", "ipv4.conf.default.send_redirects": "0",
	}
}

// director configures one.
func (e *errands) director(t testing.TB, d *director.Director) {
	e.node(t, d.Namespace, router(),
		fmt.Sprintf("addr add %v/24 dev front", d.Front),
		fmt.Sprintf("addr add %v/24 dev back", d.Back),
		fmt.Sprintf("addr add %v/24 dev sync", d.Sync),
		fmt.Sprintf("addr add %v/32 dev lo", Virtual),
		"link set front up", "link set back up", "link set sync up",
		fmt.Sprintf("route add %v via %v", Clients, clientAddress),
		fmt.Sprintf("route add %v via %v", Flood, clientAddress))
}

func (e *errands) wait(t testing.TB) {
	t.Helper()
	e.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

func batch(t testing.TB, n *netns.Namespace, commands string) {
	t.Helper()
	if err := n.IP(commands); err != nil {
		t.Fatal(err)
	}
}

// AddService makes a service of the virtual address on every director, with every
// server behind it, all on the same port, and returns its address.
func (lab *Topology) AddService(t testing.TB, s director.Service, port uint16) netip.AddrPort {
	t.Helper()
	s.Virtual = netip.AddrPortFrom(Virtual, port)
	s.Servers = lab.ServersAt(IPv4, port)
	for _, d := range lab.Directors {
		d.AddService(t, s)
	}
	return s.Virtual
}

// ServersAt returns the addresses of a family of all servers, with a port.
func (lab *Topology) ServersAt(f Family, port uint16) []netip.AddrPort {
	var at []netip.AddrPort
	for _, s := range lab.Servers {
		at = append(at, netip.AddrPortFrom(s.In(f), port))
	}
	return at
}
