package ctnetlink_test

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// withoutPrivileges runs f on a thread without capabilities, which is not used
// again.
func withoutPrivileges(f func() error) error {
	runtime.LockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return err
	}
	return f()
}
