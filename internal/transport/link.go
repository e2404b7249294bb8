package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

const (
	// TTL of every advert. One less has crossed a router.
	TTL = 255

	batchSize = 64 // adverts a system call

	// The kernel doubles it. A burst of 1208-byte adverts takes a little
	// over 2 KiB of it each: some 8000 of them.
	socketBuffer = 8 << 20
)

// Options say which link to open.
type Options struct {
	Interface string
	Group     netip.Addr // IPv4 multicast
	Protocol  int        // IP protocol number
	MaxSize   int        // of an advert, without the IP header
	Counters  *Counters
}

// Link is an open link. Send, Receive and Check may be called at the same
// time, each of them by one goroutine at a time.
type Link struct {
	device   device
	counters *Counters
	raw      *net.IPConn
	packets  *ipv4.PacketConn
	outgoing []ipv4.Message
	receiver receiver
}

// Open opens the link. Its errors name what to do.
func Open(o Options) (*Link, error) {
	if !o.Group.Is4() || !o.Group.IsMulticast() {
		return nil, fmt.Errorf("%v: %w", o.Group, ErrGroup)
	}
	device, err := lookup(o.Interface)
	if err != nil {
		return nil, err
	}
	if need := headerMin + o.MaxSize; device.mtu < need {
		// Adverts would leave in fragments, which no peer takes.
		return nil, fmt.Errorf("interface %s %w: %d bytes, an advert takes %d: ip link set %[1]s mtu %[4]d",
			device.name, ErrMTU, device.mtu, need)
	}
	conn, err := net.ListenPacket("ip4:"+strconv.Itoa(o.Protocol), "0.0.0.0")
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("transport: %w: %w", ErrPermission, err)
	} else if err != nil {
		return nil, fmt.Errorf("transport: raw socket: %w", err)
	}
	raw := conn.(*net.IPConn)
	l := &Link{
		device:   device,
		counters: o.Counters,
		raw:      raw,
		packets:  ipv4.NewPacketConn(raw),
	}
	if err := l.configure(o.Group); err != nil {
		raw.Close()
		return nil, err
	}
	to := &net.IPAddr{IP: o.Group.AsSlice()}
	l.outgoing = make([]ipv4.Message, batchSize)
	for i := range l.outgoing {
		l.outgoing[i] = ipv4.Message{Buffers: make([][]byte, 1), Addr: to}
	}
	l.receiver = newReceiver(filter{
		group:   o.Group,
		ifIndex: device.index,
		own:     device.address,
		maxSize: o.MaxSize,
	}, o.Counters)
	return l, nil
}

// configure sets every option of the socket.
func (l *Link) configure(group netip.Addr) error {
	steps := []struct {
		what string
		set  func(fd int) error
	}{
		{"receive buffer", func(fd int) error { return buffer(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF) }},
		{"send buffer", func(fd int) error { return buffer(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF) }},
		{"IP_PKTINFO", func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1) }},
		{"IP_RECVFRAGSIZE", func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVFRAGSIZE, 1) }},
		{"SO_RXQ_OVFL", func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1) }},
		{"IP_MULTICAST_IF", func(fd int) error {
			// With the address, or the kernel chooses the source anew for
			// every advert, and peers and our own filter see it change.
			return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF,
				&unix.IPMreqn{Address: l.device.address.As4(), Ifindex: int32(l.device.index)})
		}},
		{"IP_MULTICAST_TTL", func(int) error { return l.packets.SetMulticastTTL(TTL) }},
		{"IP_MULTICAST_LOOP", func(int) error { return l.packets.SetMulticastLoopback(false) }},
		{"join of group " + group.String(), func(int) error {
			return l.packets.JoinGroup(&net.Interface{Index: l.device.index}, &net.IPAddr{IP: group.AsSlice()})
		}},
	}
	control, err := l.raw.SyscallConn()
	if err != nil {
		return fmt.Errorf("transport: %w", err)
	}
	for _, step := range steps {
		var failed error
		// The x/net calls take the descriptor by themselves; inside
		// Control they still may, it only counts a reference.
		if err := control.Control(func(fd uintptr) { failed = step.set(int(fd)) }); err != nil {
			return fmt.Errorf("transport: %w", err)
		}
		if failed != nil {
			return fmt.Errorf("transport: interface %s: %s: %w", l.device.name, step.what, failed)
		}
	}
	return nil
}

// buffer asks for a large buffer, with CAP_NET_ADMIN past the system's limit.
func buffer(fd, force, plain int) error {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, socketBuffer) == nil {
		return nil
	}
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, socketBuffer)
}

// Send sends adverts in order. Where it fails it returns how many were sent
// before.
func (l *Link) Send(adverts [][]byte) (int, error) {
	sent := 0
	for sent < len(adverts) {
		n := min(len(adverts)-sent, len(l.outgoing))
		for i := range n {
			l.outgoing[i].Buffers[0] = adverts[sent+i]
		}
		n, err := l.packets.WriteBatch(l.outgoing[:n], 0)
		sent += max(n, 0)
		if err != nil {
			if errors.Is(err, syscall.EPERM) {
				err = fmt.Errorf("%w: %w", ErrFirewall, err)
			}
			return sent, fmt.Errorf("transport: interface %s: %w", l.device.name, err)
		}
	}
	return sent, nil
}

// Receive waits for adverts and returns those that may be looked into. They
// are valid until the next call. After Unblock the error is ErrUnblocked.
func (l *Link) Receive() ([][]byte, error) {
	for {
		n, err := l.packets.ReadBatch(l.receiver.messages, 0)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, fmt.Errorf("transport: %w", ErrUnblocked)
		case err != nil:
			return nil, fmt.Errorf("transport: interface %s: %w", l.device.name, err)
		}
		if adverts := l.receiver.accept(n); len(adverts) > 0 {
			return adverts, nil
		}
	}
}

// Unblock ends a waiting Receive, and every later one.
func (l *Link) Unblock() {
	l.raw.SetReadDeadline(aLongTimeAgo) // fails on a closed socket, where nobody waits
}

// Check looks whether the interface is still the one that was opened, up and
// with the same address. Where it is not, the link must be opened again. That
// it has no carrier is no failure: a peer on a direct cable may be switched
// off.
func (l *Link) Check() (carrier bool, err error) {
	now, err := lookup(l.device.name)
	switch {
	case err != nil:
		return false, err
	case now.index != l.device.index:
		return false, fmt.Errorf("interface %s %w: replaced by another of its name", now.name, ErrChanged)
	case now.address != l.device.address:
		return false, fmt.Errorf("interface %s %w: its address changed from %v to %v", now.name, ErrChanged, l.device.address, now.address)
	}
	return now.carrier, nil
}

// Close closes the link.
func (l *Link) Close() error { return l.raw.Close() }

// String names interface and source address.
func (l *Link) String() string {
	return fmt.Sprintf("%s (%v)", l.device.name, l.device.address)
}
