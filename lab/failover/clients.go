package main

import (
	"context"

	"github.com/ssyncp/ssyncp/lab/vm"
)

func setUpClients(ctx context.Context, guest *vm.Guest) error {
	s := newScript()
	s.say("sysctl -qw net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.eth0.accept_redirects=0 " +
		"net.core.netdev_max_backlog=10000 net.ipv4.ip_local_port_range='10000 65001' " + patientSysctl)
	s.say("ip -batch - <<END")
	s.say("addr add %s/16 dev eth0", clientsAddress)
	s.say("link set eth0 up")
	s.say("route add local %s dev lo", visitorsPrefix)
	s.say("END")
	routeClients(s, directorA)
	return s.run(ctx, guest, "set up the clients")
}

// routeClients has the clients reach the virtual addresses through a director.
func routeClients(s *script, through host) {
	s.say("ip -batch - <<END")
	for _, f := range farms {
		s.say("route replace %s via %s dev eth0 %s", f.virtual, through.front(), patientRoute)
	}
	s.say("END")
}
