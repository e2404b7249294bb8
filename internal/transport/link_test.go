package transport_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/netnstest"
	"github.com/ssyncp/ssyncp/internal/transport"
)

// Two directors and two links between them:
//
//	peer  eth0 192.0.2.1/24 ------- eth0 192.0.2.2/24  here
//	      eth1 198.51.100.1/24 ---- eth1 198.51.100.2/24
const (
	peerAddress = "192.0.2.1"
	hereAddress = "192.0.2.2"
	maxSize     = 1208
)

var group = netip.MustParseAddr("224.0.0.81")

type lab struct {
	peer, here *netnstest.Namespace
}

func newLab(t testing.TB) lab {
	t.Helper()
	l := lab{peer: netnstest.New(t), here: netnstest.New(t)}
	netnstest.Pair(t, l.peer, "eth0", peerAddress+"/24", l.here, "eth0", hereAddress+"/24")
	netnstest.Pair(t, l.peer, "eth1", "198.51.100.1/24", l.here, "eth1", "198.51.100.2/24")
	return l
}

func options() transport.Options {
	return transport.Options{
		Interface: "eth0", Group: group, Protocol: 114, MaxSize: maxSize, Counters: transport.NewCounters(),
	}
}

// open opens a link in a namespace.
func open(t testing.TB, ns *netnstest.Namespace, o transport.Options) *transport.Link {
	t.Helper()
	var link *transport.Link
	var err error
	ns.Do(t, func() { link, err = transport.Open(o) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { link.Close() })
	return link
}

// receive returns copies of the next n adverts.
func receive(t testing.TB, link *transport.Link, n int) [][]byte {
	t.Helper()
	late := time.AfterFunc(10*time.Second, link.Unblock)
	defer late.Stop()
	var got [][]byte
	for len(got) < n {
		adverts, err := link.Receive()
		if err != nil {
			t.Fatalf("after %d adverts of %d: %v", len(got), n, err)
		}
		for _, a := range adverts {
			got = append(got, bytes.Clone(a))
		}
	}
	return got
}

// raw is a socket that sends datagrams with their header made here.
func raw(t testing.TB, ns *netnstest.Namespace) int {
	t.Helper()
	var fd int
	var err error
	ns.Do(t, func() { fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// index returns an interface's number.
func index(t testing.TB, ns *netnstest.Namespace, name string) int {
	t.Helper()
	var ifi *net.Interface
	var err error
	ns.Do(t, func() { ifi, err = net.InterfaceByName(name) })
	if err != nil {
		t.Fatal(err)
	}
	return ifi.Index
}

// datagram is one IPv4 packet of protocol 114.
type datagram struct {
	ttl                 byte
	source, destination string
	device              string // of the peer
	fragment            uint16 // flags and offset
	payload             []byte
}

func (l lab) send(t testing.TB, fd int, d datagram) {
	t.Helper()
	h := make([]byte, 20, 20+len(d.payload))
	h[0] = 0x45
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(d.payload)))
	binary.BigEndian.PutUint16(h[4:], 0x5353)
	binary.BigEndian.PutUint16(h[6:], d.fragment)
	h[8], h[9] = d.ttl, 114
	copy(h[12:], netip.MustParseAddr(d.source).AsSlice())
	to := netip.MustParseAddr(d.destination).As4()
	copy(h[16:], to[:])
	if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(index(t, l.peer, d.device))}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Sendto(fd, append(h, d.payload...), 0, &unix.SockaddrInet4{Addr: to}); err != nil {
		t.Fatal(err)
	}
}

// join makes the host a member of a group, by a socket of somebody else.
func join(t testing.TB, ns *netnstest.Namespace, g string, device string) {
	t.Helper()
	ifindex := index(t, ns, device)
	var fd int
	var err error
	ns.Do(t, func() {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err == nil {
			err = unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP,
				&unix.IPMreqn{Multiaddr: netip.MustParseAddr(g).As4(), Ifindex: int32(ifindex)})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
}

func TestAdvertsArriveInOrder(t *testing.T) {
	l := newLab(t)
	sender, receiver := open(t, l.peer, options()), open(t, l.here, options())
	var want [][]byte
	for i := range 1000 {
		want = append(want, bytes.Repeat(fmt.Appendf(nil, "%04d", i), 1+i%(maxSize/4)))
	}
	if n, err := sender.Send(want); n != len(want) || err != nil {
		t.Fatalf("sent %d: %v", n, err)
	}
	got := receive(t, receiver, len(want))
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("advert %d differs: %q...", i, got[i][:4])
		}
	}
}

func TestSystemCallsAreShared(t *testing.T) {
	l := newLab(t)
	o := options()
	sender, receiver := open(t, l.peer, options()), open(t, l.here, o)
	adverts := make([][]byte, 640)
	for i := range adverts {
		adverts[i] = make([]byte, maxSize)
	}
	if _, err := sender.Send(adverts); err != nil {
		t.Fatal(err)
	}
	receive(t, receiver, len(adverts))
	if n := o.Counters.Received.Value(transport.ReceiveCalls); n > 20 {
		t.Errorf("%d receive calls for %d adverts that were there", n, len(adverts))
	}
}

// Whatever a peer on the link cannot have sent is dropped, each under its own
// reason, and what comes after it arrives.
func TestDropped(t *testing.T) {
	l := newLab(t)
	join(t, l.here, group.String(), "eth1")
	join(t, l.here, "224.0.0.18", "eth0")
	// Or the kernel drops our own address as a martian before we see it.
	l.here.Set(t, "ipv4/conf/eth0/accept_local", "1")
	l.here.Set(t, "ipv4/conf/eth0/rp_filter", "0")
	l.here.Set(t, "ipv4/conf/all/rp_filter", "0")
	l.peer.IP(t, "link set eth0 mtu 9000")
	l.here.IP(t, "link set eth0 mtu 9000")
	fd := raw(t, l.peer)

	const moreFragments = 0x2000
	advert := bytes.Repeat([]byte{0xab}, 64)
	good := datagram{ttl: 255, source: peerAddress, destination: group.String(), device: "eth0", payload: advert}
	with := func(change func(*datagram)) []datagram {
		d := good
		change(&d)
		return []datagram{d}
	}
	for _, tt := range []struct {
		name      string
		datagrams []datagram
		drop      transport.Drop
	}{
		{"TTL 254", with(func(d *datagram) { d.ttl = 254 }), transport.DropTTL},
		{"TTL 1", with(func(d *datagram) { d.ttl = 1 }), transport.DropTTL},
		{"unicast", with(func(d *datagram) { d.destination = hereAddress }), transport.DropDestination},
		{"another group", with(func(d *datagram) { d.destination = "224.0.0.18" }), transport.DropDestination},
		{"another interface", with(func(d *datagram) { d.device, d.source = "eth1", "198.51.100.1" }), transport.DropInterface},
		{"fragments", []datagram{
			{ttl: 255, source: peerAddress, destination: group.String(), device: "eth0", payload: advert[:32], fragment: moreFragments},
			{ttl: 255, source: peerAddress, destination: group.String(), device: "eth0", payload: advert[32:], fragment: 32 / 8},
		}, transport.DropFragment},
		{"reflected to us", with(func(d *datagram) { d.source = hereAddress }), transport.DropOwn},
		{"one byte too long", with(func(d *datagram) { d.payload = make([]byte, maxSize+1) }), transport.DropTooLong},
		{"much too long", with(func(d *datagram) { d.payload = make([]byte, 8000) }), transport.DropTooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options()
			receiver := open(t, l.here, o)
			for _, d := range tt.datagrams {
				l.send(t, fd, d)
			}
			l.send(t, fd, good)
			if got := receive(t, receiver, 1); len(got) != 1 || !bytes.Equal(got[0], advert) {
				t.Errorf("received %d adverts", len(got))
			}
			var total uint64
			for _, n := range o.Counters.Dropped.All() {
				total += n
			}
			if n := o.Counters.Dropped.Value(tt.drop); n != 1 || total != 1 {
				t.Errorf("counted %d under its reason, %d in all", n, total)
			}
		})
	}
}

