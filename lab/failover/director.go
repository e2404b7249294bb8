package main

import (
	"context"

	"github.com/ssyncp/ssyncp/lab/vm"
)

// The card of the sync segment, in both directors.
const syncCard = "eth1"

// setUpDirector makes a guest a director with all services. It does not hold
// the virtual addresses yet.
func setUpDirector(ctx context.Context, guest *vm.Guest, h host) error {
	s := newScript()
	s.say("sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 " +
		"net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0 " +
		"net.ipv4.conf.eth0.send_redirects=0 net.ipv4.conf.eth2.send_redirects=0")
	s.say("modprobe -a ip_vs ip_vs_rr ipip")
	s.say("ip -batch - <<END")
	s.say("addr add %s/16 dev eth0", h.front())
	s.say("addr add %s/24 dev %s", h.sync(), syncCard)
	s.say("addr add %s/24 dev eth2", h.back())
	for _, card := range []string{"eth0", syncCard, "eth2"} {
		s.say("link set %s up", card)
	}
	s.say("END")
	s.say("ipvsadm --restore <<END")
	for _, v := range services {
		protocol := "-t"
		if v.udp {
			protocol = "-u"
		}
		s.say("-A %s %s -s rr %s", protocol, v.address(), v.options)
		for n := 1; n <= servers; n++ {
			s.say("-a %s %s -r %s:%d %s", protocol, v.address(), v.farm.server(n), v.port, v.farm.method)
		}
	}
	s.say("END")
	return s.run(ctx, guest, "set up the director")
}

// takeVirtualAddresses makes a director the active one, as VRRP does.
func takeVirtualAddresses(ctx context.Context, guest *vm.Guest) error {
	s := newScript()
	s.say("ip -batch - <<END")
	for _, f := range farms {
		s.say("addr add %s/32 dev eth0", f.virtual)
	}
	s.say("END")
	return s.run(ctx, guest, "take the virtual addresses")
}
