package doctor

import (
	"net/netip"

	"github.com/ssyncp/ssyncp/internal/config"
)

// links looks at the interfaces that directors talk over.
func (x *examination) links() {
	for n, l := range x.Config.Links {
		i, ok := x.interfaces[l.Interface]
		switch {
		case l.Interface == "":
		case !ok:
			x.find(Failure, "`ip link` shows those there are: name one of them", "link %d: there is no interface %s", n+1, l.Interface)
			continue
		case !i.Up:
			x.find(Failure, "ip link set "+i.Name+" up", "link %d: interface %s is down", n+1, i.Name)
			continue
		case !i.Carrier:
			x.find(Failure, "look at the cable, the switch port, and whether the peer is on: ethtool "+i.Name, "link %d: interface %s has no carrier", n+1, i.Name)
		}
		if l.Interface != "" {
			x.fact("link %d: %s, MTU %d", n+1, i.Name, i.MTU)
		}
		if l.Multicast() {
			x.canMulticast(n, l, i)
			continue
		}
		for _, peer := range l.Peers {
			if _, err := x.host.SourceTo(peer); err != nil && !peer.IsLinkLocalUnicast() {
				x.find(Failure, "ip route get "+peer.String()+" says the same: add a route, or an address in the peer's network", "link %d: %v", n+1, err)
			}
		}
	}
}

// canMulticast looks at what a group takes of an interface.
func (x *examination) canMulticast(n int, l config.Link, i Interface) {
	if !i.Multicast {
		x.find(Failure, "ip link set "+i.Name+" multicast on", "link %d: interface %s has no flag MULTICAST", n+1, i.Name)
	}
	if l.Group.Is4() {
		if _, ok := i.IPv4(); !ok {
			x.find(Failure, "ip address add ADDRESS/LENGTH dev "+i.Name, "link %d: interface %s has no IPv4 address to send from", n+1, i.Name)
		}
		return
	}
	for _, p := range i.Addresses {
		if p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() {
			return
		}
	}
	x.find(Failure, "sysctl -w net.ipv6.conf."+i.Name+".disable_ipv6=0; or ip address add fe80::1/64 dev "+i.Name,
		"link %d: interface %s has no link-local IPv6 address to send from", n+1, i.Name)
}

// usable returns the interface of a multicast link where something can be sent.
func (x *examination) usable(l config.Link) (Interface, bool) {
	i, ok := x.interfaces[l.Interface]
	if !ok || !l.Multicast() || !i.Up || !i.Multicast {
		return i, false
	}
	if _, has := i.IPv4(); l.Group.Is4() && !has {
		return i, false
	}
	return i, true
}

// control are the groups that switches flood, whoever asked for them.
var control = netip.MustParsePrefix("224.0.0.0/24")
