package transport_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/internal/transport"
)

// labWithStrangers also lets through what kernels drop by themselves.
func labWithStrangers(t *testing.T) lab {
	t.Helper()
	l := newLab(t)
	for _, m := range modes {
		_, _, group := m.addresses()
		join(t, l.here, group, "eth0")
		join(t, l.here, group, "eth1")
	}
	join(t, l.here, "224.0.0.18", "eth0")
	join(t, l.here, "ff02::18", "eth0")
	// Or the kernel drops our own address as a martian before we see it.
	l.here.Set(t, "ipv4/conf/eth0/accept_local", "1")
	l.here.Set(t, "ipv4/conf/eth0/rp_filter", "0")
	l.here.Set(t, "ipv4/conf/all/rp_filter", "0")
	return l
}

// Whatever a peer on the link cannot have sent is dropped, each under its own
// reason, and what comes after it arrives.
func TestDropped(t *testing.T) {
	l := labWithStrangers(t)
	const taken = transport.Drop(-1)
	for _, m := range modes {
		peer, here, group := m.addresses()
		otherGroup, broadcast, stranger := "224.0.0.18", "192.0.2.255", "192.0.2.66"
		if m.ipv6 {
			otherGroup, broadcast, stranger = "ff02::18", "ff02::1", strings.TrimSuffix(peer, "1")+"66"
		}
		good := packet{mode: m, ttl: 255, source: peer, destination: group, device: "eth0", payload: bytes.Repeat([]byte{0xab}, 64)}
		if m.unicast {
			good.destination = here
		}
		for _, tt := range []struct {
			name                 string
			change               func(*packet)
			multicast, byUnicast transport.Drop // on links of either kind
		}{
			{"TTL 254", func(p *packet) { p.ttl = 254 }, transport.DropTTL, taken},
			{"TTL 1", func(p *packet) { p.ttl = 1 }, transport.DropTTL, taken},
			{"to this host", func(p *packet) { p.destination = here }, taken, taken},
			{"to this host, TTL 254", func(p *packet) { p.destination, p.ttl = here, 254 }, transport.DropTTL, taken},
			{"to this host, another interface", func(p *packet) { p.destination, p.device = here, "eth1" }, transport.DropInterface, transport.DropInterface},
			{"the group", func(p *packet) { p.destination = group }, taken, transport.DropDestination},
			{"another group", func(p *packet) { p.destination = otherGroup }, transport.DropDestination, transport.DropDestination},
			{"to everybody", func(p *packet) { p.destination = broadcast }, transport.DropDestination, transport.DropDestination},
			{"another interface", func(p *packet) { p.device = "eth1" }, transport.DropInterface, transport.DropInterface},
			{"fragments", func(p *packet) { p.fragments = true }, transport.DropFragment, transport.DropFragment},
			{"reflected to us", func(p *packet) { p.source = here }, transport.DropOwn, transport.DropOwn},
			{"a stranger", func(p *packet) { p.source = stranger }, taken, transport.DropNotAPeer},
		} {
			// A link-local address is of its interface: on another one it is
			// another host's, and the kernel drops what is for it.
			if m.ipv6 && !m.unicast && tt.name == "to this host, another interface" {
				continue
			}
			t.Run(m.name+"/"+tt.name, func(t *testing.T) {
				o := m.options()
				receiver := open(t, l.here, o)
				p := good
				tt.change(&p)
				p.payload = bytes.Repeat([]byte{0xcd}, 64)
				l.send(t, p)
				l.send(t, good)
				want, reason := 1, tt.multicast
				if m.unicast {
					reason = tt.byUnicast
				}
				if reason == taken {
					want = 2
				}
				got := receive(t, receiver, want)
				if len(got) != want || !bytes.Equal(got[want-1].Payload, good.payload) {
					t.Errorf("received %d datagrams", len(got))
				}
				if reason == taken {
					if _, total := dropped(o.Counters, 0); total != 0 {
						t.Errorf("dropped %d", total)
					}
				} else if n, total := dropped(o.Counters, reason); n != 1 || total != 1 {
					t.Errorf("counted %d under its reason, %d in all", n, total)
				}
			})
		}
	}
}

// What is longer than the MTU that the link was opened with does not fit the
// buffers.
func TestLongerThanTheMTUIsDropped(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			l := newLab(t)
			o := m.options()
			receiver := open(t, l.here, o)
			l.peer.IP(t, "link set eth0 mtu 9000")
			l.here.IP(t, "link set eth0 mtu 9000")
			sender := open(t, l.peer, m.peerOptions())
			if _, err := sender.Send([][]byte{make([]byte, 1600), make([]byte, 8000), make([]byte, 64)}); err != nil {
				t.Fatal(err)
			}
			if got := receive(t, receiver, 1); len(got) != 1 || len(got[0].Payload) != 64 {
				t.Errorf("received %d datagrams", len(got))
			}
			if n, total := dropped(o.Counters, transport.DropTooLong); n != 2 || total != 2 {
				t.Errorf("counted %d under its reason, %d in all", n, total)
			}
		})
	}
}
