package transport_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/cluster"
	"github.com/ssyncp/ssyncp/internal/netnstest"
	"github.com/ssyncp/ssyncp/internal/transport"
)

// Two directors and two links between them:
//
//	peer  eth0 192.0.2.1/24 fd00:1::1/64 fe80::1 ------- eth0 192.0.2.2/24 fd00:1::2/64 fe80::2  here
//	      eth1 198.51.100.1/24 fd00:2::1/64 ------------ eth1 198.51.100.2/24 fd00:2::2/64
type lab struct {
	peer, here *netnstest.Namespace
}

func newLab(t testing.TB) lab {
	t.Helper()
	l := lab{peer: netnstest.New(t), here: netnstest.New(t)}
	for _, ns := range []*netnstest.Namespace{l.peer, l.here} {
		ns.Set(t, "ipv6/conf/default/accept_dad", "0")
		ns.Set(t, "ipv6/conf/default/addr_gen_mode", "1") // no addresses but ours
	}
	netnstest.Pair(t, l.peer, "eth0", "192.0.2.1/24", l.here, "eth0", "192.0.2.2/24")
	netnstest.Pair(t, l.peer, "eth1", "198.51.100.1/24", l.here, "eth1", "198.51.100.2/24")
	for address, ns := range map[string]*netnstest.Namespace{"::1": l.peer, "::2": l.here} {
		addIPv6(t, ns, "fd00:1"+address, "eth0")
		addIPv6(t, ns, "fd00:2"+address, "eth1")
		addIPv6(t, ns, "fe80"+address, "eth0")
	}
	return l
}

