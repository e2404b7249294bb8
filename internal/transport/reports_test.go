package transport_test

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/netnstest"
	"github.com/ssyncp/ssyncp/internal/transport"
)

// A router between two directors:
//
//	here eth0 .2 ---- 192.0.2.0/24, fd00:1::/64 ---- .1 eth0 router eth1 .1 ---- 203.0.113.0/24, fd00:9::/64 ---- .2 eth0 far
type routed struct{ here, router, far *netnstest.Namespace }

func newRouted(t testing.TB) routed {
	t.Helper()
	r := routed{netnstest.New(t), netnstest.New(t), netnstest.New(t)}
	for _, ns := range []*netnstest.Namespace{r.here, r.router, r.far} {
		ns.Set(t, "ipv6/conf/default/accept_dad", "0")
		ns.Set(t, "ipv4/icmp_ratelimit", "0")
		ns.Set(t, "ipv6/icmp/ratelimit", "0")
	}
	r.router.Set(t, "ipv4/ip_forward", "1")
	r.router.Set(t, "ipv6/conf/all/forwarding", "1")
	netnstest.Pair(t, r.here, "eth0", "192.0.2.2/24", r.router, "eth0", "192.0.2.1/24")
	netnstest.Pair(t, r.router, "eth1", "203.0.113.1/24", r.far, "eth0", "203.0.113.2/24")
	addIPv6(t, r.here, "fd00:1::2", "eth0")
	addIPv6(t, r.router, "fd00:1::1", "eth0")
	addIPv6(t, r.router, "fd00:9::1", "eth1")
	addIPv6(t, r.far, "fd00:9::2", "eth0")
	r.here.IP(t, "route add default via 192.0.2.1")
	r.here.IP(t, "route add default via fd00:1::1")
	r.far.IP(t, "route add default via 203.0.113.1")
	r.far.IP(t, "route add default via fd00:9::1")
	// Who is not there is given up soon.
	for _, family := range []string{"ipv4", "ipv6"} {
		r.router.Set(t, family+"/neigh/eth1/mcast_solicit", "1")
		r.router.Set(t, family+"/neigh/eth1/retrans_time_ms", "10")
	}
	// Who is there, and runs no director.
	r.far.IP(t, "address add 203.0.113.3/24 dev eth0")
	addIPv6(t, r.far, "fd00:9::3", "eth0")
	return r
}

