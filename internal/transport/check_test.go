package transport_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/netnstest"
	"github.com/ssyncp/ssyncp/internal/transport"
)

func check(t testing.TB, ns *netnstest.Namespace, link *transport.Link) (carrier bool, err error) {
	t.Helper()
	ns.Do(t, func() { carrier, err = link.Check() })
	return carrier, err
}

func TestCheckNoticesWhatHappensToTheInterface(t *testing.T) {
	for _, tt := range []struct {
		name   string
		happen string // commands
		err    error
		ipv6   error
	}{
		{"nothing", "", nil, nil},
		{"another address added", "address add 203.0.113.1/24 dev eth0; address add fd00:3::1/64 dev eth0", nil, nil},
		{"down", "link set eth0 down", transport.ErrDown, transport.ErrDown},
		{"address gone", "address flush dev eth0", transport.ErrNoAddress, transport.ErrNoAddress},
		{"address changed", "address flush dev eth0; address add 192.0.2.9/24 dev eth0; address add fe80::9/64 dev eth0",
			transport.ErrChanged, transport.ErrChanged},
		{"MTU smaller", "link set eth0 mtu 1400", transport.ErrChanged, transport.ErrChanged},
		{"MTU larger", "link set eth0 mtu 9000", transport.ErrChanged, transport.ErrChanged},
		{"gone", "link delete eth0", transport.ErrNoInterface, transport.ErrNoInterface},
		{"replaced", "link delete eth0; link add eth0 type veth peer name other; link set eth0 up; " +
			"address add 192.0.2.2/24 dev eth0; address add fe80::2/64 dev eth0", transport.ErrChanged, transport.ErrChanged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			links := map[mode]*transport.Link{}
			for _, m := range modes {
				if !m.unicast {
					links[m] = open(t, l.here, m.options())
				}
			}
			for args := range strings.SplitSeq(tt.happen, "; ") {
				if args != "" {
					l.here.IP(t, args)
				}
			}
			for m, link := range links {
				want := tt.err
				if m.ipv6 {
					want = tt.ipv6
				}
				if _, err := check(t, l.here, link); !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", m.name, err, want)
				}
			}
		})
	}
}

// The way to peers that are reached by routes may come, go and change.
func TestCheckNoticesWhatHappensToTheRoutes(t *testing.T) {
	for _, tt := range []struct {
		name    string
		happen  string
		carrier bool
		room    int
		err     error
	}{
		{"nothing", "", true, 1480, nil},
		{"a smaller MTU", "route change 203.0.113.1/32 via 192.0.2.1 mtu 1300", true, 1280, nil},
		{"a larger MTU", "link set eth0 mtu 9000; link set eth1 mtu 9000", true, 8980, nil},
		{"a larger MTU than was received", "link set eth0 mtu 20000; link set eth1 mtu 20000", false, 0, transport.ErrChanged},
		{"one route gone", "route delete 203.0.113.1/32", true, 1480, nil},
		{"both gone", "route delete 203.0.113.1/32; route delete 203.0.113.2/32", false, 1480, nil},
		{"another way", "route change 203.0.113.1/32 via 198.51.100.1", false, 0, transport.ErrChanged},
		{"a third one's, that there was none for", "route add 203.0.113.3/32 via 198.51.100.1", false, 0, transport.ErrChanged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			l.here.IP(t, "route add 203.0.113.1/32 via 192.0.2.1")
			l.here.IP(t, "route add 203.0.113.2/32 via 198.51.100.1")
			link := open(t, l.here, transport.Options{
				Protocol: 114, Counters: transport.NewCounters(),
				Peers: []netip.Addr{
					netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.2"), netip.MustParseAddr("203.0.113.3"),
				},
			})
			for args := range strings.SplitSeq(tt.happen, "; ") {
				if args != "" {
					l.here.IP(t, args)
				}
			}
			carrier, err := check(t, l.here, link)
			if !errors.Is(err, tt.err) || carrier != tt.carrier {
				t.Errorf("carrier %v, %v", carrier, err)
			}
			if got := link.Room(); err == nil && got != tt.room {
				t.Errorf("room for %d bytes, want %d", got, tt.room)
			}
		})
	}
}

func TestCheckNoticesTheCarrier(t *testing.T) {
	l := newLab(t)
	for _, m := range []mode{modes[0], modes[2]} {
		link := open(t, l.here, m.options())
		carrier(t, l.here, link, true)
		l.peer.IP(t, "link set eth0 down")
		carrier(t, l.here, link, false)
		l.peer.IP(t, "link set eth0 up")
		carrier(t, l.here, link, true)
	}
}

// carrier waits until the link of a namespace has a carrier, or none. The
// kernel tells it with a delay of up to a second.
func carrier(t testing.TB, ns *netnstest.Namespace, link *transport.Link, want bool) {
	t.Helper()
	for range 2000 {
		is, err := check(t, ns, link)
		if err != nil {
			t.Fatal(err)
		}
		if is == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the carrier is not %v", want)
}

// After its interface went down and up, a link that is opened again goes on.
func TestALinkThatIsOpenedAgainGoesOn(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			l := newLab(t)
			o := m.options()
			receiver, sender := open(t, l.here, o), open(t, l.peer, m.peerOptions())
			l.here.IP(t, "link set eth0 down")
			if _, err := check(t, l.here, receiver); !errors.Is(err, transport.ErrDown) {
				t.Errorf("while it is down: %v", err)
			}
			receiver.Close()
			l.here.IP(t, "link set eth0 up")
			if m.ipv6 { // the kernel took it away
				_, address, _ := m.addresses()
				addIPv6(t, l.here, address, "eth0")
			}
			receiver = open(t, l.here, o)
			carrier(t, l.here, receiver, true)
			carrier(t, l.peer, sender, true)
			if _, err := sender.Send([][]byte{[]byte("again")}); err != nil {
				t.Fatal(err)
			}
			if got := receive(t, receiver, 1); string(got[0].Payload) != "again" {
				t.Errorf("received %q", got[0].Payload)
			}
		})
	}
}
