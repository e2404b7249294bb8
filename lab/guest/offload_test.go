package guest

import (
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/lab/netns"
)

// sendWithChecksums has a link send packets with their checksums filled in, as
// they arrive from a real network. A veth leaves them to a card that there is
// none of, and nobody on the way would notice a wrong one.
func sendWithChecksums(t testing.TB, n *netns.Namespace, link string) {
	t.Helper()
	// struct ethtool_value and struct ifreq of linux/ethtool.h and linux/if.h
	value := struct{ cmd, data uint32 }{unix.ETHTOOL_STXCSUM, 0}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:unix.IFNAMSIZ-1], link)
	err := n.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
		if errno != 0 {
			return errno
		}
		return nil
	})
	runtime.KeepAlive(&value)
	if err != nil {
		t.Fatalf("%s: %s: checksum offload: %v", n.Name, link, err)
	}
}
