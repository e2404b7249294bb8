package keyring

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// Create makes a file with a new key, which is on the disk when it returns. Where
// root does, [Group] may read it. It leaves a file that is there alone, and nothing
// behind where it fails.
func Create(path string) (frame.Key, error) {
	key, err := frame.GenerateKey(nil)
	if err != nil {
		return frame.Key{}, fmt.Errorf("key file %s: %w: %w", path, ErrCreate, err)
	}
	group := noGroup
	if os.Geteuid() == 0 {
		group = groupID()
	}
	err = create(path, group, func(w io.Writer) error {
		_, err := w.Write(frame.AppendKeyFile(nil, key))
		return err
	})
	if err != nil {
		return frame.Key{}, err
	}
	return key, nil
}

func create(path string, group int, fill func(io.Writer) error) error {
	// With O_EXCL, a symbolic link at path counts as a file.
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch directory := filepath.Dir(path); {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("key file %s: %w: move it away first, if no director needs it any more, or name another file", path, ErrExists)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("key file %s: %w: there is no directory: install -d -m 755 %s", path, ErrCreate, directory)
	case err != nil:
		return fmt.Errorf("key file %s: %w: %w", path, ErrCreate, cause(err))
	}
	err = errors.Join(finish(file, group, fill), file.Close())
	if err == nil {
		err = syncDirectory(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("key file %s: %w: %w", path, ErrCreate, errors.Join(err, os.Remove(path)))
	}
	return nil
}

func finish(file *os.File, group int, fill func(io.Writer) error) error {
	mode := fs.FileMode(0o600)
	if group != noGroup {
		if err := file.Chown(-1, group); err != nil {
			return err
		}
		mode = 0o640
	}
	// The umask may have taken the owner's bits.
	if err := file.Chmod(mode); err != nil {
		return err
	}
	if err := fill(file); err != nil {
		return err
	}
	return file.Sync()
}

// syncDirectory makes a new name last.
func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}
