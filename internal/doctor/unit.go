package doctor

import (
	"net/netip"
	"slices"
	"strings"
)

// unitFile is what counts of the systemd unit, with its drop-ins and what
// `systemctl set-property` made of it.
type unitFile struct {
	path        string // "": there is none
	user        string
	deny, allow []netip.Prefix
	allowsLinks bool // it looks for the networks of the links before each start
	stale       bool // it was changed, and systemd not told
}

const unitName = "ssyncpd.service"

// readUnit asks systemd. Where that does not run, there are no units.
func (x *examination) readUnit() (u unitFile) {
	text, err := x.host.Run(x.ctx, "systemctl", "show", unitName,
		"--property=LoadState,FragmentPath,User,IPAddressAllow,IPAddressDeny,ExecStartPre,NeedDaemonReload")
	if err != nil {
		return unitFile{}
	}
	loaded := false
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "LoadState":
			loaded = value == "loaded"
		case "FragmentPath":
			u.path = value
		case "User":
			u.user = value
		case "IPAddressAllow":
			u.allow = prefixesOf(value)
		case "IPAddressDeny":
			u.deny = prefixesOf(value)
		case "ExecStartPre":
			u.allowsLinks = u.allowsLinks || strings.Contains(value, "IPAddressAllow=")
		case "NeedDaemonReload":
			u.stale = value == "yes"
		}
	}
	if !loaded {
		return unitFile{}
	}
	return u
}

// prefixesOf reads a list of networks.
func prefixesOf(list string) (prefixes []netip.Prefix) {
	for _, word := range strings.Fields(list) {
		if p, err := netip.ParsePrefix(word); err == nil {
			prefixes = append(prefixes, p)
		}
	}
	return prefixes
}

// passes reports whether the unit lets packets of an address through.
func (u unitFile) passes(a netip.Addr) bool {
	contains := func(p netip.Prefix) bool { return p.Contains(a) }
	return slices.ContainsFunc(u.allow, contains) || !slices.ContainsFunc(u.deny, contains)
}

// unit looks whether the unit lets packets of the links through. What it does
// not, nobody hears of.
func (x *examination) unit() {
	if x.ownUnit.path == "" {
		return
	}
	x.fact("%s", x.ownUnit.path)
	if x.ownUnit.stale {
		x.find(Note, "systemctl daemon-reload", "the unit was changed, and systemd goes by what it was before")
	}
	remedy := "systemctl edit ssyncpd, with [Service] and IPAddressAllow= and the networks of the links; then systemctl restart ssyncpd"
	if x.ownUnit.allowsLinks {
		if x.process == nil {
			return // nobody knows before it starts
		}
		remedy = "systemctl restart ssyncpd, which lets the networks through that the links have now; or " + remedy
	}
	for n, l := range x.Config.Links {
		addresses := slices.Clone(l.Peers)
		if l.Multicast() {
			// Those of peers are like our own one.
			if own, ok := x.interfaces[l.Interface].IPv4(); ok && l.Group.Is4() {
				addresses = append(addresses, own)
			}
			addresses = append(addresses, l.Group)
		}
		for _, a := range addresses {
			if x.ownUnit.passes(a) {
				continue
			}
			x.find(Failure, remedy, "link %d: the unit drops packets of %v without a word (IPAddressDeny=)", n+1, a)
			break
		}
	}
}
