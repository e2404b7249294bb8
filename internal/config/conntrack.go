package config

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

// Conntrack is whether version 2 carries the entries of netfilter's connection
// tracking, too, and which ones it sends; all, where nothing is said. It does
// not limit what is taken from peers.
type Conntrack struct {
	Enabled     bool
	Protocols   []conntrack.Protocol
	Networks    []netip.Prefix // of either end, also behind NAT
	Except      []netip.Prefix // of either end
	States      []string       // of TCP and SCTP
	WithoutIPVS bool
}

// differences returns the keys that the two differ in.
func (c Conntrack) differences(other Conntrack) []string {
	var list []string
	for _, key := range []struct {
		name string
		same bool
	}{
		{"conntrack.enabled", c.Enabled == other.Enabled},
		{"conntrack.protocols", slices.Equal(c.Protocols, other.Protocols)},
		{"conntrack.networks", slices.Equal(c.Networks, other.Networks)},
		{"conntrack.except", slices.Equal(c.Except, other.Except)},
		{"conntrack.states", slices.Equal(c.States, other.States)},
		{"conntrack.without_ipvs", c.WithoutIPVS == other.WithoutIPVS},
	} {
		if !key.same {
			list = append(list, key.name)
		}
	}
	return list
}

func (p *problems) conntrack(doc document) Conntrack {
	return Conntrack{
		Enabled:     p.truth("conntrack.enabled", doc.Conntrack.Enabled),
		Protocols:   list(p, "conntrack.protocols", doc.Conntrack.Protocols, p.trackedProtocol),
		Networks:    list(p, "conntrack.networks", doc.Conntrack.Networks, p.prefix),
		Except:      list(p, "conntrack.except", doc.Conntrack.Except, p.prefix),
		States:      list(p, "conntrack.states", doc.Conntrack.States, p.trackedState),
		WithoutIPVS: p.truth("conntrack.without_ipvs", doc.Conntrack.WithoutIPVS),
	}
}

// trackedProtocols are those that have names here.
var trackedProtocols = []conntrack.Protocol{
	conntrack.TCP, conntrack.UDP, conntrack.SCTP, conntrack.ICMP, conntrack.ICMPv6, conntrack.GRE, conntrack.UDPLite,
}

func (p *problems) trackedProtocol(key, name string) (conntrack.Protocol, bool) {
	i := slices.IndexFunc(trackedProtocols, func(protocol conntrack.Protocol) bool {
		return strings.EqualFold(name, protocol.String())
	})
	if i < 0 {
		p.add(key, name, "not a protocol: must be tcp, udp, sctp, icmp, icmpv6, gre or udplite")
		return 0, false
	}
	return trackedProtocols[i], true
}

// prefix takes a network, or one address.
func (p *problems) prefix(key, text string) (netip.Prefix, bool) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		var addr netip.Addr
		if addr, err = netip.ParseAddr(text); err == nil {
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
	}
	if err != nil || prefix.Addr().Is4In6() || prefix.Addr().Zone() != "" || prefix != prefix.Masked() {
		p.add(key, text, `not a network: write "192.0.2.0/24", "2001:db8::/32", or one address`)
		return netip.Prefix{}, false
	}
	return prefix, true
}

func (p *problems) trackedState(key, name string) (string, bool) {
	var known []string
	for _, protocol := range []conntrack.Protocol{conntrack.TCP, conntrack.SCTP} {
		for _, state := range conntrack.States(protocol) {
			if !slices.Contains(known, state) {
				known = append(known, state)
			}
		}
	}
	i := slices.IndexFunc(known, func(state string) bool { return strings.EqualFold(name, state) })
	if i < 0 {
		p.add(key, name, "not a state: use %s", strings.Join(known, ", "))
		return "", false
	}
	return known[i], true
}
