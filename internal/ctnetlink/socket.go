package ctnetlink

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// receiveSize is more than the kernel puts into one datagram.
const receiveSize = 64 << 10

// BatchMax is how many requests are sent at once at most: their answers wait in
// the socket until all are done.
const BatchMax = 64

// Why connection tracking cannot be used.
var (
	ErrNotSupported  = errors.New("the kernel has no ctnetlink: load nf_conntrack_netlink, or build it in (CONFIG_NF_CT_NETLINK)")
	ErrNotPermitted  = errors.New("ctnetlink needs CAP_NET_ADMIN in the network namespace")
	ErrOverrun       = errors.New("events were lost: the socket was full")
	ErrNothing       = errors.New("there is nothing to receive")
	ErrNoEnd         = errors.New("ctnetlink: a table without an end")
	errUnknownAnswer = errors.New("ctnetlink: an answer that is none")
)

// Socket is one to the connection tracking of the network namespace that it was
// opened in. It is not for concurrent use.
type Socket struct {
	fd   int
	port uint32
	buf  []byte
}

// Open opens a socket for requests.
func Open() (*Socket, error) { return open(0) }

// OpenEvents opens a socket that receives all events of entries, and those of new
// expectations, and holds so many bytes of them.
func OpenEvents(buffer int) (*Socket, error) {
	return open(buffer, groupNew, groupUpdate, groupDestroy, groupExpectNew)
}

func open(buffer int, groups ...int) (*Socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, explain("socket", err)
	}
	s := &Socket{fd: fd, buf: make([]byte, receiveSize)}
	if err := s.set(buffer, groups); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Socket) set(buffer int, groups []int) error {
	if err := unix.Bind(s.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return explain("bind", err)
	}
	name, err := unix.Getsockname(s.fd)
	if err != nil {
		return explain("getsockname", err)
	}
	if addr, ok := name.(*unix.SockaddrNetlink); ok {
		s.port = addr.Pid
	}
	if buffer > 0 {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer); err != nil {
			return explain("SO_RCVBUFFORCE", err)
		}
	}
	for _, g := range groups {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g); err != nil {
			return explain("NETLINK_ADD_MEMBERSHIP", err)
		}
	}
	return nil
}

// explain says what to do about an error that means something.
func explain(what string, err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("ctnetlink: %s: %w: %w", what, err, ErrNotPermitted)
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("ctnetlink: %s: %w: %w", what, err, ErrNotSupported)
	}
	return fmt.Errorf("ctnetlink: %s: %w", what, err)
}

// Port returns the number that events have which this socket has caused.
func (s *Socket) Port() uint32 { return s.port }

// Send hands requests to the kernel, which has done them when it returns.
func (s *Socket) Send(requests []byte) error {
	for {
		_, err := unix.Write(s.fd, requests)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EINTR):
			return explain("send", err)
		}
	}
}

// Receive returns what comes next, which is valid until the next call:
// [ErrNothing] where there is nothing, [ErrOverrun] once where something was
// lost.
func (s *Socket) Receive() ([]byte, error) {
	for {
		n, err := unix.Read(s.fd, s.buf)
		switch {
		case err == nil:
			return s.buf[:n], nil
		case err == unix.EAGAIN:
			return nil, ErrNothing
		case err == unix.ENOBUFS:
			return nil, ErrOverrun
		case err != unix.EINTR:
			return nil, explain("receive", err)
		}
	}
}

// Dump asks for the whole table: it is received by and by, and ends with Done.
func (s *Socket) Dump() error { return s.Send(appendDump(nil)) }

// Entries returns how many entries there are.
func (s *Socket) Entries() (int, error) {
	if err := s.Send(appendStats(make([]byte, 0, 64))); err != nil {
		return 0, err
	}
	p, err := s.Receive()
	if err != nil {
		return 0, err
	}
	if n, ok := entriesOf(p); ok {
		return n, nil
	}
	var parser Parser
	var m Message
	if parser.Load(p); parser.Next(&m) && m.Kind == Failed && m.Errno != 0 {
		return 0, explain("statistics", m.Errno)
	}
	return 0, errUnknownAnswer
}

// Close closes the socket.
func (s *Socket) Close() error { return unix.Close(s.fd) }
