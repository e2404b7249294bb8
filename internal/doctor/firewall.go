package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"

	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/pkg/wire"
)

// firewall looks for rules of this host that drop what peers send, or what is
// sent to them. Where peers are heard on a link, or what was sent to its group
// came in, nothing is read: that is better than any reading of rules.
func (x *examination) firewall() {
	rules, known := x.rules()
	for n, l := range x.Config.Links {
		i := x.interfaces[l.Interface]
		if l.Multicast() || x.heardOnLink[n] {
			continue // probed, or heard
		}
		for _, peer := range l.Peers {
			own, err := x.host.SourceTo(peer)
			if err != nil || !known {
				continue
			}
			for _, p := range []packet{x.packet(l, i, peer, own, false), x.packet(l, i, own, peer, true)} {
				x.dropped(n, l, i, peer, p.outgoing, rules.judge(p))
			}
		}
		if known {
			x.find(Note, "ssyncpd on both: then `ssyncpd doctor` tells by what arrives", "link %d: whether firewalls between this host and its peers let %s through is not known: no peer is heard yet", n+1, carrier(l))
		}
	}
}

// rules returns those of nftables. Where they cannot be had, it says so.
func (x *examination) rules() (ruleset, bool) {
	if text, err := x.host.Files.ReadFile("/proc/net/ip_tables_names"); err == nil && len(strings.TrimSpace(string(text))) > 0 {
		x.find(Note, "iptables-legacy-save shows them", "there are rules of the older iptables, which are not read here")
	}
	rules, err := x.nftables()
	switch {
	case err == nil:
		x.fact("%d chains of nftables", len(rules.chains))
		return rules, true
	case errors.Is(err, exec.ErrNotFound) && !x.loaded("nf_tables"):
		x.fact("no nftables")
		return ruleset{}, true
	case errors.Is(err, exec.ErrNotFound):
		x.find(Note, "apt-get install nftables", "the rules of nftables are not known: %v", err)
	default:
		x.find(Note, "run ssyncpd doctor as root; nft list ruleset", "the rules of nftables are not known: %v", err)
	}
	return ruleset{}, false
}

// nftables asks nft.
func (x *examination) nftables() (ruleset, error) {
	text, err := x.host.Run(x.ctx, "nft", "-j", "-n", "list", "ruleset")
	if err != nil {
		return ruleset{}, fmt.Errorf("nft -j list ruleset: %w", err)
	}
	return parseRuleset(text)
}

// packet is one of a link.
func (x *examination) packet(l config.Link, on Interface, from, to netip.Addr, outgoing bool) packet {
	return packet{outgoing: outgoing, on: on.Name, source: from, dest: to, protocol: wire.Protocol, port: l.UDPPort}
}

// dropped says what the rules do to a packet of a unicast link.
func (x *examination) dropped(n int, l config.Link, i Interface, peer netip.Addr, outgoing bool, f fate) {
	does := "comes from"
	if outgoing {
		does = "goes to"
	}
	switch f.drop {
	case yes:
		x.find(Failure, accepting(l, i, outgoing), "link %d: a rule of this host drops what %s peer %v: %s", n+1, does, peer, f.where)
	case maybe:
		x.find(Note, accepting(l, i, outgoing)+", if it does", "link %d: whether a rule of this host drops what %s peer %v is not known: %s", n+1, does, peer, f.where)
	}
}

// accept is the remedy for a probe that did not come in.
func (x *examination) accept(l config.Link, i Interface, err error) string {
	return accepting(l, i, errors.Is(err, errSendDropped))
}

// accepting is a rule that lets a link's packets through. Which chain it belongs
// into is the administrator's to know.
func accepting(l config.Link, i Interface, outgoing bool) string {
	chain, on := "input", "iifname"
	if outgoing {
		chain, on = "output", "oifname"
	}
	return fmt.Sprintf("a rule that accepts it before the one that drops it, such as: nft insert rule inet filter %s %s %s %s accept (and in /etc/nftables.conf)",
		chain, on, i.Name, nftMatch(l))
}

func nftMatch(l config.Link) string {
	if l.UDPPort != 0 {
		return fmt.Sprintf("udp dport %d", l.UDPPort)
	}
	return fmt.Sprintf("meta l4proto %d", wire.Protocol)
}

func carrier(l config.Link) string {
	if l.UDPPort != 0 {
		return fmt.Sprintf("UDP port %d", l.UDPPort)
	}
	return fmt.Sprintf("IP protocol %d", wire.Protocol)
}

// culprit names the chain that drops a probe, where the rules tell.
func (x *examination) culprit(l config.Link, i Interface, outgoing bool) string {
	rules, err := x.nftables()
	if err != nil {
		return ""
	}
	own, _ := i.IPv4()
	for _, p := range i.Addresses {
		if l.Group.Is6() && p.Addr().IsLinkLocalUnicast() && p.Addr().Is6() {
			own = p.Addr()
		}
	}
	f := rules.judge(x.packet(l, i, own, l.Group, outgoing))
	switch f.drop {
	case yes:
		return " (" + f.where + ")"
	case maybe:
		return " (maybe " + f.where + ")"
	}
	return " (no rule of nftables that is understood here does)"
}
