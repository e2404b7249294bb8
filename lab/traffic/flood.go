package traffic

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/lab/netns"
)

// burst is how many SYN are sent between two looks at the clock.
const burst = 64

// Flood sends count SYN from a namespace, perSecond of them as far as that can
// be (0: no limit), each from the next address of a prefix and another port.
// Nobody answers what comes back.
func Flood(n *netns.Namespace, sources netip.Prefix, to netip.AddrPort, count, perSecond int) error {
	var fd int
	err := n.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		return err
	})
	if err != nil {
		return fmt.Errorf("traffic: flood: %w", err)
	}
	defer unix.Close(fd)

	destination := &unix.SockaddrInet4{Addr: to.Addr().As4()}
	first := binary.BigEndian.Uint32(sources.Masked().Addr().AsSlice())
	addresses := uint32(1) << (32 - sources.Bits())
	began := time.Now()
	for i := range uint32(count) {
		if perSecond != 0 && i%burst == 0 {
			time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(perSecond))))
		}
		source := netip.AddrPortFrom(addressOf(first+i%addresses), uint16(1024+i/addresses))
		packet := syn(source, to, i)
		if err := unix.Sendto(fd, packet[:], 0, destination); err != nil {
			return fmt.Errorf("traffic: flood: SYN %d of %d: %w", i, count, err)
		}
	}
	return nil
}

func addressOf(a uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], a)
	return netip.AddrFrom4(b)
}

// syn builds an IPv4 packet with a SYN. The kernel fills in what it always
// does: the IPv4 header's length, identification and checksum.
func syn(from, to netip.AddrPort, sequence uint32) [40]byte {
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
	tcp[13] = 0x02   // SYN
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
