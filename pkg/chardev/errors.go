package chardev

import (
	"errors"
	"fmt"
	"os"
)

// Sentinel errors, found by errors.Is in what the methods of [Device] return.
// Deadlines give [os.ErrDeadlineExceeded], the end of a snapshot [io.EOF].
var (
	// ErrNotLoaded is also os.ErrNotExist.
	ErrNotLoaded error = &sentinel{"no such device; is the kernel module loaded? (modprobe ssyncp)", os.ErrNotExist}
	// ErrPermission is also os.ErrPermission.
	ErrPermission error = &sentinel{"permission denied; it takes CAP_NET_ADMIN and access to the device node", os.ErrPermission}
	// ErrClosed is os.ErrClosed: the device was closed, maybe while waiting.
	ErrClosed = os.ErrClosed

	ErrNotDevice       = errors.New("not the device of the ssyncp kernel module")
	ErrABIMismatch     = errors.New("module and program speak different ABI versions")
	ErrBusy            = errors.New("this network namespace has a capture reader already (is another ssyncpd running?)")
	ErrAlreadyAttached = errors.New("already attached")
	ErrNotAttached     = errors.New("not attached")
	ErrWrongMode       = errors.New("attached in a mode that does not allow this")
	ErrUnsupported     = errors.New("the module lacks what this needs of ip_vs")
	ErrInvalid         = errors.New("mode, flag or option unknown to the module")
	ErrMalformed       = errors.New("malformed record")
	ErrTooLarge        = errors.New("more than the device takes in one batch")
)

// Why [AppendRecord] cannot encode a connection.
var (
	ErrFamily = errors.New("chardev: client, virtual and dest must be IP addresses without zone, client and virtual of one family")
	ErrPE     = errors.New("chardev: a persistence engine has a name of 1 to 15 bytes and 1 to 255 bytes of data, on a template")
)

// sentinel is an error that is also a more general one.
type sentinel struct {
	text string
	is   error
}

func (s *sentinel) Error() string { return s.text }
func (s *sentinel) Unwrap() error { return s.is }

// ABIMismatchError has both versions. It is [ErrABIMismatch] to errors.Is.
type ABIMismatchError struct {
	Program uint32 // what this package was built for
	Module  uint32 // what the loaded module has
}

func (e *ABIMismatchError) Error() string {
	return fmt.Sprintf("the module has ABI version %d, this program needs %d; install both from one release", e.Module, e.Program)
}

// Is reports whether target is [ErrABIMismatch].
func (e *ABIMismatchError) Is(target error) bool { return target == ErrABIMismatch }

// OpError says what failed, on which device.
type OpError struct {
	Op   string // open, attach, read, write, refusals, stats, deadline, close
	Path string
	Err  error
}

func (e *OpError) Error() string { return e.Op + " " + e.Path + ": " + e.Err.Error() }
func (e *OpError) Unwrap() error { return e.Err }
