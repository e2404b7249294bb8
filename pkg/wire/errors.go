package wire

import (
	"errors"
	"fmt"
)

// Why an advert is refused by [Decode].
var (
	ErrShort         = errors.New("wire: shorter than an advert's header of 8 bytes")
	ErrOtherVersion  = errors.New("wire: another version of the protocol")
	ErrReserved      = errors.New("wire: Reserved is not zero")
	ErrTooLong       = errors.New("wire: longer than an advert's 1208 bytes")
	ErrSize          = errors.New("wire: Size is not the number of bytes received")
	ErrSyncID        = errors.New("wire: sync ID 0, it must be 1 to 255")
	ErrTooMany       = errors.New("wire: Count Conns is over 50")
	ErrChecksum      = errors.New("wire: wrong checksum")
	ErrCount         = errors.New("wire: Count Conns is not the number of entries")
	ErrEntryReserved = errors.New("wire: reserved byte of an entry is not zero")
)

// VersionError is the version that an advert has in its Reserved field, where
// Count Conns is 0. It is [ErrOtherVersion] to errors.Is.
type VersionError uint16

func (v VersionError) Error() string {
	return fmt.Sprintf("wire: version %d of the protocol, this is version %d", uint16(v), Version)
}

// Is reports whether target is [ErrOtherVersion].
func (v VersionError) Is(target error) bool { return target == ErrOtherVersion }

// Why a connection is not taken by [Encoder.Append].
var (
	ErrFull              = errors.New("wire: the advert is full")
	ErrIPv6              = errors.New("wire: not IPv4, and version 1 carries nothing else")
	ErrFwmarkTemplate    = errors.New("wire: version 1 cannot carry a template of a firewall mark service")
	ErrPersistenceEngine = errors.New("wire: version 1 cannot carry the data of a persistence engine")
	ErrOnePacket         = errors.New("wire: a one-packet connection is not synchronized")
)
