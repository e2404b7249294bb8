package doctor

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// sysctl returns a key under net; "" where the kernel does not have it.
func (x *examination) sysctl(key string) string {
	return x.sysctlAt(strings.ReplaceAll(key, ".", "/"))
}

// sysctlAt is sysctl by its path, for names of interfaces that have dots.
func (x *examination) sysctlAt(path string) string {
	text, err := x.host.Files.ReadFile("/proc/sys/net/" + path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// strict returns the settings by which packets from addresses that this host
// reaches another way are dropped on an interface; "" is none. The larger one of
// two counts: 2 is loose.
func (x *examination) strict(name string) string {
	all, own := x.sysctl("ipv4.conf.all.rp_filter"), x.sysctlAt("ipv4/conf/"+name+"/rp_filter")
	switch {
	case max(all, own) != "1":
		return ""
	case own == "1":
		return "net.ipv4.conf." + name + ".rp_filter=1"
	}
	return "net.ipv4.conf.all.rp_filter=1"
}

// sysctls looks at settings that change what is told, or what arrives.
func (x *examination) sysctls() {
	if x.sysctl("ipv4.vs.sync_persist_mode") == "1" {
		x.find(Warning, "sysctl -w net.ipv4.vs.sync_persist_mode=0, unless that is what you want",
			"net.ipv4.vs.sync_persist_mode=1: of persistent services the templates alone are told; their open connections end with this director")
	}
	for _, defence := range []struct{ key, what string }{
		{"drop_entry", "half-open connections at random"}, {"drop_packet", "new connections at random"},
	} {
		if x.sysctl("ipv4.vs."+defence.key) == "3" {
			x.find(Warning, "sysctl -w net.ipv4.vs."+defence.key+"=1, which does so when memory is short",
				"net.ipv4.vs.%s=3 drops %s, always", defence.key, defence.what)
		}
	}
	for _, l := range x.Config.Links {
		if l.Interface == "" || l.Group.Is6() || len(l.Peers) > 0 && l.Peers[0].Is6() || x.strict(l.Interface) == "" {
			continue
		}
		x.reachedOtherwise(l.Interface, x.addressesOf(l.Interface, l.Peers))
	}
}

// addressesOf returns the peers that come in by an interface: those configured,
// and those that the running daemon knows, on the networks of the interface.
func (x *examination) addressesOf(name string, configured []netip.Addr) []netip.Addr {
	list := slices.Clone(configured)
	for _, p := range x.knownPeers() {
		if x.interfaces[name].near(p) && !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	return list
}

// knownPeers returns the addresses that the running daemon knows.
func (x *examination) knownPeers() []netip.Addr {
	var list []netip.Addr
	if x.status == nil || x.status.Membership == nil {
		return nil
	}
	for _, p := range x.status.Peers {
		if a, err := netip.ParseAddr(p.Address); err == nil {
			list = append(list, a.WithZone(""))
		} else if ap, err := netip.ParseAddrPort(p.Address); err == nil {
			list = append(list, ap.Addr().WithZone(""))
		}
	}
	return list
}

// reachedOtherwise looks for peers whose packets a strict rp_filter drops.
func (x *examination) reachedOtherwise(name string, peers []netip.Addr) {
	remedy := "sysctl -w net.ipv4.conf." + name + ".rp_filter=2; or give the link a network of its own, with the route to the peer over it"
	for _, peer := range peers {
		from, err := x.host.SourceTo(peer)
		if err != nil || !peer.Is4() || x.interfaces[name].has(from) {
			continue
		}
		x.find(Failure, remedy, "%s: what peer %v sends is dropped on %s, as the way to it is from %v, by another interface", x.strict(name), peer, name, from)
		return
	}
	own, ok := x.interfaces[name].IPv4()
	if !ok {
		return
	}
	for _, other := range slices.Sorted(maps.Keys(x.interfaces)) {
		if i := x.interfaces[other]; other != name && i.Up && !i.Loopback && i.near(own) {
			x.find(Warning, remedy, "%s: %s has an address in the network of %s, and packets of peers are taken on one of the two alone", x.strict(name), other, name)
			return
		}
	}
}