// addIPv6 adds an address and waits until it may be used, which takes the
// kernel a moment even where it looks for no duplicates.
func addIPv6(t testing.TB, ns *netnstest.Namespace, address, device string) {
	t.Helper()
	ns.IP(t, "address replace "+address+"/64 dev "+device)
	local := &unix.SockaddrInet6{Addr: netip.MustParseAddr(address).As16(), ZoneId: uint32(inspect(t, ns, device).Index)}
	var err error
	for range 5000 {
		ns.Do(t, func() {
			var fd int
			if fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err == nil {
				err = unix.Bind(fd, local)
				unix.Close(fd)
			}
		})
		if err == nil {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Fatalf("address %s: %v", address, err)
}

// mode is a kind of link.
type mode struct {
	name               string
	ipv6, unicast, udp bool
}

var modes = []mode{
	{"IPv4 multicast", false, false, false},
	{"IPv4 multicast in UDP", false, false, true},
	{"IPv4 unicast", false, true, false},
	{"IPv4 unicast in UDP", false, true, true},
	{"IPv6 multicast", true, false, false},
	{"IPv6 multicast in UDP", true, false, true},
	{"IPv6 unicast", true, true, false},
	{"IPv6 unicast in UDP", true, true, true},
}

const port = 8848

func (m mode) addresses() (peer, here, group string) {
	switch {
	case m.ipv6 && m.unicast:
		return "fd00:1::1", "fd00:1::2", "ff02::5353"
	case m.ipv6:
		return "fe80::1", "fe80::2", "ff02::5353"
	}
	return "192.0.2.1", "192.0.2.2", "224.0.0.81"
}

// headers is what goes before a datagram.
func (m mode) headers() int {
	n := 20
	if m.ipv6 {
		n = 40
	}
	if m.udp {
		n += 8
	}
	return n
}

// options of the link here. With exchanged ends they are the peer's.
func (m mode) options() transport.Options {
	peer, _, group := m.addresses()
	o := transport.Options{Interface: "eth0", Protocol: 114, Counters: transport.NewCounters()}
	if m.unicast {
		o.Peers = []netip.Addr{netip.MustParseAddr(peer)}
	} else {
		o.Group = netip.MustParseAddr(group)
	}
	if m.udp {
		o.Port = port
	}
	return o
}

func (m mode) peerOptions() transport.Options {
	o := m.options()
	if _, here, _ := m.addresses(); m.unicast {
		o.Peers = []netip.Addr{netip.MustParseAddr(here)}
	}
	return o
}

// from is how Receive names a host.
func (m mode) from(address string) netip.AddrPort {
	if m.udp {
		return netip.AddrPortFrom(netip.MustParseAddr(address), port)
	}
	return netip.AddrPortFrom(netip.MustParseAddr(address), 0)
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

// receive returns copies of the next n datagrams.
func receive(t testing.TB, link *transport.Link, n int) []cluster.Datagram {
	t.Helper()
	late := time.AfterFunc(10*time.Second, link.Unblock)
	defer late.Stop()
	var got []cluster.Datagram
	for len(got) < n {
		datagrams, err := link.Receive()
		if err != nil {
			t.Fatalf("after %d datagrams of %d: %v", len(got), n, err)
		}
		for _, d := range datagrams {
			got = append(got, cluster.Datagram{Payload: bytes.Clone(d.Payload), From: d.From})
		}
	}
	return got
}

// inspect returns an interface.
func inspect(t testing.TB, ns *netnstest.Namespace, name string) *net.Interface {
	t.Helper()
	var ifi *net.Interface
	var err error
	ns.Do(t, func() { ifi, err = net.InterfaceByName(name) })
	if err != nil {
		t.Fatal(err)
	}
	return ifi
}

// packet is an IP packet that the peer's wire carries to us, whoever made it.
type packet struct {
	mode
	ttl                 byte
	source, destination string
	device              string
	fragments           bool // two of them
	payload             []byte
}

// send puts a packet on the wire.
func (l lab) send(t testing.TB, p packet) {
	t.Helper()
	source, destination := netip.MustParseAddr(p.source), netip.MustParseAddr(p.destination)
	protocol, content := byte(114), p.payload
	if p.udp {
		protocol, content = unix.IPPROTO_UDP, udp(source, destination, p.payload)
	}
	if !p.fragments {
		l.transmit(t, p, header(p, source, destination, protocol, content, -1, false))
		return
	}
	l.transmit(t, p, header(p, source, destination, protocol, content[:32], 0, true))
	l.transmit(t, p, header(p, source, destination, protocol, content[32:], 32, false))
}

// header puts an IP header before a packet's content, or a fragment of it.
func header(p packet, source, destination netip.Addr, protocol byte, content []byte, offset int, more bool) []byte {
	flags := uint16(max(offset, 0))
	if p.ipv6 {
		var fragment []byte
		next := protocol
		if offset >= 0 {
			if more {
				flags |= 1
			}
			next = unix.IPPROTO_FRAGMENT
			fragment = append(binary.BigEndian.AppendUint16([]byte{protocol, 0}, flags), 0, 0, 0x53, 0x53)
		}
		h := []byte{0x60, 0, 0, 0}
		h = binary.BigEndian.AppendUint16(h, uint16(len(fragment)+len(content)))
		h = append(h, next, p.ttl)
		h = append(append(h, source.AsSlice()...), destination.AsSlice()...)
		return append(append(h, fragment...), content...)
	}
	flags /= 8
	if more {
		flags |= 0x2000
	}
	h := binary.BigEndian.AppendUint16([]byte{0x45, 0}, uint16(20+len(content)))
	h = append(h, 0x53, 0x53)
	h = binary.BigEndian.AppendUint16(h, flags)
	h = append(h, p.ttl, protocol, 0, 0)
	h = append(append(h, source.AsSlice()...), destination.AsSlice()...)
	binary.BigEndian.PutUint16(h[10:], checksum(h))
	return append(h, content...)
}

// udp puts a UDP header before a payload.
func udp(source, destination netip.Addr, payload []byte) []byte {
	h := binary.BigEndian.AppendUint16(nil, port)
	h = binary.BigEndian.AppendUint16(h, port)
	h = binary.BigEndian.AppendUint16(h, uint16(8+len(payload)))
	h = append(append(h, 0, 0), payload...)
	pseudo := append(source.AsSlice(), destination.AsSlice()...)
	pseudo = append(pseudo, 0, unix.IPPROTO_UDP)
	pseudo = binary.BigEndian.AppendUint16(pseudo, uint16(len(h)))
	binary.BigEndian.PutUint16(h[6:], checksum(append(pseudo, h...)))
	return h
}

// checksum is that of RFC 1071.
func checksum(p []byte) uint16 {
	var sum uint32
	for i := 0; i < len(p); i += 2 {
		sum += uint32(p[i]) << 8
		if i+1 < len(p) {
			sum += uint32(p[i+1])
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// transmit puts a whole IP packet into a frame to our interface.
func (l lab) transmit(t testing.TB, p packet, content []byte) {
	t.Helper()
	to := inspect(t, l.here, p.device).HardwareAddr
	out := inspect(t, l.peer, p.device).Index
	protocol := uint16(unix.ETH_P_IP)
	if p.ipv6 {
		protocol = unix.ETH_P_IPV6
	}
	address := &unix.SockaddrLinklayer{Protocol: protocol<<8 | protocol>>8, Ifindex: out, Halen: 6}
	copy(address.Addr[:], to)
	var err error
	l.peer.Do(t, func() {
		var fd int
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err == nil {
			err = unix.Sendto(fd, content, 0, address)
			unix.Close(fd)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// join makes the host a member of a group, by a socket of somebody else.
func join(t testing.TB, ns *netnstest.Namespace, group, device string) {
	t.Helper()
	index := inspect(t, ns, device).Index
	address := netip.MustParseAddr(group)
	var fd int
	var err error
	ns.Do(t, func() {
		if address.Is4() {
			if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err == nil {
				err = unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP,
					&unix.IPMreqn{Multiaddr: address.As4(), Ifindex: int32(index)})
			}
			return
		}
		if fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err == nil {
			err = unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP,
				&unix.IPv6Mreq{Multiaddr: address.As16(), Interface: uint32(index)})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
}

// dropped returns what was dropped for a reason, and in all.
func dropped(c *transport.Counters, reason transport.Drop) (n, total uint64) {
	for _, v := range c.Dropped.All() {
		total += v
	}
	return c.Dropped.Value(reason), total
}
