package doctor

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"

	"github.com/ssyncp/ssyncp/internal/config"
)

// multicast looks whether what goes to a group goes out, and comes in: something
// is sent that stays on this host. Where peers are heard it need not come in.
func (x *examination) multicast() {
	for n, l := range x.Config.Links {
		i, ok := x.usable(l)
		if !ok {
			continue // what is wrong was told
		}
		if x.status != nil && !x.joined(l) {
			x.find(Failure, "systemctl restart ssyncpd; its log says why it could not open the link (journalctl -u ssyncpd)",
				"link %d: ssyncpd runs, and %s is not a member of group %v", n+1, i.Name, l.Group)
		}
		switch err := x.host.Probe(x.ctx, l, i, !x.heardOnLink[n]); {
		case err == nil && x.heardOnLink[n]:
			x.fact("link %d: peers are heard", n+1)
		case err == nil:
			x.fact("link %d: this host's rules let group %v through", n+1, l.Group)
			x.snooping(n, l, i)
		case errors.Is(err, errSendDropped), errors.Is(err, errNotHeard):
			x.find(Failure, x.accept(l, i, err), "link %d: what is sent to %v on %s does not come through this host's own rules: %v%s",
				n+1, l.Group, i.Name, err, x.culprit(l, i, errors.Is(err, errSendDropped)))
		default:
			x.find(Note, "run ssyncpd doctor as root", "link %d: whether this host's rules let group %v through is not known: %v", n+1, l.Group, err)
		}
	}
}

// snooping says what may keep a group from other hosts, where none is heard.
func (x *examination) snooping(n int, l config.Link, i Interface) {
	if control.Contains(l.Group) {
		return // no switch filters it
	}
	severity := Note
	if x.status != nil {
		severity = Warning
	}
	bridge := x.bridge(i.Name)
	snoops := x.bridgeSetting(bridge, "multicast_snooping") == "1"
	if bridge != "" && !snoops {
		return
	}
	remedy := `a querier on that network, or group = "224.0.0.81", which switches do not filter`
	if snoops && x.bridgeSetting(bridge, "multicast_querier") != "1" {
		remedy = "ip link set " + bridge + " type bridge mcast_querier 1; or " + remedy
	}
	x.find(severity, remedy, "link %d: nobody is heard in group %v, which switches that snoop IGMP or MLD forward only where a querier asks; whether one does is not known here",
		n+1, l.Group)
}

// bridge returns the bridge that an interface is, or is a port of; "" is none.
func (x *examination) bridge(name string) string {
	if x.bridgeSetting(name, "multicast_snooping") != "" {
		return name
	}
	to, err := x.host.Files.Readlink("/sys/class/net/" + name + "/master")
	if err != nil {
		return ""
	}
	master := to[strings.LastIndexByte(to, '/')+1:]
	if x.bridgeSetting(master, "multicast_snooping") == "" {
		return ""
	}
	return master
}

func (x *examination) bridgeSetting(name, key string) string {
	text, err := x.host.Files.ReadFile("/sys/class/net/" + name + "/bridge/" + key)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// joined reports whether somebody on this host is a member of the link's group
// there. Where the files do not say, somebody is.
func (x *examination) joined(l config.Link) bool {
	file := "/proc/net/igmp"
	if l.Group.Is6() {
		file = "/proc/net/igmp6"
	}
	text, err := x.host.Files.ReadFile(file)
	if err != nil {
		return true
	}
	on := ""
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) < 2:
		case l.Group.Is6(): // 2 eth1 ff0200000000000000000000000000fb 1 ...
			if len(fields) > 2 && fields[1] == l.Interface && memberOf(fields[2], l.Group) {
				return true
			}
		case line[0] != '\t': // 2	eth1      :     1      V3
			on = strings.TrimSuffix(fields[1], ":")
		case on == l.Interface && memberOf(fields[0], l.Group): // 				510000E0     1 0:00000000
			return true
		}
	}
	return false
}

// memberOf compares a group with how the kernel writes it: IPv4 as a number of
// its own byte order.
func memberOf(text string, group netip.Addr) bool {
	b, err := hex.DecodeString(text)
	if err != nil {
		return false
	}
	if len(b) == 4 {
		b = binary.NativeEndian.AppendUint32(nil, binary.BigEndian.Uint32(b))
	}
	a, ok := netip.AddrFromSlice(b)
	return ok && a == group
}
