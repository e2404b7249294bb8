package traffic

import (
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tellDestination has the kernel say at which address a datagram arrived.
func tellDestination(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	})
	if err == nil {
		err = failed
	}
	return err
}

// sameSource makes, of what came with a datagram, what has to go with the answer
// so that it leaves from the address that the datagram was sent to.
func sameSource(received []byte) []byte {
	messages, err := unix.ParseSocketControlMessage(received)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		if m.Header.Level != unix.IPPROTO_IP || m.Header.Type != unix.IP_PKTINFO ||
			len(m.Data) < unix.SizeofInet4Pktinfo {
			continue
		}
		arrived := (*unix.Inet4Pktinfo)(unsafe.Pointer(&m.Data[0]))
		return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: arrived.Addr})
	}
	return nil
}
