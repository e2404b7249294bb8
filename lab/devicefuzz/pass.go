package devicefuzz

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// pass sends a descriptor to a socket, where it may be all that is left of it.
func (w *worker) pass(d *descriptor) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		w.run.find("socketpair: %v", err)
		return
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	rights := []int{d.fd}
	if w.IntN(4) == 0 {
		rights = append(rights, pair[0], pair[1]) // garbage that holds itself
	}
	if err := unix.Sendmsg(pair[0], []byte{0}, unix.UnixRights(rights...), nil, 0); err != nil {
		w.run.find("sendmsg: %v", err)
		return
	}
	w.count["passed"]++
	if w.IntN(2) == 0 {
		return
	}
	received, err := receive(pair[1])
	if err != nil {
		return // another worker's race may have got the number, and the message
	}
	_, _ = unix.Write(received[0], w.batch(2))
	for _, fd := range received {
		unix.Close(fd)
	}
}

func receive(socket int) ([]int, error) {
	control := make([]byte, unix.CmsgSpace(4*8))
	_, n, _, _, err := unix.Recvmsg(socket, make([]byte, 1), control, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil {
		return nil, err
	}
	var all []int
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return nil, err
		}
		all = append(all, fds...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no descriptor came")
	}
	return all, nil
}

// collectGarbage ends the sockets that nothing but themselves holds, and with
// them the descriptors of the device that were sent there. The kernel looks for
// such sockets when some socket is closed, but not while it looks already: what
// the last workers closed at once may be left over, and hold the module and the
// namespaces until the next socket is closed, by whomever.
func collectGarbage() error {
	for range 10 { // newer kernels look in the background
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("devicefuzz: socketpair: %w", err)
		}
		unix.Close(pair[0])
		unix.Close(pair[1])
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}
