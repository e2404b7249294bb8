package doctor

import "strconv"

// conntrackFull is how full the table may be, in percent, before there are copies
// of peers in it.
const conntrackFull = 80

// conntrack looks at netfilter's connection tracking, with class 2 and without.
func (x *examination) conntrack() {
	tracked, loose := x.sysctl("ipv4.vs.conntrack"), x.sysctl("netfilter.nf_conntrack_tcp_loose")
	if !x.Config.Conntrack.Enabled {
		if tracked == "1" && loose == "0" {
			x.find(Warning, "conntrack.enabled = true, net.netfilter.nf_conntrack_tcp_loose=1, or rules with notrack (docs/policy.md)",
				"net.ipv4.vs.conntrack=1 and net.netfilter.nf_conntrack_tcp_loose=0: after a failover to here every stream is invalid to stateful rules")
		}
		return
	}
	most, err := strconv.Atoi(x.sysctl("netfilter.nf_conntrack_max"))
	if err != nil {
		x.find(Failure, "modprobe nf_conntrack_netlink", "conntrack.enabled, and the kernel has no connection tracking loaded")
		return
	}
	if x.sysctl("netfilter.nf_conntrack_events") == "0" {
		x.find(Failure, "sysctl -w net.netfilter.nf_conntrack_events=1",
			"net.netfilter.nf_conntrack_events=0: the kernel tells of no entry, and peers hear of them every 10 s at best")
	}
	if count, err := strconv.Atoi(x.sysctl("netfilter.nf_conntrack_count")); err == nil {
		x.fact("%d conntrack entries of at most %d", count, most)
		if most > 0 && count*100 > most*conntrackFull {
			x.find(Warning, "sysctl -w net.netfilter.nf_conntrack_max="+strconv.Itoa(2*most)+", on all directors",
				"the table of connection tracking has %d entries of at most %d, and what peers own comes into it, too", count, most)
		}
	}
	if s, ok := readServices(x.host.Files); ok && s.count > 0 && tracked == "0" && !x.Config.Conntrack.WithoutIPVS {
		x.find(Note, "net.ipv4.vs.conntrack=1 on all directors, where stateful rules see these connections",
			"net.ipv4.vs.conntrack=0: connections of IPVS have no conntrack entries to carry")
	}
}
