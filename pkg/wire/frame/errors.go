package frame

import (
	"errors"
	"fmt"
)

// Why a frame is refused by [Opener.Open], in the order in which it is looked
// at.
var (
	ErrShort         = errors.New("frame: shorter than its header, nonce and tag")
	ErrVersion       = errors.New("frame: another version of the protocol")
	ErrSize          = errors.New("frame: Size is not the number of bytes received")
	ErrSyncIDZero    = errors.New("frame: sync ID 0, it must be 1 to 255")
	ErrForeignSyncID = errors.New("frame: the sync ID of another cluster")
	ErrReserved      = errors.New("frame: a reserved field is not zero")
	ErrSuite         = errors.New("frame: not the suite that is asked for")
	ErrChecksum      = errors.New("frame: wrong checksum")
	ErrKey           = errors.New("frame: sealed with a key that is not known here")
	ErrSeal          = errors.New("frame: does not open: forged, damaged, or another key of the same ID")
)

// What is wrong with the suite: each is [ErrSuite] to errors.Is.
var (
	ErrSuiteUnknown = fmt.Errorf("%w: unknown", ErrSuite)
	ErrNotSealed    = fmt.Errorf("%w: not sealed, but this end has a key", ErrSuite)
	ErrSealed       = fmt.Errorf("%w: sealed, but this end has no key", ErrSuite)
)

// VersionError is the version of a frame that has another one. It is
// [ErrVersion] to errors.Is.
type VersionError uint16

func (v VersionError) Error() string {
	return fmt.Sprintf("frame: version %d of the protocol, this is version %d", uint16(v), Version)
}

// Is reports whether target is [ErrVersion].
func (v VersionError) Is(target error) bool { return target == ErrVersion }

// Why a frame is not made.
var (
	ErrTooLong = errors.New("frame: longer than 65535 bytes")
	ErrRandom  = errors.New("frame: no randomness")
)

// Why a key is not one.
var (
	ErrKeyFile = errors.New("frame: not a key file: it has one line, ssyncp-key-1: and 32 bytes in base 64")
	ErrNoKey   = errors.New("frame: no key, or one of zeros")
	ErrKeys    = errors.New("frame: more than two keys")
)
