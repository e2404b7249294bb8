package vrrp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/rundirectory"
)

const (
	// look is how long nothing comes until it is looked whether the FIFO is
	// still the one of its name: keepalived removes one that it made. Something
	// that comes shows that somebody still uses it.
	look    = time.Second
	maxLine = MaxName + 64
)

// FIFO reads what keepalived tells of its instances.
type FIFO struct {
	path     string
	file     *os.File // nil: it could not be opened again
	counters Counters
	log      *slog.Logger

	line    []byte // that is not complete yet
	long    bool   // it is too long, and dropped up to its end
	failing bool   // and that was said
}

// OpenFIFO opens a FIFO, and makes it where it is not there. It must be of root or
// of this user, and nobody else may write to it.
func OpenFIFO(path string, c Counters, log *slog.Logger) (*FIFO, error) {
	if err := rundirectory.Make(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("VRRP FIFO %s: %w: %w: make it, or set vrrp.fifo to another path, or to \"\" for none", path, ErrDirectory, err)
	}
	file, err := openFIFO(path)
	if err != nil {
		return nil, err
	}
	return &FIFO{path: path, file: file, counters: c, log: log}, nil
}

func openFIFO(path string) (*os.File, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		// keepalived may be doing the same.
		if err = unix.Mkfifo(path, 0o600); err == nil || errors.Is(err, unix.EEXIST) {
			info, err = os.Lstat(path)
		}
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("VRRP FIFO %s: %w: %w", path, ErrOpen, err)
	case info.Mode().Type() != fs.ModeNamedPipe:
		return nil, fmt.Errorf("VRRP FIFO %s: what is there %w: move it away, or set another vrrp.fifo", path, ErrNotFIFO)
	}
	// For writing as well, so that there is no end of file while keepalived is
	// not there.
	file, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("VRRP FIFO %s: %w: %w: where keepalived made it, name this daemon's user behind it: vrrp_notify_fifo %s USER", path, ErrOpen, err, path)
	}
	if err := trusted(path, file); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// trusted looks at what was opened, whatever its name was a moment ago.
func trusted(path string, file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("VRRP FIFO %s: %w: %w", path, ErrOpen, err)
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	switch {
	case info.Mode().Type() != fs.ModeNamedPipe:
		return fmt.Errorf("VRRP FIFO %s: what is there %w", path, ErrNotFIFO)
	case owner != 0 && owner != uint32(os.Geteuid()):
		return fmt.Errorf("VRRP FIFO %s: %w: user %d could say who is master: remove it", path, ErrOwner, owner)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("VRRP FIFO %s: %w (mode %#o), and say who is master: chmod go-w %[1]s", path, ErrOthers, info.Mode().Perm())
	}
	switch err := flock(file); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return fmt.Errorf("VRRP FIFO %s: %w: each line would go to one of the two: set another vrrp.fifo", path, ErrInUse)
	case err != nil:
		return fmt.Errorf("VRRP FIFO %s: %w: %w", path, ErrOpen, err)
	}
	return nil
}

// flock does without Fd, which would have reads block.
func flock(file *os.File) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		return err
	}
	return failed
}

// Run hands over the roles that are read until ctx is done. The FIFO stays where
// it is: keepalived has it open, and would not look for another one.
func (f *FIFO) Run(ctx context.Context, set func(name string, role Role) error) {
	defer func() {
		if f.file != nil {
			f.file.Close()
		}
	}()
	buffer := make([]byte, 4096)
	for ctx.Err() == nil {
		if f.file == nil {
			f.wait(ctx)
			f.reopen()
			continue
		}
		file := f.file
		file.SetReadDeadline(time.Now().Add(look))
		unblock := context.AfterFunc(ctx, func() { file.SetReadDeadline(time.Unix(1, 0)) })
		n, err := file.Read(buffer)
		unblock()
		f.take(buffer[:n], set)
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			if !f.named() {
				f.drop()
				f.reopen()
			}
		default:
			f.failed(err)
			f.drop()
			f.wait(ctx)
		}
	}
}

func (f *FIFO) wait(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(look):
	}
}

// named reports whether the open FIFO is still the one of its name.
func (f *FIFO) named() bool {
	opened, err := f.file.Stat()
	named, missing := os.Lstat(f.path)
	return err == nil && missing == nil && os.SameFile(opened, named)
}

// drop closes the FIFO, and forgets what was said by half.
func (f *FIFO) drop() {
	f.file.Close()
	f.file = nil
	if len(f.line) > 0 || f.long {
		f.counters.Troubles.Add(PartialLines, 1)
	}
	f.line, f.long = f.line[:0], false
}

func (f *FIFO) reopen() {
	file, err := openFIFO(f.path)
	if err != nil {
		f.failed(err)
		return
	}
	f.file, f.failing = file, false
	f.log.Info("the VRRP FIFO was replaced, and is open again", "fifo", f.path)
}

// failed says so once.
func (f *FIFO) failed(err error) {
	f.counters.Troubles.Add(FIFOFailed, 1)
	if !f.failing {
		f.log.Error("nothing is heard of keepalived's roles, trying again every second", "error", err)
	}
	f.failing = true
}

// take cuts what was read into lines.
func (f *FIFO) take(read []byte, set func(string, Role) error) {
	for len(read) > 0 {
		part, rest, complete := bytes.Cut(read, []byte{'\n'})
		read = rest
		if f.long = f.long || len(f.line)+len(part) > maxLine; !f.long {
			f.line = append(f.line, part...)
		}
		if !complete {
			return
		}
		if f.long {
			f.counters.Troubles.Add(LongLines, 1)
		} else {
			f.tell(string(f.line), set)
		}
		f.line, f.long = f.line[:0], false
	}
}

func (f *FIFO) tell(line string, set func(string, Role) error) {
	switch k, name, r := parse(line); k {
	case unknown:
		f.counters.Troubles.Add(UnknownLines, 1)
		f.log.Debug("the VRRP FIFO has an unknown line", "line", line)
	case other:
		f.counters.Counts.Add(OtherLines, 1)
	case role:
		f.counters.Counts.Add(Lines, 1)
		if err := set(name, r); err != nil {
			f.log.Warn("a role from the VRRP FIFO is not taken", "error", err)
		}
	}
}
