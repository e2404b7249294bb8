package keyring

import "errors"

// Why a key file is not used. The errors that wrap these name the file, and
// what to do.
var (
	ErrAbsent     = errors.New("there is no such file")
	ErrUnreadable = errors.New("not readable")
	ErrNotRegular = errors.New("not a regular file")
	ErrOwner      = errors.New("belongs to another user than root and the daemon's")
	ErrMode       = errors.New("others have access to it")
	ErrSize       = errors.New("too large for a key file")
	ErrFormat     = errors.New("does not hold a key")
	ErrSame       = errors.New("both hold the same key")
)

// Why a key file is not made.
var (
	ErrExists = errors.New("exists, and is not overwritten")
	ErrCreate = errors.New("cannot be written")
)
