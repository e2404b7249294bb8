// Package rundirectory is about directories in /run, which is empty after a
// boot, and about whose a file in them is.
package rundirectory

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// root is where a missing directory is made.
const root = "/run"

// Make makes what is missing of a directory in /run. Elsewhere it only looks
// whether the directory is there.
func Make(directory string) error {
	info, err := os.Stat(directory)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("%s is no directory", directory)
	case !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(directory, root+"/"):
		return err
	}
	if err := Make(filepath.Dir(directory)); err != nil {
		return err
	}
	if err := os.Mkdir(directory, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Chmod(directory, 0o755) // whatever the umask is
}

// Lock makes a file and locks it until it is closed, or the process ends. It
// fails with EWOULDBLOCK while another process has it. Who has the lock may
// remove the file.
func Lock(path string) (*os.File, error) {
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