func TestOwnAdvertsDoNotComeBack(t *testing.T) {
	l := newLab(t)
	o := options()
	sender, receiver := open(t, l.peer, o), open(t, l.here, options())
	if _, err := sender.Send([][]byte{make([]byte, 8)}); err != nil {
		t.Fatal(err)
	}
	receive(t, receiver, 1) // by now it would have come back too
	sender.Unblock()
	if adverts, err := sender.Receive(); !errors.Is(err, transport.ErrUnblocked) {
		t.Errorf("received %d adverts, %v", len(adverts), err)
	}
	for name, n := range o.Counters.Dropped.All() {
		if n > 0 {
			t.Errorf("dropped %s: %d", name, n)
		}
	}
}

func TestSocketOverrunIsCounted(t *testing.T) {
	l := newLab(t)
	o := options()
	sender, receiver := open(t, l.peer, options()), open(t, l.here, o)
	adverts := make([][]byte, 20000)
	for i := range adverts {
		adverts[i] = make([]byte, maxSize)
	}
	if _, err := sender.Send(adverts); err != nil {
		t.Fatal(err)
	}
	received := func() int { return int(o.Counters.Received.Value(transport.ReceivedAdverts)) }
	receive(t, receiver, 1)
	// The last one tells the count of all before it.
	for received() < len(adverts)-int(o.Counters.Dropped.Value(transport.DropOverrun)) {
		if _, err := sender.Send(adverts[:1]); err != nil {
			t.Fatal(err)
		}
		adverts = append(adverts, nil)
		receive(t, receiver, 1)
	}
	lost := int(o.Counters.Dropped.Value(transport.DropOverrun))
	if lost == 0 {
		t.Skip("the socket buffer held everything")
	}
	if got := received() + lost; got != len(adverts) {
		t.Errorf("%d received and %d lost of %d", received(), lost, len(adverts))
	}
	if received() < 4000 {
		t.Errorf("only %d adverts of a burst were kept", received())
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	l := newLab(t)
	l.here.IP(t, "link add down0 type veth peer name down1")
	l.here.IP(t, "link add bare0 type veth peer name bare1")
	l.here.IP(t, "link set bare0 up")
	for _, tt := range []struct {
		name   string
		change func(*transport.Options)
		err    error
		says   string
	}{
		{"missing", func(o *transport.Options) { o.Interface = "eth9" }, transport.ErrNoInterface, "interface eth9 does not exist"},
		{"not a name", func(o *transport.Options) { o.Interface = "a-name-much-too-long" }, transport.ErrNoInterface, "a-name-much-too-long"},
		{"down", func(o *transport.Options) { o.Interface = "down0" }, transport.ErrDown, "interface down0 is down: ip link set down0 up"},
		{"without address", func(o *transport.Options) { o.Interface = "bare0" }, transport.ErrNoAddress, "ip address add ADDRESS/LENGTH dev bare0"},
		{"without multicast", func(o *transport.Options) { o.Interface = "lo" }, transport.ErrNoMulticast, "ip link set lo multicast on"},
		{"MTU too small", func(o *transport.Options) { o.Interface, o.MaxSize = "eth1", 1481 }, transport.ErrMTU, "1500 bytes, an advert takes 1501: ip link set eth1 mtu 1501"},
		{"group not multicast", func(o *transport.Options) { o.Group = netip.MustParseAddr("10.0.0.1") }, transport.ErrGroup, "10.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options()
			tt.change(&o)
			var err error
			l.here.Do(t, func() { _, err = transport.Open(o) })
			if !errors.Is(err, tt.err) || !bytes.Contains([]byte(err.Error()), []byte(tt.says)) {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func TestMissingCapabilityIsNamed(t *testing.T) {
	l := newLab(t)
	var err error
	l.here.Do(t, func() {
		// Of this thread alone, which ends with Do.
		if err = dropNetRaw(); err == nil {
			_, err = transport.Open(options())
		}
	})
	if !errors.Is(err, transport.ErrPermission) || !bytes.Contains([]byte(err.Error()), []byte("CAP_NET_RAW")) {
		t.Errorf("err = %v", err)
	}
}

func dropNetRaw() error {
	runtime.LockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	data[0].Effective &^= 1 << unix.CAP_NET_RAW
	return unix.Capset(&header, &data[0])
}

func TestCheckNoticesWhatHappensToTheInterface(t *testing.T) {
	for _, tt := range []struct {
		name   string
		happen []string
		err    error
	}{
		{"nothing", nil, nil},
		{"another address added", []string{"address add 203.0.113.1/24 dev eth0"}, nil},
		{"down", []string{"link set eth0 down"}, transport.ErrDown},
		{"address gone", []string{"address flush dev eth0"}, transport.ErrNoAddress},
		{"address changed", []string{"address flush dev eth0", "address add 192.0.2.9/24 dev eth0"}, transport.ErrChanged},
		{"gone", []string{"link delete eth0"}, transport.ErrNoInterface},
		{"replaced", []string{
			"link delete eth0", "link add eth0 type veth peer name other",
			"address add " + hereAddress + "/24 dev eth0", "link set eth0 up",
		}, transport.ErrChanged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			link := open(t, l.here, options())
			for _, args := range tt.happen {
				l.here.IP(t, args)
			}
			var err error
			l.here.Do(t, func() { _, err = link.Check() })
			if !errors.Is(err, tt.err) {
				t.Errorf("err = %v, want %v", err, tt.err)
			}
		})
	}
}

func TestCheckNoticesTheCarrier(t *testing.T) {
	l := newLab(t)
	link := open(t, l.here, options())
	for _, tt := range []struct {
		state   string // of the other end
		carrier bool
	}{{"up", true}, {"down", false}, {"up", true}} {
		l.peer.IP(t, "link set eth0 "+tt.state)
		var carrier bool
		var err error
		for range 500 { // the kernel tells it with a delay of up to a second
			l.here.Do(t, func() { carrier, err = link.Check() })
			if err != nil || carrier == tt.carrier {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if err != nil || carrier != tt.carrier {
			t.Errorf("other end %s: carrier %v, %v", tt.state, carrier, err)
		}
	}
}

func TestSendFailsWhileTheInterfaceIsDown(t *testing.T) {
	l := newLab(t)
	link := open(t, l.here, options())
	l.here.IP(t, "link set eth0 down")
	n, err := link.Send([][]byte{make([]byte, 8)})
	if n != 0 || !errors.Is(err, syscall.ENETUNREACH) && !errors.Is(err, syscall.ENETDOWN) && !errors.Is(err, syscall.ENODEV) {
		t.Errorf("sent %d: %v", n, err)
	}
}

// Sending and receiving allocate nothing per advert but the source address
// that golang.org/x/net makes of every datagram.
func BenchmarkLink(b *testing.B) {
	l := newLab(b)
	sender, receiver := open(b, l.peer, options()), open(b, l.here, options())
	adverts := make([][]byte, 64)
	for i := range adverts {
		adverts[i] = make([]byte, maxSize)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sender.Send(adverts); err != nil {
			b.Fatal(err)
		}
		for n := 0; n < len(adverts); {
			got, err := receiver.Receive()
			if err != nil {
				b.Fatal(err)
			}
			n += len(got)
		}
	}
	b.ReportMetric(float64(len(adverts))*float64(b.N)/b.Elapsed().Seconds(), "adverts/s")
}
