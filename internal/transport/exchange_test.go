package transport_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"testing"

	"github.com/ssyncp/ssyncp/internal/netnstest"
	"github.com/ssyncp/ssyncp/internal/transport"
)

// Every kind of link carries datagrams of every size up to its room, to
// everyone and back to one.
func TestDatagramsPassBothWays(t *testing.T) {
	l := newLab(t)
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			peerAddress, hereAddress, _ := m.addresses()
			peer, here := open(t, l.peer, m.peerOptions()), open(t, l.here, m.options())
			if got, want := peer.Room(), 1500-m.headers(); got != want {
				t.Errorf("room for %d bytes, want %d", got, want)
			}
			var want [][]byte
			for i := range 200 {
				want = append(want, bytes.Repeat(fmt.Appendf(nil, "%03d.", i), 1+i))
			}
			want = append(want, make([]byte, peer.Room()))
			if n, err := peer.Send(want); n != len(want) || err != nil {
				t.Fatalf("sent %d: %v", n, err)
			}
			got := receive(t, here, len(want))
			for i := range want {
				if !bytes.Equal(got[i].Payload, want[i]) {
					t.Fatalf("datagram %d differs", i)
				}
				if from := m.from(peerAddress); got[i].From != from {
					t.Fatalf("datagram %d is from %v, not %v", i, got[i].From, from)
				}
			}
			// The answer goes to who sent them, and to nobody else.
			if n, err := here.SendTo(got[0].From, want); n != len(want) || err != nil {
				t.Fatalf("answered %d: %v", n, err)
			}
			answers := receive(t, peer, len(want))
			for i := range want {
				if !bytes.Equal(answers[i].Payload, want[i]) || answers[i].From != m.from(hereAddress) {
					t.Fatalf("answer %d differs, or is from %v", i, answers[i].From)
				}
			}
		})
	}
}

func TestNothingLeavesInFragments(t *testing.T) {
	l := newLab(t)
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			o := m.options()
			link := open(t, l.here, o)
			n, err := link.Send([][]byte{make([]byte, link.Room()+1)})
			if m.unicast {
				if err != nil || o.Counters.PeerErrors.Value(transport.PeerTooLarge) != 1 {
					t.Errorf("sent %d, %v, counted %d", n, err, o.Counters.PeerErrors.Value(transport.PeerTooLarge))
				}
			} else if n != 0 || !errors.Is(err, syscall.EMSGSIZE) {
				t.Errorf("sent %d, %v", n, err)
			}
		})
	}
}

// A unicast link need not be told an interface, and reaches the peers that can
// be reached.
func TestUnicastByTheRoutes(t *testing.T) {
	l := newLab(t)
	l.peer.IP(t, "address add 203.0.113.1/32 dev lo")
	l.here.IP(t, "route add 203.0.113.1/32 via 192.0.2.1 mtu 1400")
	o := transport.Options{
		Peers: []netip.Addr{
			netip.MustParseAddr("198.51.100.99"), // nobody
			netip.MustParseAddr("203.0.113.77"),  // no route
			netip.MustParseAddr("203.0.113.1"),
			netip.MustParseAddr("198.51.100.1"),
		},
		Port: port, Counters: transport.NewCounters(),
	}
	here := open(t, l.here, o)
	if got := here.Room(); got != 1400-28 {
		t.Errorf("room for %d bytes, not for those of the route", got)
	}
	peer := open(t, l.peer, transport.Options{
		Peers: []netip.Addr{netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("198.51.100.2")},
		Port:  port, Counters: transport.NewCounters(),
	})
	frames := [][]byte{[]byte("one"), []byte("two")}
	if n, err := here.Send(frames); n != 2 || err != nil {
		t.Errorf("sent %d: %v", n, err)
	}
	var got []string
	for _, d := range receive(t, peer, 4) {
		got = append(got, fmt.Sprintf("%s from %v", d.Payload, d.From))
	}
	want := []string{
		"one from 192.0.2.2:8848", "one from 198.51.100.2:8848",
		"two from 192.0.2.2:8848", "two from 198.51.100.2:8848",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("received %q", got)
	}
	if n := o.Counters.PeerErrors.Value(transport.PeerNoRoute); n != 2 {
		t.Errorf("%d datagrams counted that no route was for", n)
	}
}

func TestJumboFramesFillTheMTU(t *testing.T) {
	l := newLab(t)
	for _, ns := range []*netnstest.Namespace{l.peer, l.here} {
		ns.IP(t, "link set eth0 mtu 65535")
	}
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			peer, here := open(t, l.peer, m.peerOptions()), open(t, l.here, m.options())
			if got, want := peer.Room(), 65535-m.headers(); got != want {
				t.Errorf("room for %d bytes, want %d", got, want)
			}
			if _, err := peer.Send([][]byte{make([]byte, peer.Room())}); err != nil {
				t.Fatal(err)
			}
			if got := receive(t, here, 1); len(got[0].Payload) != peer.Room() {
				t.Errorf("received %d bytes", len(got[0].Payload))
			}
		})
	}
}

