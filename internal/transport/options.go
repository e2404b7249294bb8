package transport

import (
	"fmt"
	"net/netip"
	"strings"
)

// Options say which link to open: an interface with a group, or peers.
type Options struct {
	Interface string       // of a unicast link it may be empty: what the routes say
	Group     netip.Addr   // multicast
	Peers     []netip.Addr // unicast, without zones
	Protocol  int          // IP protocol number
	Port      int          // of UDP, of both sides; 0: the protocol itself
	TTL       int          // of what is sent over a unicast link; 0: 255
	Counters  *Counters

	// Bound to the interface, the socket gets nothing that comes in elsewhere, to be
	// dropped and counted. Two links of one UDP port must be, on two interfaces.
	Bound  bool
	Beside *Interfaces // of the other links of this director; nil: there are none

	// Version 1 has datagrams of up to this size, to the group and nobody
	// else. 0: what fits a packet, and to this host, too.
	MaxSize int
}

// multicast reports whether there is a group.
func (o *Options) multicast() bool { return o.Group.IsValid() }

// ipv6 reports which family the link is of.
func (o *Options) ipv6() bool { return o.address().Is6() }

// address returns one of the addresses to send to.
func (o *Options) address() netip.Addr {
	if o.multicast() {
		return o.Group
	}
	return o.Peers[0]
}

// headers returns how long those are that go before a datagram.
func (o *Options) headers() int {
	n := ipv4Header
	if o.ipv6() {
		n = ipv6Header
	}
	if o.Port != 0 {
		n += udpHeader
	}
	return n
}

// ttl returns that of what is sent.
func (o *Options) ttl() int {
	if o.TTL == 0 {
		return TTL
	}
	return o.TTL
}

// least returns what a path of a unicast link takes at least, whatever an ICMP
// error says.
func (o *Options) least() int {
	switch {
	case o.multicast():
		return 0
	case o.ipv6():
		return ipv6Least
	}
	return ipv4Least
}

// validate looks for what is wrong without asking the system.
func (o *Options) validate() error {
	switch {
	case o.TTL < 0 || o.TTL > TTL || o.TTL != 0 && o.TTL != TTL && o.multicast():
		return fmt.Errorf("%d: %w (1 to 255, and 255 with a group)", o.TTL, ErrTTL)
	case o.Port < 0 || o.Port > 65535:
		return fmt.Errorf("%d: %w (1 to 65535)", o.Port, ErrPort)
	case o.multicast() && len(o.Peers) > 0:
		return fmt.Errorf("%w: a link has either a group (%v) or peers (%v)", ErrPeers, o.Group, o.Peers[0])
	case o.multicast() && (!o.Group.IsMulticast() || o.Group.Is4In6() || o.Group.Zone() != ""):
		return fmt.Errorf("%v: %w", o.Group, ErrGroup)
	case o.multicast() && o.Interface == "":
		return fmt.Errorf("%w: group %v takes an interface", ErrNoInterface, o.Group)
	case o.multicast():
		return nil
	case len(o.Peers) == 0:
		return fmt.Errorf("%w: neither a group nor peers", ErrPeers)
	}
	seen := map[netip.Addr]bool{}
	for _, peer := range o.Peers {
		switch {
		case !peer.IsValid() || peer.IsMulticast() || peer.IsUnspecified() || peer.Is4In6():
			return fmt.Errorf("%w: %v is no host's address", ErrPeers, peer)
		case peer.Zone() != "":
			return fmt.Errorf("%w: %v: the link's interface says which one, write %v", ErrPeers, peer, peer.WithZone(""))
		case peer.IsLinkLocalUnicast() && o.Interface == "":
			return fmt.Errorf("%w: %v is link-local: name the link's interface", ErrPeers, peer)
		case peer.Is4() != o.Peers[0].Is4():
			return fmt.Errorf("%w: %v and %v are of two families: make two links of them", ErrPeers, o.Peers[0], peer)
		case seen[peer]:
			return fmt.Errorf("%w: %v is there twice", ErrPeers, peer)
		}
		seen[peer] = true
	}
	return nil
}

// list joins addresses for a line of text.
func list(addresses []netip.Addr) string {
	var b strings.Builder
	for i, a := range addresses {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(a.String())
	}
	return b.String()
}
