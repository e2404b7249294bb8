package main

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/lab/netns"
)

// batchSize is how many frames leave with one system call.
const batchSize = 128

// mmsghdr is struct mmsghdr of sendmmsg(2).
type mmsghdr struct {
	unix.Msghdr
	sent uint32
}

// A sender puts frames on a link. The other end takes each of them in before
// the next one leaves: veth hands it to the receiving namespace's backlog, which
// the kernel works off before the system call goes on. Nothing is allocated.
type sender struct {
	fd       int
	frames   [batchSize]frame
	vectors  [batchSize]unix.Iovec
	messages [batchSize]mmsghdr
	n        int
	sent     int // all told
}

func newSender(n *netns.Namespace, link string, destination [6]byte) (*sender, error) {
	s := new(sender)
	err := n.Do(func() (err error) {
		s.fd, err = openLink(link)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("packet socket on %s: %w", link, err)
	}
	for i := range s.frames {
		s.frames[i].prepare(destination)
		s.vectors[i].Base = &s.frames[i][0]
		s.messages[i].Iov = &s.vectors[i]
		s.messages[i].Iovlen = 1
	}
	return s, nil
}

// openLink opens a packet socket that sends on a link. Its protocol is zero: it
// receives nothing, so that no packet of the machine passes by it.
func openLink(name string) (fd int, err error) {
	if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, err
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	request, err := unix.NewIfreq(name)
	if err != nil {
		return -1, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request); err != nil {
		return -1, err
	}
	return fd, unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: int(request.Uint32())})
}

// put sends a packet, now or with the others of its batch.
func (s *sender) put(from, to endpoint, what step) error {
	s.vectors[s.n].Len = uint64(s.frames[s.n].address(from, to, what))
	if s.n++; s.n == batchSize {
		return s.flush()
	}
	return nil
}

// flush sends what was put.
func (s *sender) flush() error {
	for begin := 0; begin < s.n; {
		// Raw: a system call that the Go scheduler knows of would let it
		// give this processor to another thread.
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(s.fd),
			uintptr(unsafe.Pointer(&s.messages[begin])), uintptr(s.n-begin), 0, 0, 0)
		if errno != 0 {
			return fmt.Errorf("sendmmsg: %w", errno)
		}
		begin += int(n)
		s.sent += int(n)
	}
	s.n = 0
	return nil
}

func (s *sender) close() error { return unix.Close(s.fd) }

// sendRaw sends a message on a connected socket, and lets others run.
func sendRaw(fd int, message []byte) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(&message[0])), uintptr(len(message)), 0, 0, 0)
	if errno == 0 {
		_, _, errno = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	}
	if errno != 0 {
		return fmt.Errorf("send: %w", errno)
	}
	return nil
}
