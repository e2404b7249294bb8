package chardev

import "golang.org/x/sys/unix"

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

// errnoError is sentinelOf for an errno that may be 0, which is no error.
func errnoError(errno unix.Errno, table map[unix.Errno]error) error {
	if errno == 0 {
		return nil
	}
	return sentinelOf(errno, table)
}

// errnoOf returns the errno that the functions of package unix return as an
// error, 0 for nil.
func errnoOf(err error) unix.Errno {
	if err == nil {
		return 0
	}
	return err.(unix.Errno)
}