// Links have what is for them, count nothing of what is for others, and may have
// one UDP port.
func TestTwoLinksGoSideBySide(t *testing.T) {
	devices := [2]string{"eth0", "eth1"}
	ends := map[bool][2][2]string{ // of IPv6 or not, by device: the peer's, and here
		false: {{"192.0.2.1", "192.0.2.2"}, {"198.51.100.1", "198.51.100.2"}},
		true:  {{"fd00:1::1", "fd00:1::2"}, {"fd00:2::1", "fd00:2::2"}},
	}
	l := newLab(t)
	addIPv6(t, l.peer, "fe80::1", "eth1")
	addIPv6(t, l.here, "fe80::2", "eth1")
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			var here, peer [2]*transport.Link
			var counters [2]*transport.Counters
			beside := new(transport.Interfaces)
			for i, device := range devices {
				o := m.options()
				o.Interface, o.Bound, counters[i] = device, m.udp, o.Counters
				back := o
				o.Beside = beside
				back.Counters = transport.NewCounters()
				if m.unicast {
					o.Peers = []netip.Addr{netip.MustParseAddr(ends[m.ipv6][i][0])}
					back.Peers = []netip.Addr{netip.MustParseAddr(ends[m.ipv6][i][1])}
				}
				here[i], peer[i] = open(t, l.here, o), open(t, l.peer, back)
			}
			for range 2 {
				for i := range devices {
					if _, err := peer[i].Send([][]byte{{byte(i)}}); err != nil {
						t.Fatal(err)
					}
				}
			}
			for i, device := range devices {
				for _, got := range receive(t, here[i], 2) {
					if !bytes.Equal(got.Payload, []byte{byte(i)}) {
						t.Errorf("%s has %x", device, got.Payload)
					}
				}
				if _, total := dropped(counters[i], 0); total != 0 {
					t.Errorf("%s dropped %d", device, total)
				}
			}
		})
	}
}

func TestOwnDatagramsDoNotComeBack(t *testing.T) {
	l := newLab(t)
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			o := m.peerOptions()
			sender, receiver := open(t, l.peer, o), open(t, l.here, m.options())
			if _, err := sender.Send([][]byte{make([]byte, 8)}); err != nil {
				t.Fatal(err)
			}
			receive(t, receiver, 1) // by now it would have come back too
			sender.Unblock()
			if got, err := sender.Receive(); !errors.Is(err, transport.ErrUnblocked) {
				t.Errorf("received %d datagrams, %v", len(got), err)
			}
			if _, n := dropped(o.Counters, 0); n > 0 {
				t.Errorf("dropped: %d", n)
			}
		})
	}
}

func TestSystemCallsAreShared(t *testing.T) {
	l := newLab(t)
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			o := m.options()
			sender, receiver := open(t, l.peer, m.peerOptions()), open(t, l.here, o)
			frames := make([][]byte, 640)
			for i := range frames {
				frames[i] = make([]byte, sender.Room())
			}
			if _, err := sender.Send(frames); err != nil {
				t.Fatal(err)
			}
			receive(t, receiver, len(frames))
			if n := o.Counters.Received.Value(transport.ReceiveCalls); n > 20 {
				t.Errorf("%d receive calls for %d datagrams that were there", n, len(frames))
			}
		})
	}
}

// A receiver that is slow loses what its socket does not hold, and knows how
// much that was.
func TestSocketOverrunIsCounted(t *testing.T) {
	l := newLab(t)
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			o := m.options()
			sender, receiver := open(t, l.peer, m.peerOptions()), open(t, l.here, o)
			frames := make([][]byte, 20000)
			for i := range frames {
				frames[i] = make([]byte, 1208)
			}
			if _, err := sender.Send(frames); err != nil {
				t.Fatal(err)
			}
			sent := len(frames)
			received := func() int { return int(o.Counters.Received.Value(transport.ReceivedDatagrams)) }
			lost := func() int { return int(o.Counters.Dropped.Value(transport.DropOverrun)) }
			receive(t, receiver, 1)
			// The last one tells the count of all before it.
			for received() < sent-lost() {
				if _, err := sender.Send(frames[:1]); err != nil {
					t.Fatal(err)
				}
				sent++
				receive(t, receiver, 1)
			}
			if lost() == 0 {
				t.Skip("the socket buffer held everything")
			}
			if got := received() + lost(); got != sent {
				t.Errorf("%d received and %d lost of %d", received(), lost(), sent)
			}
			if received() < 4000 {
				t.Errorf("only %d datagrams of a burst were kept", received())
			}
		})
	}
}

func TestMulticastFailsWhileTheInterfaceIsDown(t *testing.T) {
	l := newLab(t)
	links := map[string]*transport.Link{}
	for _, m := range modes {
		if !m.unicast {
			links[m.name] = open(t, l.here, m.options())
		}
	}
	l.here.IP(t, "link set eth0 down")
	for name, link := range links {
		n, err := link.Send([][]byte{make([]byte, 8)})
		if n != 0 || err == nil {
			t.Errorf("%s: sent %d: %v", name, n, err)
		}
	}
}

// What another link does not hear there is a drop, and so it is when that link is
// closed.
func TestAnotherInterfaceIsCountedWhereNoOtherLinkHearsIt(t *testing.T) {
	l := labWithStrangers(t)
	raw, udp := modes[0], modes[1]
	beside := new(transport.Interfaces)
	o := raw.options()
	o.Beside = beside
	here := open(t, l.here, o)
	other := udp.options()
	other.Interface, other.Beside = "eth1", beside
	open(t, l.here, other)
	third := raw.options()
	third.Interface, third.Beside = "eth1", beside
	neighbour := open(t, l.here, third)

	peer, _, group := raw.addresses()
	stray := packet{mode: raw, ttl: 255, source: peer, destination: group, device: "eth1", payload: []byte("stray")}
	good := stray
	good.device, good.payload = "eth0", []byte("good")
	for _, tt := range []struct {
		name   string
		before func()
		drops  uint64
	}{
		{"another link hears it", func() {}, 0},
		{"that link is closed", func() { neighbour.Close() }, 1},
	} {
		tt.before()
		l.send(t, stray)
		l.send(t, good)
		receive(t, here, 1)
		if n, total := dropped(o.Counters, transport.DropInterface); n != tt.drops || total != tt.drops {
			t.Errorf("%s: counted %d, %d in all, want %d", tt.name, n, total, tt.drops)
		}
	}
}
