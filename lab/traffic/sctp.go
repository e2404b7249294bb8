package traffic

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Package net does not know SCTP, but takes a one-to-one socket (RFC 6458) for
// one of TCP: both are streams. Closing aborts the association: a shutdown
// would wait for a peer that may be gone, and keep its namespace as long.

// dialSCTP connects from an address, or from the kernel's choice.
func dialSCTP(source netip.Addr, to netip.AddrPort, limit time.Duration) (net.Conn, error) {
	file, err := socketSCTP(to.Addr())
	if err != nil {
		return nil, err
	}
	defer file.Close()
	fd := int(file.Fd())
	if source.IsValid() {
		if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(source, 0))); err != nil {
			return nil, os.NewSyscallError("bind", err)
		}
	}
	if err := connectWithin(fd, sockaddr(to), limit); err != nil {
		return nil, fmt.Errorf("sctp: %v: %w", to, os.NewSyscallError("connect", err))
	}
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	return conn, conn.(*net.TCPConn).SetLinger(0)
}

// connectWithin waits in poll(): a connect() that waits would end with the first
// signal that the runtime sends to its thread.
func connectWithin(fd int, to unix.Sockaddr, limit time.Duration) error {
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	if err := unix.Connect(fd, to); !errors.Is(err, unix.EINPROGRESS) {
		return err
	}
	for deadline := time.Now().Add(limit); ; {
		left := max(time.Until(deadline), 0)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(left.Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case n == 0:
			return unix.ETIMEDOUT
		default:
			failed, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
			if err == nil && failed != 0 {
				err = unix.Errno(failed)
			}
			return err
		}
	}
}

// listenSCTP listens on an address. The peer is told of all that the socket is
// bound to, so behind NAT it has to be the real server's own alone.
func listenSCTP(at netip.AddrPort) (net.Listener, error) {
	file, err := socketSCTP(at.Addr())
	if err != nil {
		return nil, err
	}
	defer file.Close()
	fd := int(file.Fd())
	if err := unix.Bind(fd, sockaddr(at)); err != nil {
		return nil, fmt.Errorf("sctp: %v: %w", at, os.NewSyscallError("bind", err))
	}
	if err := unix.Listen(fd, unix.SOMAXCONN); err != nil {
		return nil, os.NewSyscallError("listen", err)
	}
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	return abortingListener{listener}, nil
}

type abortingListener struct{ net.Listener }

func (l abortingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func socketSCTP(address netip.Addr) (*os.File, error) {
	family := unix.AF_INET
	if address.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	if err != nil {
		return nil, fmt.Errorf("sctp: %w", os.NewSyscallError("socket", err))
	}
	return os.NewFile(uintptr(fd), "sctp"), nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is6() {
		return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
}
