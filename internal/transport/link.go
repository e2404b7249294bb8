package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
)

const (
	maxPacket = 65535

	// jumbo is what is received at least where no interface is given: a peer's
	// path to us may have a larger MTU than ours to it.
	jumbo = 9216
)

// Link is an open link. Send and SendTo are called by one goroutine at a time,
// Receive and Check by others, all at the same time.
type Link struct {
	options     Options
	device      device // none: its index is 0
	paths       paths
	packet      int          // longest that is received
	mtu         atomic.Int64 // of the interface, or the routes
	conn        conn
	raw         syscall.RawConn
	transmitter *transmitter
	toOne       []net.Addr
	receiver    *receiver
	reports     *reports
}

// Open opens the link. Its errors name what to do.
func Open(o Options) (*Link, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	l := &Link{options: o, reports: newReports(&o)}
	var err error
	if o.Interface != "" {
		if l.device, err = lookup(o.Interface); err != nil {
			return nil, err
		}
	}
	if l.paths, err = findPaths(&o, l.device); err != nil {
		return nil, err
	}
	mtu := l.paths.mtu(o.least())
	if need := o.headers() + o.MaxSize; o.MaxSize > 0 && mtu < need {
		// Adverts would leave in fragments, which no peer takes.
		return nil, fmt.Errorf("interface %s %w: %d bytes, an advert takes %d: ip link set %[1]s mtu %[4]d",
			o.Interface, ErrMTU, mtu, need)
	}
	l.mtu.Store(int64(mtu))
	if l.packet = l.device.mtu; l.device.index == 0 {
		l.packet = max(mtu, jumbo)
	}
	if l.conn, err = listen(&o, l.device); err != nil {
		return nil, err
	}
	if err := l.start(); err != nil {
		l.conn.Close()
		return nil, err
	}
	if l.device.index != 0 {
		o.Beside.add(o.medium(l.device.index))
	}
	return l, nil
}

// start makes the open socket ready.
func (l *Link) start() error {
	o := &l.options
	raw, err := l.conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("transport: %w", err)
	}
	l.raw = raw
	writer, err := configure(l.conn, l.device, o)
	if err != nil {
		return fmt.Errorf("%v: %w", l, err)
	}
	maxSize := o.MaxSize
	if maxSize == 0 {
		maxSize = l.packet
	}
	f := filter{
		ifIndex:   l.device.index,
		elsewhere: func(ifIndex int) bool { return o.Beside.has(o.medium(ifIndex)) },
		group:     o.Group,
		groupOnly: o.MaxSize > 0,
		own:       l.paths.sources(),
		peers:     o.Peers,
		maxSize:   maxSize,
	}
	to, control := o.Peers, packetInfo(l.device, netip.Addr{}, o.ipv6())
	if o.multicast() {
		to, control = []netip.Addr{o.Group}, packetInfo(l.device, l.paths[0].source, o.ipv6())
	}
	var queue *errorQueue
	if !o.multicast() {
		queue = newErrorQueue(l.reports)
	}
	l.receiver = newReceiver(f, min(l.packet, maxPacket), o.Port == 0 && !o.ipv6(), queue, o.Counters)
	l.transmitter = newTransmitter(writer, to, o.Port, !o.multicast(), control, l.reports)
	l.toOne = []net.Addr{&l.transmitter.one}
	return nil
}

// Room returns the size of the longest frame that fits one packet to everyone.
// What a router on the way says of its MTU is taken into account.
func (l *Link) Room() int {
	if l.options.MaxSize > 0 {
		return l.options.MaxSize
	}
	return min(l.reports.limit(int(l.mtu.Load())), maxPacket) - l.options.headers()
}

// Check looks whether the interface is still the one that was opened, up and
// with the same address and MTU, and whether peers are still reached from the
// same address. Where they are not, the link must be opened again. That it has
// no carrier, or no route, is no failure: a peer on a direct cable may be
// switched off.
func (l *Link) Check() (carrier bool, err error) {
	o := &l.options
	var now device
	if o.Interface != "" {
		now, err = lookup(o.Interface)
		switch {
		case err != nil:
			return false, err
		case now.index != l.device.index:
			return false, fmt.Errorf("interface %s %w: replaced by another of its name", now.name, ErrChanged)
		case now.mtu != l.device.mtu && o.MaxSize == 0:
			return false, fmt.Errorf("interface %s %w: its MTU changed from %d to %d", now.name, ErrChanged, l.device.mtu, now.mtu)
		}
	}
	paths, err := findPaths(o, now)
	if errors.Is(err, ErrNoRoute) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	if err := l.paths.changed(paths); err != nil {
		return false, fmt.Errorf("%v %w: %w", l, ErrChanged, err)
	}
	mtu := paths.mtu(o.least())
	switch need := o.headers() + o.MaxSize; {
	case o.MaxSize > 0 && mtu < need:
		return false, fmt.Errorf("interface %s %w: %d bytes, an advert takes %d: ip link set %[1]s mtu %[4]d",
			o.Interface, ErrMTU, mtu, need)
	case mtu > l.packet && o.MaxSize == 0:
		return false, fmt.Errorf("%v %w: the MTU of its routes grew to %d", l, ErrChanged, mtu)
	}
	l.mtu.Store(int64(mtu))
	return o.Interface == "" || now.carrier, nil
}

// Close closes the link. It fails if that was done already.
func (l *Link) Close() error {
	err := l.conn.Close()
	if err == nil && l.device.index != 0 {
		l.options.Beside.remove(l.options.medium(l.device.index))
	}
	return err
}

// String names interface and source address, or the peers.
func (l *Link) String() string {
	var udp string
	if l.options.Port != 0 {
		udp = fmt.Sprintf(", UDP port %d", l.options.Port)
	}
	if l.options.multicast() {
		return fmt.Sprintf("%s (%v%s)", l.options.Interface, l.paths[0].source, udp)
	}
	if l.options.Interface != "" {
		return fmt.Sprintf("%s (to %s%s)", l.options.Interface, list(l.options.Peers), udp)
	}
	return fmt.Sprintf("to %s%s", list(l.options.Peers), udp)
}