// waitForReport returns the report of one kind when it is there. Somebody has
// to receive meanwhile.
func waitForReport(t *testing.T, link *transport.Link, kind transport.PeerError) transport.PeerReport {
	t.Helper()
	for range 4000 {
		for _, r := range link.PeerErrors() {
			if r.Kind == kind {
				return r
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("no report of %v", kind)
	return transport.PeerReport{}
}

// ICMP errors are reported with the peer that they are about, and keep nothing
// from the others.
func TestICMPErrorsAreReportedPerPeer(t *testing.T) {
	for _, m := range modes {
		if !m.unicast {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			r := newRouted(t)
			here, far, router := "192.0.2.2", "203.0.113.2", "192.0.2.1"
			silent, absent, beyond := "203.0.113.3", "203.0.113.77", "198.51.100.2"
			if m.ipv6 {
				here, far, router = "fd00:1::2", "fd00:9::2", "fd00:1::1"
				silent, absent, beyond = "fd00:9::3", "fd00:9::77", "fd00:a::2"
			}
			silentKind := transport.PeerProtocolUnreachable
			if m.udp {
				silentKind = transport.PeerPortUnreachable
			}
			for _, tt := range []struct {
				peer string
				kind transport.PeerError
				by   string
				ttl  int
			}{
				{beyond, transport.PeerNetUnreachable, router, 0}, // first: the kernel says it once a second
				{silent, silentKind, silent, 0},
				{absent, transport.PeerHostUnreachable, router, 0},
				{silent, transport.PeerTTLExceeded, router, 1},
			} {
				t.Run(tt.kind.String(), func(t *testing.T) {
					o := transport.Options{Protocol: 114, TTL: tt.ttl, Counters: transport.NewCounters()}
					back := transport.Options{Protocol: 114, Peers: []netip.Addr{netip.MustParseAddr(here)}, Counters: transport.NewCounters()}
					if m.udp {
						o.Port, back.Port = port, port
					}
					o.Peers = []netip.Addr{netip.MustParseAddr(tt.peer), netip.MustParseAddr(far)}
					// It has nothing open at the other address.
					distant := open(t, r.far, back)
					if tt.peer == silent && tt.ttl == 0 {
						distant.Close()
					}
					link := open(t, r.here, o)
					ended := make(chan error, 1)
					go func() {
						for {
							if _, err := link.Receive(); err != nil {
								ended <- err
								return
							}
						}
					}()
					if n, err := link.Send([][]byte{[]byte("the first one")}); n != 1 || err != nil {
						t.Fatalf("sent %d: %v", n, err)
					}
					report := waitForReport(t, link, tt.kind)
					if report.Peer.String() != tt.peer || report.Count < 1 || report.By.String() != tt.by {
						t.Errorf("reported: %+v", report)
					}
					if o.Counters.PeerErrors.Value(tt.kind) == 0 {
						t.Error("not counted")
					}
					// Everything goes on.
					if n, err := link.Send([][]byte{[]byte("the second one"), []byte("the third one")}); n != 2 || err != nil {
						t.Errorf("afterwards sent %d: %v", n, err)
					}
					if tt.peer != silent {
						var got []string
						for _, d := range receive(t, distant, 3) {
							got = append(got, string(d.Payload))
						}
						if strings.Join(got, ", ") != "the first one, the second one, the third one" {
							t.Errorf("the other peer received %q", got)
						}
					}
					select {
					case err := <-ended:
						t.Errorf("the link ended: %v", err)
					default:
					}
					link.Unblock()
					<-ended
				})
			}
		})
	}
}

// A router that has less room says so: frames get smaller, but not smaller than
// every path has room for, whoever says it.
func TestARouterLowersTheRoom(t *testing.T) {
	for _, m := range modes {
		if !m.unicast {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			r := newRouted(t)
			r.router.IP(t, "link set eth1 mtu 1400")
			r.far.IP(t, "link set eth0 mtu 1400")
			here, far := "192.0.2.2", "203.0.113.2"
			if m.ipv6 {
				here, far = "fd00:1::2", "fd00:9::2"
			}
			o := transport.Options{Protocol: 114, Peers: []netip.Addr{netip.MustParseAddr(far)}, Counters: transport.NewCounters()}
			back := transport.Options{Protocol: 114, Peers: []netip.Addr{netip.MustParseAddr(here)}, Counters: transport.NewCounters()}
			if m.udp {
				o.Port, back.Port = port, port
			}
			link, distant := open(t, r.here, o), open(t, r.far, back)
			go func() {
				for {
					if _, err := link.Receive(); err != nil {
						return
					}
				}
			}()
			defer link.Unblock()
			if want := 1500 - m.headers(); link.Room() != want {
				t.Fatalf("room for %d bytes, want %d", link.Room(), want)
			}
			if _, err := link.Send([][]byte{make([]byte, link.Room())}); err != nil {
				t.Fatal(err)
			}
			report := waitForReport(t, link, transport.PeerFragNeeded)
			if report.Peer.String() != far || report.MTU != 1400 {
				t.Errorf("reported: %+v", report)
			}
			if want := 1400 - m.headers(); link.Room() != want {
				t.Fatalf("room for %d bytes, want %d", link.Room(), want)
			}
			if n, err := link.Send([][]byte{make([]byte, link.Room())}); n != 1 || err != nil {
				t.Fatalf("sent %d: %v", n, err)
			}
			if got := receive(t, distant, 1); len(got[0].Payload) != link.Room() {
				t.Errorf("received %d bytes", len(got[0].Payload))
			}
			if _, err := check(t, r.here, link); err != nil {
				t.Error(err)
			}
			if want := 1400 - m.headers(); link.Room() != want {
				t.Errorf("room for %d bytes after a check", link.Room())
			}
		})
	}
}

// forge sends an ICMP error of IPv4 about a datagram of the host at 192.0.2.2.
func (r routed) forge(t *testing.T, m mode, peer string, kind, code byte, mtu uint16) {
	t.Helper()
	source, destination := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr(peer)
	protocol, content := byte(114), make([]byte, 8)
	if m.udp {
		protocol, content = unix.IPPROTO_UDP, udp(source, destination, nil)
	}
	message := binary.BigEndian.AppendUint16([]byte{kind, code, 0, 0, 0, 0}, mtu)
	message = append(message, header(packet{ttl: 255}, source, destination, protocol, content, -1, false)...)
	binary.BigEndian.PutUint16(message[2:], checksum(message))
	var err error
	r.router.Do(t, func() {
		var fd int
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP); err == nil {
			err = unix.Sendto(fd, message, 0, &unix.SockaddrInet4{Addr: source.As4()})
			unix.Close(fd)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Anybody can make an ICMP error up. It is reported, and lowers the room no
// further than every path has.
func TestForgedICMPErrorsDoLittle(t *testing.T) {
	for _, m := range modes {
		if !m.unicast || m.ipv6 {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			r := newRouted(t)
			const far = "203.0.113.2"
			o := transport.Options{Protocol: 114, Peers: []netip.Addr{netip.MustParseAddr(far)}, Counters: transport.NewCounters()}
			back := transport.Options{Protocol: 114, Peers: []netip.Addr{netip.MustParseAddr("192.0.2.2")}, Counters: transport.NewCounters()}
			if m.udp {
				o.Port, back.Port = port, port
			}
			link, distant := open(t, r.here, o), open(t, r.far, back)
			go func() {
				for {
					if _, err := link.Receive(); err != nil {
						return
					}
				}
			}()
			defer link.Unblock()
			for _, tt := range []struct {
				code byte
				kind transport.PeerError
			}{
				{0, transport.PeerNetUnreachable},
				{1, transport.PeerHostUnreachable},
				{2, transport.PeerProtocolUnreachable},
				{3, transport.PeerPortUnreachable},
				{10, transport.PeerProhibited},
				{13, transport.PeerProhibited},
				{15, transport.PeerOther},
			} {
				r.forge(t, m, far, 3, tt.code, 0)
				if report := waitForReport(t, link, tt.kind); report.Peer.String() != far || report.By.String() != "192.0.2.1" {
					t.Errorf("reported: %+v", report)
				}
			}
			r.forge(t, m, "198.51.100.7", 3, 3, 0) // no peer of ours
			for range 100 {
				r.forge(t, m, far, 3, 4, 68)
			}
			if report := waitForReport(t, link, transport.PeerFragNeeded); report.MTU != 68 {
				t.Errorf("reported: %+v", report)
			}
			if n := o.Counters.PeerErrors.Value(transport.PeerPortUnreachable); n != 2 {
				t.Errorf("%d port unreachable counted, want 2", n)
			}
			if want := 576 - m.headers(); link.Room() != want {
				t.Errorf("room for %d bytes, want %d", link.Room(), want)
			}
			// The system's own idea of the path holds nothing back.
			frames := [][]byte{make([]byte, 1500-m.headers()), make([]byte, 8)}
			if n, err := link.Send(frames); n != 2 || err != nil {
				t.Errorf("sent %d: %v", n, err)
			}
			if got := receive(t, distant, 2); len(got[0].Payload) != len(frames[0]) {
				t.Errorf("received %d bytes", len(got[0].Payload))
			}
			if _, err := check(t, r.here, link); err != nil {
				t.Error(err)
			}
		})
	}
}
