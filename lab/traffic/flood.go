package traffic

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/lab/netns"
)

// burst is how many segments are sent between two looks at the clock.
const burst = 64

// Flags of a TCP segment.
type Flags uint8

// Segments that make or change a connection of IPVS; SYN alone is how one is
// asked for, ACK how a director meets one that it did not see the beginning of.
const (
	FIN Flags = 0x01
	SYN Flags = 0x02
	RST Flags = 0x04
	ACK Flags = 0x10
)

// Segments are TCP segments without data, one from each of many clients that
// take no notice of an answer. Each is from the next address of the prefix, and
// from another port where there are more of them than addresses.
type Segments struct {
	Sources   netip.Prefix
	To        netip.AddrPort
	Flags     Flags
	Count     int
	PerSecond int // as far as that can be; 0: no limit
}

// Flood sends count SYN from a namespace, perSecond of them.
func Flood(n *netns.Namespace, sources netip.Prefix, to netip.AddrPort, count, perSecond int) error {
	return Segments{Sources: sources, To: to, Flags: SYN, Count: count, PerSecond: perSecond}.Send(n)
}

// Send sends them from a namespace, where they take the way of the prefix's first
// address.
func (s Segments) Send(n *netns.Namespace) error {
	origin := s.Sources.Masked().Addr()
	var fd int
	err := n.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		return err
	})
	if err != nil {
		return fmt.Errorf("traffic: segments: %w", err)
	}
	defer unix.Close(fd)
	// The way is chosen by the address in a control message, not by those in the
	// packets. Before 5.17 a raw socket cannot be bound to one that is not local.
	if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_FREEBIND, 1); err != nil {
		return fmt.Errorf("traffic: segments: %w", err)
	}
	way := unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: origin.As4()})

	destination := &unix.SockaddrInet4{Addr: s.To.Addr().As4()}
	first := binary.BigEndian.Uint32(origin.AsSlice())
	addresses := uint32(1) << (32 - s.Sources.Bits())
	began := time.Now()
	for i := range uint32(s.Count) {
		if s.PerSecond != 0 && i%burst == 0 {
			time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(s.PerSecond))))
		}
		source := netip.AddrPortFrom(addressOf(first+i%addresses), uint16(1024+i/addresses))
		packet := segment(source, s.To, s.Flags, i)
		if err := unix.Sendmsg(fd, packet[:], way, destination, 0); err != nil {
			return fmt.Errorf("traffic: segment %d of %d: %w", i, s.Count, err)
		}
	}
	return nil
}

func addressOf(a uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], a)
	return netip.AddrFrom4(b)
}

// segment builds an IPv4 packet with a TCP header alone. The kernel fills in what it always
// does: the IPv4 header's length, identification and checksum.
func segment(from, to netip.AddrPort, flags Flags, sequence uint32) [40]byte {
	var p [40]byte
	source, destination := from.Addr().As4(), to.Addr().As4()
	p[0] = 4<<4 | 5 // version, header length
	p[8] = 64       // TTL
	p[9] = unix.IPPROTO_TCP
	copy(p[12:16], source[:])
	copy(p[16:20], destination[:])

	tcp := p[20:]
	binary.BigEndian.PutUint16(tcp[0:], from.Port())
	binary.BigEndian.PutUint16(tcp[2:], to.Port())
	binary.BigEndian.PutUint32(tcp[4:], sequence)
	tcp[12] = 5 << 4 // header length
	tcp[13] = byte(flags)
	binary.BigEndian.PutUint16(tcp[14:], 65535)
	binary.BigEndian.PutUint16(tcp[16:], tcpChecksum(p))
	return p
}

// tcpChecksum is that of RFC 9293 over the pseudo header and a bare TCP header
// whose checksum is still zero.
func tcpChecksum(p [40]byte) uint16 {
	sum := uint32(unix.IPPROTO_TCP) + uint32(len(p)-20)
	for i := 12; i < len(p); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(p[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
