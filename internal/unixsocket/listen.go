package unixsocket

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
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/rundirectory"
)

// probeTimeout bounds the look at whose a socket is.
const probeTimeout = time.Second

// Purpose is what a socket is for, as people know it.
type Purpose struct {
	Name string      // "admin socket"
	Key  string      // of the configuration
	Mode fs.FileMode // who may connect
}

// Socket is listened on until it is closed.
type Socket struct {
	Listener *net.UnixListener
	lock     *os.File
	closing  sync.Once
}

// Close removes the socket.
func (s *Socket) Close() {
	s.closing.Do(func() {
		s.Listener.Close()
		os.Remove(s.lock.Name())
		s.lock.Close()
	})
}

// Listen makes a socket. One that a dead daemon left behind is replaced; that
// of a living one is left alone.
//
// Whether a daemon lives is told by a lock that ends with it. The socket alone
// would not do: of two daemons that start at once and find it dead, the second
// would remove what the first has just made.
func Listen(path string, p Purpose) (*Socket, error) {
	at := place{path, p}
	if err := rundirectory.Make(filepath.Dir(path)); err != nil {
		return nil, at.unusable(err)
	}
	lock, err := rundirectory.Lock(path + ".lock")
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, at.inUse()
	case err != nil:
		return nil, at.unusable(err)
	}
	l, err := at.listen()
	if err != nil {
		os.Remove(lock.Name())
		lock.Close()
		return nil, err
	}
	return &Socket{Listener: l, lock: lock}, nil
}

// place is where a socket is to be, and for what.
type place struct {
	path string
	Purpose
}

func (p place) listen() (*net.UnixListener, error) {
	if err := p.removeStale(); err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: p.restrict}
	l, err := config.Listen(context.Background(), "unix", p.path)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %w", p.Name, p.path, ErrListen, Cause(err))
	}
	// The umask took from the mode what nobody asked it to.
	if err := os.Chmod(p.path, p.Mode); err != nil {
		l.Close()
		return nil, p.unusable(err)
	}
	return l.(*net.UnixListener), nil
}

// restrict sets the mode that a socket is going to have, so that there is no
// time in which it has another one.
func (p place) restrict(_, _ string, c syscall.RawConn) error {
	var failed error
	if err := c.Control(func(fd uintptr) { failed = unix.Fchmod(int(fd), uint32(p.Mode)) }); err != nil {
		return err
	}
	return failed
}

func (p place) unusable(err error) error {
	return fmt.Errorf("%s %s: %w: %w: the systemd unit makes %s, writable (RuntimeDirectory=); without the unit do so, or set %s to another path, or to \"\" for none",
		p.Name, p.path, ErrDirectory, err, filepath.Dir(p.path), p.Key)
}

func (p place) inUse() error {
	return fmt.Errorf("%s %s: %w by %s: stop that one, or set another %s here: daemons on one host need one each, even in network namespaces of their own",
		p.Name, p.path, ErrInUse, holder(p.path), p.Key)
}

// removeStale removes a socket that nobody listens on, and nothing else: the
// path may be that of another program.
func (p place) removeStale() error {
	info, err := os.Lstat(p.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return p.unusable(err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s %s: what is there %w: move it away, or set another %s", p.Name, p.path, ErrNotSocket, p.Key)
	}
	conn, err := net.DialTimeout("unix", p.path, probeTimeout)
	if err == nil {
		conn.Close()
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return p.inUse()
	}
	if err := os.Remove(p.path); err != nil {
		return p.unusable(err)
	}
	return nil
}

// holder names who listens on a socket.
func holder(path string) string {
	conn, err := net.DialTimeout("unix", path, probeTimeout)
	if err != nil {
		return fmt.Sprintf("a process that cannot be asked (%v): it starts, stops or hangs, or is of another user", Cause(err))
	}
	defer conn.Close()
	peer, err := Credentials(conn.(*net.UnixConn))
	if err != nil || peer.Pid == 0 {
		return "a process that cannot be seen from here"
	}
	process := "process " + strconv.Itoa(int(peer.Pid))
	if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", peer.Pid)); err == nil {
		return strings.TrimSpace(string(name)) + ", " + process
	}
	return process
}

// Credentials are those of the process at the other end, when it connected or
// began to listen.
func Credentials(conn *net.UnixConn) (*unix.Ucred, error) {
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

// Cause is the error of a system call without the path, which is told already.
func Cause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
