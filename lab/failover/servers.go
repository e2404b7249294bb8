package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/ssyncp/ssyncp/lab/vm"
)

// setUpServers makes a network namespace for each real server, on a card of
// its own, and starts all of them.
func setUpServers(ctx context.Context, guest *vm.Guest) error {
	s := newScript()
	s.say("modprobe -a macvlan ipip")
	// New namespaces inherit these. Nobody may learn from a real server where a
	// virtual address is, and what comes out of a tunnel comes from elsewhere.
	s.say("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 " +
		"net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2 net.core.netdev_max_backlog=10000")
	s.say("ip link set eth0 up")
	s.say("ip link set eth1 up")
	for _, f := range farms {
		for n := 1; n <= servers; n++ {
			name := f.namespace(n)
			s.say("ip netns add %s", name)
			s.say("ip link add link %s name %s type macvlan mode bridge", f.card(), name)
			s.say("ip link set %s netns %s name eth0", name, name)
			s.say("ip -n %s -batch - <<END\n%sEND", name, strings.Join(f.links(n), ""))
			s.say("ip netns exec %s sysctl -qw %s", name, patientSysctl)
		}
	}
	routeServers(s, directorA)
	s.say("ulimit -n 16384; GOGC=off GOMEMLIMIT=400MiB %s </dev/null >/run/servers.log 2>&1 &", serve())
	s.await("ready", "/run/servers.log")
	return s.run(ctx, guest, "set up the real servers")
}

// card is the servers guest's card on the farm's segment.
func (f farm) card() string {
	if f.segment == backSegment {
		return "eth1"
	}
	return "eth0"
}

// links is what `ip -batch` makes of a new namespace.
func (f farm) links(n int) []string {
	mask := 16
	if f.segment == backSegment {
		mask = 24
	}
	lines := []string{
		"link set lo up\n",
		fmt.Sprintf("addr add %s/%d dev eth0\n", f.server(n), mask),
		"link set eth0 up\n",
	}
	if f.segment == frontSegment {
		lines = append(lines, fmt.Sprintf("route add %s dev eth0 %s\n", clientsAddress, patientRoute))
	}
	// A server behind NAT never sees the virtual address.
	switch f.method {
	case gatewaying:
		lines = append(lines, fmt.Sprintf("addr add %s/32 dev lo\n", f.virtual))
	case tunneling:
		lines = append(lines, fmt.Sprintf("addr add %s/32 dev tunl0\n", f.virtual), "link set tunl0 up\n")
	}
	return lines
}

// serve is the command line of all real servers.
func serve() string {
	line := programStreams + " serve"
	for _, f := range farms {
		var sockets []string
		for _, s := range services {
			switch {
			case s.farm != f:
			case s.udp:
				sockets = append(sockets, fmt.Sprintf("udp:%d", s.port))
			default:
				sockets = append(sockets, fmt.Sprintf("tcp:%d", s.port))
			}
		}
		for n := 1; n <= servers; n++ {
			line += fmt.Sprintf(" --server %s=%s", f.namespace(n), strings.Join(sockets, ","))
		}
	}
	return line
}

// routeServers has the servers behind NAT answer through a director.
func routeServers(s *script, through host) {
	for _, f := range farms {
		if f.method != masquerading {
			continue
		}
		for n := 1; n <= servers; n++ {
			s.say("ip -n %s route replace default via %s %s", f.namespace(n), through.back(), patientRoute)
		}
	}
}
