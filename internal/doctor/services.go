package doctor

import (
	"cmp"
	"encoding/hex"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// services are those of IPVS, by how they forward.
type services struct {
	count, servers int
	methods        map[string][]netip.Addr // real servers by the column "Forward"
}

// readServices reads /proc/net/ip_vs:
//
//	TCP  C0000250:1F40 rr
//	  -> 0A000216:1F40      Masq    1      0          0
func readServices(files Files) (services, bool) {
	text, err := files.ReadFile("/proc/net/ip_vs")
	if err != nil {
		return services{}, false
	}
	s := services{methods: make(map[string][]netip.Addr)}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) < 3:
		case fields[0] == "->" && fields[1] != "RemoteAddress:Port":
			s.servers++
			s.methods[fields[2]] = append(s.methods[fields[2]], serverAddress(fields[1]))
		case fields[0] == "TCP", fields[0] == "UDP", fields[0] == "SCTP", fields[0] == "FWM":
			s.count++
		}
	}
	return s, true
}

// serverAddress reads 0A000216:1F40, or [2001:0db8:...]:1F40.
func serverAddress(text string) netip.Addr {
	host := text[:max(strings.LastIndexByte(text, ':'), 0)]
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return a
	}
	b, err := hex.DecodeString(host)
	if err != nil {
		return netip.Addr{}
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// services looks at what IPVS is to do here, after a failover at the latest.
func (x *examination) services() {
	s, ok := readServices(x.host.Files)
	if !ok {
		return
	}
	x.fact("%d services, %d real servers", s.count, s.servers)
	switch {
	case s.count == 0 && x.Config.Conntrack.Enabled:
		return
	case s.count == 0:
		x.find(Warning, "configure the same services as on the other directors: keepalived, or ipvsadm -Sn there and ipvsadm -R here",
			"there is no virtual service: whatever peers tell is refused (no_dest)")
		return
	case s.servers == 0:
		x.find(Warning, "add them, as on the other directors: a health checker that removed all of them is the usual reason", "no virtual service has a real server")
	}
	if slices.ContainsFunc(s.methods["Masq"], netip.Addr.Is4) && x.sysctl("ipv4.ip_forward") == "0" {
		x.find(Failure, "sysctl -w net.ipv4.ip_forward=1", "services with NAT, and net.ipv4.ip_forward is 0: after a failover to here nothing is answered")
	}
	// By direct routing and by tunnels, a real server has the virtual address.
	direct := slices.Concat(s.methods["Route"], s.methods["Tunnel"], s.methods["Local"])
	others := slices.DeleteFunc(slices.Clone(direct), x.local)
	if len(others) == 0 || len(others) == len(direct) {
		return
	}
	x.fact("a real server itself")
	if x.sysctl("ipv4.vs.backup_only") == "0" {
		x.find(Warning, "net.ipv4.vs.backup_only=1, with the in-kernel backup where the director is passive: docs/dr-directors.md",
			"this director is one of its own real servers, and net.ipv4.vs.backup_only is 0: while it is passive it forwards back what it should serve")
	}
	x.reverse(others)
}

// local reports whether an address is this host's.
func (x *examination) local(a netip.Addr) bool {
	for _, i := range x.interfaces {
		if i.has(a) {
			return true
		}
	}
	return false
}

// reverse looks whether what another director forwards here is dropped on its
// way in: it comes from a client, over a tunnel or the interface of the real
// servers.
func (x *examination) reverse(servers []netip.Addr) {
	out := x.defaultRoute()
	for _, name := range slices.Sorted(maps.Keys(x.interfaces)) {
		i := x.interfaces[name]
		if !i.Up || name == out || x.strict(name) == "" || !strings.HasPrefix(name, "tunl") && (out == "" || !slices.ContainsFunc(servers, i.near)) {
			continue
		}
		x.find(Warning, "sysctl -w net.ipv4.conf."+name+".rp_filter=2, if clients' packets come in there",
			"%s: what another director forwards to this one over %s is dropped where the way back to the client is by %s", x.strict(name), name, cmp.Or(out, "another interface"))
	}
}

// defaultRoute returns the interface of the default route of IPv4.
func (x *examination) defaultRoute() string {
	text, err := x.host.Files.ReadFile("/proc/net/route")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 7 && fields[1] == "00000000" && fields[7] == "00000000" {
			return fields[0]
		}
	}
	return ""
}
