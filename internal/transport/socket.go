package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

const (
	// TTL of every datagram, or hop limit, on a multicast link. One less has
	// crossed a router.
	TTL = 255

	// The kernel doubles it. A burst of 1208-byte adverts takes a little
	// over 2 KiB of it each: some 8000 of them.
	socketBuffer = 8 << 20
)

// Sizes of headers.
const (
	ipv4Header    = 20
	ipv4HeaderMax = 60
	ipv6Header    = 40
	udpHeader     = 8
)

// conn is what raw sockets and those of UDP have in common.
type conn interface {
	net.PacketConn
	syscall.Conn
}

// batchWriter is what the packages ipv4 and ipv6 have in common.
type batchWriter interface {
	WriteBatch(messages []ipv4.Message, flags int) (int, error)
}

// listen opens the socket of a link.
func listen(o *Options, d device) (conn, error) {
	ctx, config := context.Background(), net.ListenConfig{}
	if o.Bound && d.index != 0 {
		config.Control = func(_, _ string, c syscall.RawConn) error { return control(c, d.bind) }
	}
	version, anyone := "4", "0.0.0.0"
	if o.ipv6() {
		version, anyone = "6", "::"
	}
	if o.Port == 0 {
		c, err := config.ListenPacket(ctx, "ip"+version+":"+strconv.Itoa(o.Protocol), anyone)
		switch {
		case errors.Is(err, os.ErrPermission):
			return nil, fmt.Errorf("transport: %w: %w", ErrPermission, err)
		case err != nil:
			return nil, fmt.Errorf("transport: raw socket: %w", err)
		}
		return c.(*net.IPConn), nil
	}
	c, err := config.ListenPacket(ctx, "udp"+version, net.JoinHostPort(anyone, strconv.Itoa(o.Port)))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("UDP port %d %w: \"ss -ulpn sport = %[1]d\" shows by whom", o.Port, ErrPortInUse)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("UDP port %d takes CAP_NET_BIND_SERVICE, or name one from 1024 on: %w", o.Port, err)
	case err != nil:
		return nil, fmt.Errorf("transport: UDP port %d: %w", o.Port, err)
	}
	return c.(*net.UDPConn), nil
}

// control does something with a socket.
func control(c syscall.RawConn, do func(fd int) error) error {
	var failed error
	if err := c.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil {
		return err
	}
	return failed
}

// option is one setting of a socket.
type option struct {
	what string
	set  func(fd int) error
}

func integer(level, name, value int) func(fd int) error {
	return func(fd int) error { return unix.SetsockoptInt(fd, level, name, value) }
}

// configure sets every option of the socket.
func configure(c conn, d device, o *Options) (batchWriter, error) {
	options := []option{
		{"receive buffer", buffer(unix.SO_RCVBUFFORCE, unix.SO_RCVBUF)},
		{"send buffer", buffer(unix.SO_SNDBUFFORCE, unix.SO_SNDBUF)},
		{"SO_RXQ_OVFL", integer(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1)},
	}
	group := &net.UDPAddr{IP: o.Group.AsSlice()}
	on := &net.Interface{Index: d.index}
	var writer batchWriter
	if o.ipv6() {
		p := ipv6.NewPacketConn(c)
		writer = p
		options = append(options,
			option{"IPV6_RECVPKTINFO", integer(unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)},
			option{"IPV6_RECVHOPLIMIT", integer(unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1)},
			option{"IPV6_RECVFRAGSIZE", integer(unix.IPPROTO_IPV6, unix.IPV6_RECVFRAGSIZE, 1)},
			option{"IPV6_MTU_DISCOVER", integer(unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE)},
			option{"IPV6_DONTFRAG", integer(unix.IPPROTO_IPV6, unix.IPV6_DONTFRAG, 1)},
			option{"IPV6_UNICAST_HOPS", func(int) error { return p.SetHopLimit(o.ttl()) }},
		)
		if o.multicast() {
			options = append(options,
				option{"IPV6_MULTICAST_HOPS", func(int) error { return p.SetMulticastHopLimit(TTL) }},
				option{"IPV6_MULTICAST_LOOP", func(int) error { return p.SetMulticastLoopback(false) }},
				option{"join of group " + o.Group.String(), func(int) error { return p.JoinGroup(on, group) }},
			)
		} else {
			options = append(options, option{"IPV6_RECVERR", integer(unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)})
		}
	} else {
		p := ipv4.NewPacketConn(c)
		writer = p
		options = append(options,
			option{"IP_PKTINFO", integer(unix.IPPROTO_IP, unix.IP_PKTINFO, 1)},
			option{"IP_RECVTTL", integer(unix.IPPROTO_IP, unix.IP_RECVTTL, 1)},
			option{"IP_RECVFRAGSIZE", integer(unix.IPPROTO_IP, unix.IP_RECVFRAGSIZE, 1)},
			// Don't Fragment. PROBE and not DO: what the kernel believes of
			// the path's MTU anybody can lower by a forged ICMP error, and it
			// would send nothing larger for ten minutes.
			option{"IP_MTU_DISCOVER", integer(unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)},
			option{"IP_TTL", func(int) error { return p.SetTTL(o.ttl()) }},
		)
		if o.multicast() {
			options = append(options,
				option{"IP_MULTICAST_TTL", func(int) error { return p.SetMulticastTTL(TTL) }},
				option{"IP_MULTICAST_LOOP", func(int) error { return p.SetMulticastLoopback(false) }},
				option{"join of group " + o.Group.String(), func(int) error { return p.JoinGroup(on, group) }},
			)
		} else {
			options = append(options, option{"IP_RECVERR", integer(unix.IPPROTO_IP, unix.IP_RECVERR, 1)})
		}
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	for _, option := range options {
		// The x/net calls take the descriptor by themselves; inside
		// Control they still may, it only counts a reference.
		if err := control(raw, option.set); err != nil {
			return nil, fmt.Errorf("transport: %s: %w", option.what, err)
		}
	}
	return writer, nil
}

// buffer asks for a large buffer, with CAP_NET_ADMIN past the system's limit.
func buffer(force, plain int) func(fd int) error {
	return func(fd int) error {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, socketBuffer) == nil {
			return nil
		}
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, socketBuffer)
	}
}

// packetInfo returns the control message that makes datagrams leave by an
// interface and, where there is one, from an address. Without, the kernel
// chooses the source anew for each, and peers and our own filter see it
// change.
func packetInfo(d device, source netip.Addr, ipv6 bool) []byte {
	switch {
	case d.index == 0:
		return nil
	case ipv6:
		data := make([]byte, unix.SizeofInet6Pktinfo)
		if source.IsValid() {
			copy(data, source.AsSlice())
		}
		binary.NativeEndian.PutUint32(data[16:], uint32(d.index))
		return controlMessage(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, data)
	}
	data := make([]byte, unix.SizeofInet4Pktinfo)
	binary.NativeEndian.PutUint32(data, uint32(d.index))
	if source.IsValid() {
		copy(data[4:], source.AsSlice())
	}
	return controlMessage(unix.IPPROTO_IP, unix.IP_PKTINFO, data)
}
