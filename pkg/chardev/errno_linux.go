package chardev

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// What an errno means depends on the call: kmod/uapi/ssyncp.h.
var (
	openErrors = map[unix.Errno]error{
		unix.ENOENT: ErrNotLoaded,
		unix.ENXIO:  ErrNotLoaded,
		unix.ENODEV: ErrNotLoaded,
		unix.EACCES: ErrPermission,
		unix.EPERM:  ErrPermission,
	}
	attachErrors = map[unix.Errno]error{
		unix.EPROTONOSUPPORT: ErrABIMismatch,
		unix.EBUSY:           ErrBusy,
		unix.EISCONN:         ErrAlreadyAttached,
		unix.EOPNOTSUPP:      ErrUnsupported,
		unix.EINVAL:          ErrInvalid,
		unix.EACCES:          ErrPermission,
		unix.EPERM:           ErrPermission,
		unix.ENOTTY:          ErrNotDevice,
	}
	readErrors = map[unix.Errno]error{
		unix.ENOTCONN: ErrNotAttached,
		unix.EBADF:    ErrWrongMode,
	}
	writeErrors = map[unix.Errno]error{
		unix.EINVAL:   ErrMalformed,
		unix.EMSGSIZE: ErrTooLarge,
		unix.ENOTCONN: ErrNotAttached,
		unix.EBADF:    ErrWrongMode,
	}
	queryErrors = map[unix.Errno]error{
		unix.ENOTCONN: ErrNotAttached,
		unix.EBADF:    ErrWrongMode,
		unix.EACCES:   ErrPermission,
		unix.EPERM:    ErrPermission,
		unix.ENOTTY:   ErrNotDevice,
	}
)

// sentinelOf returns the sentinel value of an errno, or the errno itself.
func sentinelOf(errno unix.Errno, table map[unix.Errno]error) error {
	if err, ok := table[errno]; ok {
		return err
	}
	return errno
}

// fileError translates what package os returns for a descriptor of its own.
func fileError(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return os.ErrDeadlineExceeded
	case errors.Is(err, os.ErrNoDeadline):
		return fmt.Errorf("%w: it cannot be polled", ErrNotDevice)
	}
	// All that is left: the descriptor is closed, or being closed.
	return ErrClosed
}
