package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/cluster"
)

const batchSize = 64 // datagrams a system call

// aLongTimeAgo is a deadline that has passed.
var aLongTimeAgo = time.Unix(1, 0)

// receiver receives many datagrams by one call, in memory that it uses again.
// golang.org/x/net would make a source address of each.
type receiver struct {
	filter    filter
	counters  *Counters
	rawIPv4   bool // an IPv4 header comes before each
	headers   [batchSize]mmsghdr
	iovecs    [batchSize]unix.Iovec
	names     [batchSize]unix.RawSockaddrInet6 // of either family
	buffers   [][]byte
	arrivals  [][]byte // control messages
	datagrams []cluster.Datagram
	overruns  uint32
	errors    *errorQueue // of a unicast link, or nil

	read  func(fd uintptr) bool // made once: it would escape at every call
	n     int
	errno syscall.Errno
}

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	unix.Msghdr
	length uint32
	_      [4]byte
}

// newReceiver returns a receiver of packets of up to size bytes.
func newReceiver(f filter, size int, rawIPv4 bool, errors *errorQueue, c *Counters) *receiver {
	r := &receiver{filter: f, counters: c, rawIPv4: rawIPv4, errors: errors}
	r.read = r.receive
	// A raw socket of IPv4 leaves the header in place. What is longer is cut
	// by the kernel, which says so.
	size += ipv4HeaderMax
	memory, control := make([]byte, batchSize*size), make([]byte, batchSize*arrivalSize)
	for i := range batchSize {
		r.buffers = append(r.buffers, memory[i*size:(i+1)*size:(i+1)*size])
		r.arrivals = append(r.arrivals, control[i*arrivalSize:(i+1)*arrivalSize:(i+1)*arrivalSize])
		r.iovecs[i].Base = &r.buffers[i][0]
		r.iovecs[i].SetLen(size)
		h := &r.headers[i]
		h.Name = (*byte)(unsafe.Pointer(&r.names[i]))
		h.Iov = &r.iovecs[i]
		h.SetIovlen(1)
		h.Control = &r.arrivals[i][0]
	}
	r.datagrams = make([]cluster.Datagram, 0, batchSize)
	return r
}

// receive is one call of recvmmsg. It returns false where it must wait. A
// socket that has ICMP errors fails once, and wakes who waits.
func (r *receiver) receive(fd uintptr) bool {
	for i := range r.headers {
		h := &r.headers[i]
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(arrivalSize)
		h.Flags = 0
	}
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd,
			uintptr(unsafe.Pointer(&r.headers[0])), batchSize, 0, 0, 0)
		switch errno {
		case 0:
			r.n, r.errno = int(n), 0
			return true
		case unix.EINTR:
		default:
			r.n, r.errno = 0, errno
			if r.errors != nil && r.errors.drain(fd) {
				r.errno = 0
			}
			return r.errno != unix.EAGAIN
		}
	}
}

// accept judges what came and returns what is taken.
func (r *receiver) accept() []cluster.Datagram {
	r.datagrams = r.datagrams[:0]
	size := 0
	for i := range r.n {
		h := &r.headers[i]
		a := parseArrival(r.arrivals[i][:h.Controllen])
		a.truncated = h.Flags&unix.MSG_TRUNC != 0
		if lost := a.overruns - r.overruns; a.hasOverruns && lost > 0 {
			r.counters.Dropped.Add(DropOverrun, int(lost))
			r.overruns = a.overruns
		}
		payload, ok := r.buffers[i][:h.length], true
		if r.rawIPv4 {
			if payload, ok = behindHeader(payload); !ok {
				r.counters.Dropped.Add(DropHeader, 1)
				continue
			}
		}
		from := sender(&r.names[i], h.Namelen)
		if drop, ok := r.filter.judge(len(payload), from.Addr(), &a); !ok {
			if drop != notOurs {
				r.counters.Dropped.Add(drop, 1)
			}
			continue
		}
		r.datagrams = append(r.datagrams, cluster.Datagram{Payload: payload, From: from})
		size += len(payload)
	}
	r.counters.Received.Add(ReceiveCalls, 1)
	r.counters.Received.Add(ReceivedDatagrams, len(r.datagrams))
	r.counters.Received.Add(ReceivedBytes, size)
	return r.datagrams
}

// behindHeader returns what follows the IPv4 header of a packet.
func behindHeader(packet []byte) ([]byte, bool) {
	if len(packet) < ipv4Header || packet[0]>>4 != 4 {
		return nil, false
	}
	header := int(packet[0]&0x0f) * 4
	if header < ipv4Header || len(packet) < header {
		return nil, false
	}
	return packet[header:], true
}

// sender returns the address that the kernel wrote, without a zone: the link
// has one interface where there could be one.
func sender(name *unix.RawSockaddrInet6, length uint32) netip.AddrPort {
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&name.Port))[:])
	switch {
	case name.Family == unix.AF_INET && length >= unix.SizeofSockaddrInet4:
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), port)
	case name.Family == unix.AF_INET6 && length >= unix.SizeofSockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(name.Addr), port)
	}
	return netip.AddrPort{}
}

// Receive waits for datagrams and returns those that may be looked into. They
// are valid until the next call. After Unblock the error is ErrUnblocked.
func (l *Link) Receive() ([]cluster.Datagram, error) {
	for {
		err := l.raw.Read(l.receiver.read)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, fmt.Errorf("transport: %w", ErrUnblocked)
		case err != nil:
			return nil, fmt.Errorf("transport: %v: %w", l, err)
		case l.receiver.errno != 0 && !(l.receiver.errors != nil && fromICMP(l.receiver.errno)):
			return nil, fmt.Errorf("transport: %v: recvmmsg: %w", l, l.receiver.errno)
		}
		if datagrams := l.receiver.accept(); len(datagrams) > 0 {
			return datagrams, nil
		}
	}
}

// Unblock ends a waiting Receive, and every later one.
func (l *Link) Unblock() {
	l.conn.SetReadDeadline(aLongTimeAgo) // fails on a closed socket, where nobody waits
}
