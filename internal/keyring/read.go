package keyring

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// sizeMax is enough for the one line of a key file.
const sizeMax = 256

// Keys are what a director seals and opens with.
type Keys struct {
	Seal     frame.Key
	Accepted frame.Key // not valid where there is no second one
}

// All returns the one or two keys to open with.
func (k Keys) All() []frame.Key {
	if !k.Accepted.Valid() {
		return []frame.Key{k.Seal}
	}
	return []frame.Key{k.Seal, k.Accepted}
}

// Load reads the file of the key to seal with and, unless it is "", that of the
// key that is accepted as well.
func Load(file, accepted string) (Keys, error) {
	seal, err := Read(file)
	if err != nil || accepted == "" {
		return Keys{Seal: seal}, err
	}
	second, err := Read(accepted)
	if err != nil {
		return Keys{}, err
	}
	if second == seal {
		// Most likely the wrong file was copied, and the next step of the
		// change would lock this director out.
		return Keys{}, fmt.Errorf("key files %s and %s: %w: copy the other one anew from the director that it was made on, or configure one",
			file, accepted, ErrSame)
	}
	return Keys{Seal: seal, Accepted: second}, nil
}

// Read reads a key file.
//
// What is judged is the open file, not its name, so nobody can put another one
// in its place in between. A symbolic link may lead to it: who could make one
// cannot make a file of root or of this user, with no access for others, behind
// it. Such a file that is no key is refused without a word of its contents.
func Read(path string) (frame.Key, error) { return ReadAs(path, os.Geteuid()) }

// ReadAs is [Read] for who judges on behalf of another user, the daemon's: whose
// file that is has to suit that one. Whether that user can open it is another
// question.
func ReadAs(path string, user int) (frame.Key, error) {
	// Without O_NONBLOCK, a FIFO would wait for its writer.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return frame.Key{}, unreadable(path, user, err)
	}
	defer file.Close()
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		return frame.Key{}, unreadable(path, user, err)
	}
	// What an ACL gives others would show in the bits of the group, as their mask.
	_, acl := unix.Fgetxattr(int(file.Fd()), "system.posix_acl_access", nil)
	group := groupID()
	if acl == nil {
		group = noGroup
	}
	if err := judge(path, &stat, uint32(user), group); err != nil {
		return frame.Key{}, err
	}
	text, err := io.ReadAll(io.LimitReader(file, sizeMax+1))
	switch {
	case err != nil:
		return frame.Key{}, unreadable(path, user, err)
	case len(text) > sizeMax:
		return frame.Key{}, fmt.Errorf("key file %s: %w: over %d bytes: is it another file?", path, ErrSize, sizeMax)
	}
	key, err := frame.ParseKeyFile(text)
	if err != nil {
		return frame.Key{}, fmt.Errorf("key file %s: %w: %w: copy it anew from another director, or move it away and make one with `ssyncpd keygen %[1]s`",
			path, ErrFormat, err)
	}
	return key, nil
}

func unreadable(path string, user int, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("key file %s: %w: make one with `ssyncpd keygen %[1]s`, or copy that of another director", path, ErrAbsent)
	case errors.Is(err, fs.ErrPermission):
		// The daemon's unit leaves root without the right to read files of others.
		return fmt.Errorf("key file %s: %w by user %d: be root or the user that the daemon runs as, in whose group or whose it must be: chgrp "+Group+" %[1]s and chmod 640 %[1]s, or chown %[3]d %[1]s",
			path, ErrUnreadable, user)
	}
	return fmt.Errorf("key file %s: %w: %w", path, ErrUnreadable, cause(err))
}

// judge says what is wrong with whose file it is and what for. Those of the group
// may read it.
func judge(path string, stat *unix.Stat_t, user uint32, group int) error {
	others := uint32(0o077)
	if int(stat.Gid) == group {
		others = 0o037
	}
	switch {
	case stat.Mode&unix.S_IFMT != unix.S_IFREG:
		return fmt.Errorf("key file %s: %w: name the file that `ssyncpd keygen` made", path, ErrNotRegular)
	case stat.Uid != 0 && stat.Uid != user:
		return fmt.Errorf("key file %s: %w, to user %d: chown %d %[1]s", path, ErrOwner, stat.Uid, user)
	case stat.Mode&others != 0:
		return fmt.Errorf("key file %s: %w, its mode is %04o: chmod 600 %[1]s (640 if its group is "+Group+"), and if somebody may have read it, make another key",
			path, ErrMode, stat.Mode&0o7777)
	}
	return nil
}

// cause is the error of a system call without the path, which is told already.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
