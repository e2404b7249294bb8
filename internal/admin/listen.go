package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/counters"
)

// runDirectory is where a missing directory is made.
const runDirectory = "/run"

// probeTimeout bounds the look at whose a socket is.
const probeTimeout = time.Second

// Listen makes the socket. One that a dead daemon left behind is replaced; that
// of a living one is left alone.
//
// Whether a daemon lives is told by a lock that ends with it. The socket alone
// would not do: of two daemons that start at once and find it dead, the second
// would remove what the first has just made.
func Listen(path string) (*Server, error) {
	if err := makeDirectory(filepath.Dir(path)); err != nil {
		return nil, unusable(path, err)
	}
	lock, err := takeLock(path + ".lock")
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, inUse(path)
	case err != nil:
		return nil, unusable(path, err)
	}
	inner, err := listen(path)
	if err != nil {
		os.Remove(lock.Name())
		lock.Close()
		return nil, err
	}
	return &Server{
		path: path, lock: lock, listener: newListener(inner),
		counts:  counters.New[Count]("admin", countNames[:]...),
		refused: counters.New[Refusal]("admin_refused", refusalNames[:]...),
	}, nil
}

func listen(path string) (*net.UnixListener, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: private}
	l, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("admin socket %s: %w: %w", path, ErrListen, cause(err))
	}
	return l.(*net.UnixListener), nil
}

// private sets the mode that a socket is going to have, so that there is no
// time in which it has another one.
func private(_, _ string, c syscall.RawConn) error {
	var failed error
	if err := c.Control(func(fd uintptr) { failed = unix.Fchmod(int(fd), 0o600) }); err != nil {
		return err
	}
	return failed
}

func unusable(path string, err error) error {
	return fmt.Errorf("admin socket %s: %w: %w: the systemd unit makes %s, writable (RuntimeDirectory=); without the unit do so, or set admin.socket to another path, or to \"\" for none",
		path, ErrDirectory, err, filepath.Dir(path))
}

func inUse(path string) error {
	return fmt.Errorf("admin socket %s: %w by %s: stop that one, or set another admin.socket here: daemons on one host need one each, even in network namespaces of their own",
		path, ErrInUse, holder(path))
}

// makeDirectory makes what is missing in /run, which is empty after a boot.
func makeDirectory(directory string) error {
	info, err := os.Stat(directory)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("%s is no directory", directory)
	case !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(directory, runDirectory+"/"):
		return err
	}
	if err := makeDirectory(filepath.Dir(directory)); err != nil {
		return err
	}
	if err := os.Mkdir(directory, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Chmod(directory, 0o755) // whatever the umask is
}

// takeLock fails with EWOULDBLOCK while another daemon has the lock.
func takeLock(path string) (*os.File, error) {
	for {
		lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			lock.Close()
			return nil, err
		}
		// Who had it before may have removed it since it was opened here.
		locked, err := lock.Stat()
		if named, missing := os.Lstat(path); err == nil && missing == nil && os.SameFile(locked, named) {
			return lock, nil
		}
		lock.Close()
	}
}

// removeStale removes a socket that nobody listens on, and nothing else: the
// path may be that of another program.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return unusable(path, err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("admin socket %s: what is there %w: move it away, or set another admin.socket", path, ErrNotSocket)
	}
	conn, err := net.DialTimeout("unix", path, probeTimeout)
	if err == nil {
		conn.Close()
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return inUse(path)
	}
	if err := os.Remove(path); err != nil {
		return unusable(path, err)
	}
	return nil
}

// holder names who listens on a socket.
func holder(path string) string {
	conn, err := net.DialTimeout("unix", path, probeTimeout)
	if err != nil {
		return fmt.Sprintf("a process that cannot be asked (%v): it starts, stops or hangs, or is of another user", cause(err))
	}
	defer conn.Close()
	peer, err := credentials(conn.(*net.UnixConn))
	if err != nil || peer.Pid == 0 {
		return "a process that cannot be seen from here"
	}
	process := "process " + strconv.Itoa(int(peer.Pid))
	if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", peer.Pid)); err == nil {
		return strings.TrimSpace(string(name)) + ", " + process
	}
	return process
}

// credentials are those of the process at the other end, when it connected or
// began to listen.
func credentials(conn *net.UnixConn) (*unix.Ucred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var peer *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return nil, err
	}
	return peer, failed
}

// cause is the error of a system call without the path, which is told already.
func cause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
