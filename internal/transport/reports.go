package transport

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// PeerReport says that a peer of a unicast link was not reached. Who says so
// is not known for certain: anybody can forge an ICMP error.
type PeerReport struct {
	Peer  netip.Addr
	Kind  PeerError
	Count int        // since it was reported last
	By    netip.Addr // who sent the last ICMP error; none: this host
	MTU   int        // of PeerFragNeeded, as it says
}

const (
	// Every host receives so much (RFC 791, RFC 8200).
	ipv4Least = 576
	ipv6Least = 1280

	// A path's MTU that was reported is tried again after that.
	mtuExpires = 10 * time.Minute
)

// reports are what is to be said of each peer.
type reports struct {
	counters *Counters
	peers    []netip.Addr
	least    int

	mu      sync.Mutex
	all     [][peerErrors]PeerReport // of each peer
	lowered []lowered                // of each peer
}

// lowered is the MTU of a path that a router reported. Zero: none did.
type lowered struct {
	mtu   int
	until time.Time
}

func newReports(o *Options) *reports {
	r := &reports{counters: o.Counters, peers: o.Peers, least: o.least()}
	r.all = make([][peerErrors]PeerReport, len(o.Peers))
	r.lowered = make([]lowered, len(o.Peers))
	return r
}

// add counts an error. It is reported where it is about one of the peers.
func (r *reports) add(p PeerReport) {
	r.counters.PeerErrors.Add(p.Kind, 1)
	i := slices.Index(r.peers, p.Peer)
	if i < 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	k := &r.all[i][p.Kind]
	p.Count = k.Count + 1
	*k = p
	if p.Kind == PeerFragNeeded {
		r.lowered[i] = lowered{max(p.MTU, r.least), time.Now().Add(mtuExpires)}
	}
}

// take returns what is new.
func (r *reports) take() (news []PeerReport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.all {
		for k := range r.all[i] {
			if r.all[i][k].Count > 0 {
				news = append(news, r.all[i][k])
				r.all[i][k] = PeerReport{}
			}
		}
	}
	return news
}

// limit returns the smallest of an MTU and those that were reported.
func (r *reports) limit(mtu int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.lowered {
		l := &r.lowered[i]
		if l.mtu > 0 && time.Now().After(l.until) {
			*l = lowered{}
		}
		if l.mtu > 0 {
			mtu = min(mtu, l.mtu)
		}
	}
	return mtu
}

// PeerErrors returns which peers of a unicast link were not reached since it
// was called last, and why: one report a peer and kind.
func (l *Link) PeerErrors() []PeerReport { return l.reports.take() }

// errorQueue reads the ICMP errors that the kernel queues for a socket.
type errorQueue struct {
	reports *reports
	header  unix.Msghdr
	iovec   unix.Iovec
	name    unix.RawSockaddrInet6 // whom the datagram was for
	quoted  [1]byte               // the rest is cut
	control [512]byte
}

func newErrorQueue(r *reports) *errorQueue {
	q := &errorQueue{reports: r}
	q.iovec.Base = &q.quoted[0]
	q.iovec.SetLen(len(q.quoted))
	q.header.Name = (*byte)(unsafe.Pointer(&q.name))
	q.header.Iov = &q.iovec
	q.header.SetIovlen(1)
	q.header.Control = &q.control[0]
	return q
}

// drain reads the queue to its end, or for a while. It returns whether there
// was anything.
func (q *errorQueue) drain(fd uintptr) (some bool) {
	for range batchSize {
		q.header.Namelen = unix.SizeofSockaddrInet6
		q.header.SetControllen(len(q.control))
		_, _, errno := unix.Syscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&q.header)), unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return some
		}
		some = true
		if p, ok := parseError(q.control[:q.header.Controllen]); ok {
			p.Peer = sender(&q.name, q.header.Namelen).Addr()
			q.reports.add(p)
		}
	}
	return some
}

// sizeofExtendedErr is that of struct sock_extended_err.
const sizeofExtendedErr = int(unsafe.Sizeof(unix.SockExtendedErr{}))

// parseError reads the control messages of an error. What this host has to say
// itself, the call that sends says too.
func parseError(oob []byte) (p PeerReport, ok bool) {
	for h, data := range controlMessages(oob) {
		known := h.Level == unix.IPPROTO_IP && h.Type == unix.IP_RECVERR || h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_RECVERR
		if !known || len(data) < sizeofExtendedErr {
			continue
		}
		e := (*unix.SockExtendedErr)(unsafe.Pointer(&data[0]))
		switch e.Origin {
		case unix.SO_EE_ORIGIN_ICMP:
			p.Kind = icmpError(e.Type, e.Code)
		case unix.SO_EE_ORIGIN_ICMP6:
			p.Kind = icmp6Error(e.Type, e.Code)
		default:
			return p, false
		}
		if p.Kind == PeerFragNeeded {
			p.MTU = int(e.Info)
		}
		p.By = offender(data[sizeofExtendedErr:])
		return p, true
	}
	return p, false
}

// offender returns the address of who sent an ICMP error.
func offender(data []byte) netip.Addr {
	switch {
	case len(data) < 2:
	case binary.NativeEndian.Uint16(data) == unix.AF_INET && len(data) >= 8:
		return netip.AddrFrom4([4]byte(data[4:]))
	case binary.NativeEndian.Uint16(data) == unix.AF_INET6 && len(data) >= 24:
		return netip.AddrFrom16([16]byte(data[8:]))
	}
	return netip.Addr{}
}

// Types and codes of ICMP (RFC 792, RFC 1812) and of ICMPv6 (RFC 4443).
const (
	icmpUnreachable  = 3
	icmpTimeExceeded = 11

	icmp6Unreachable  = 1
	icmp6TooBig       = 2
	icmp6TimeExceeded = 3
	icmp6Parameter    = 4
)

func icmpError(kind, code uint8) PeerError {
	switch kind {
	case icmpUnreachable:
		switch code {
		case 0, 6, 11:
			return PeerNetUnreachable
		case 1, 5, 7, 8, 12:
			return PeerHostUnreachable
		case 2:
			return PeerProtocolUnreachable
		case 3:
			return PeerPortUnreachable
		case 4:
			return PeerFragNeeded
		case 9, 10, 13:
			return PeerProhibited
		}
	case icmpTimeExceeded:
		return PeerTTLExceeded
	}
	return PeerOther
}

func icmp6Error(kind, code uint8) PeerError {
	switch kind {
	case icmp6Unreachable:
		switch code {
		case 0:
			return PeerNetUnreachable
		case 2, 3:
			return PeerHostUnreachable
		case 4:
			return PeerPortUnreachable
		case 1, 5, 6:
			return PeerProhibited
		}
	case icmp6TooBig:
		return PeerFragNeeded
	case icmp6TimeExceeded:
		return PeerTTLExceeded
	case icmp6Parameter:
		if code == 1 { // the next header is not known
			return PeerProtocolUnreachable
		}
	}
	return PeerOther
}
