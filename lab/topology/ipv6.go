package topology

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/netns"
)

// The same network in IPv6, where a test asks for it: on every segment a host
// has the last byte of its IPv4 address.

// A Family is one of the two kinds of addresses.
type Family string

const (
	IPv4 Family = "IPv4"
	IPv6 Family = "IPv6"
)

// Virtual returns the virtual address of the family.
func (f Family) Virtual() netip.Addr {
	if f == IPv6 {
		return Virtual6
	}
	return Virtual
}

// Virtual6 is the IPv6 address of the virtual services, and Clients6 are
// addresses that the client can take beside its own.
var (
	Virtual6 = netip.MustParseAddr("2001:db8::80")
	Clients6 = netip.MustParsePrefix("2001:db8:4::/48")
)

var clientAddress6 = address6(director.FrontLink, 2)

// address6 is a host's address on a segment.
func address6(segment string, last byte) netip.Addr {
	a := netip.MustParseAddr(map[string]string{
		director.FrontLink: "2001:db8:1::", director.BackLink: "2001:db8:2::",
	}[segment]).As16()
	a[15] = last
	return netip.AddrFrom16(a)
}

// EnableIPv6 gives everybody IPv6 addresses and routes beside the others.
// Director 0 is active.
func (lab *Topology) EnableIPv6(t testing.TB) {
	t.Helper()
	lab.ipv6 = true
	all := errands{ip: (*netns.Namespace).IP6}
	// No duplicate address detection: it takes a second.
	assign := func(segment string, a netip.Addr) string {
		return fmt.Sprintf("addr add %v/64 dev %s nodad", a, segment)
	}
	virtual := fmt.Sprintf("addr add %v/128 dev lo nodad", Virtual6)
	router := map[string]string{"ipv6.conf.all.forwarding": "1"}
	back := fmt.Sprintf("route add %v via %v", Clients6, clientAddress6)
	all.node(t, lab.fabric, router,
		assign(director.FrontLink, address6(director.FrontLink, 1)),
		assign(director.BackLink, address6(director.BackLink, 1)),
		back)
	all.node(t, lab.Client, map[string]string{"ipv6.ip_nonlocal_bind": "1"},
		assign(director.FrontLink, clientAddress6),
		fmt.Sprintf("route add local %v dev lo", Clients6))
	for _, d := range lab.Directors {
		d.Front6 = address6(director.FrontLink, d.Front.As4()[3])
		d.Back6 = address6(director.BackLink, d.Back.As4()[3])
		all.node(t, d.Namespace, router,
			assign(director.FrontLink, d.Front6), assign(director.BackLink, d.Back6), virtual, back)
	}
	for i := range lab.Servers {
		s := &lab.Servers[i]
		s.Address6 = address6(director.BackLink, s.Address.As4()[3])
		all.node(t, s.Namespace, nil,
			assign(director.BackLink, s.Address6), virtual,
			fmt.Sprintf("rule add from %v lookup 100", Virtual6),
			fmt.Sprintf("route add default via %v table 100", address6(director.BackLink, 1)))
	}
	all.wait(t)
	lab.Activate(t, lab.Directors[0])
}
