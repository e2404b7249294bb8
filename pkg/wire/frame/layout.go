package frame

import (
	"encoding/binary"
	"strconv"
)

// Version of the protocol that this package speaks.
const Version = 2

// Sizes in bytes.
const (
	HeaderSize = 12
	NonceSize  = 24 // suite 1 only
	TagSize    = 16 // suite 1 only
	MaxSize    = 65535
)

// Suite is how a frame is protected.
type Suite uint8

// Suites.
const (
	Clear  Suite = 0 // neither authenticated nor encrypted
	Sealed Suite = 1 // XChaCha20-Poly1305 with a pre-shared key
)

// String returns "clear" or "sealed", or the number of an unknown suite.
func (s Suite) String() string {
	switch s {
	case Clear:
		return "clear"
	case Sealed:
		return "sealed"
	}
	return "suite " + strconv.Itoa(int(s))
}

// Head returns the number of bytes before the body.
func (s Suite) Head() int {
	if s == Sealed {
		return HeaderSize + NonceSize
	}
	return HeaderSize
}

// Tail returns the number of bytes behind the body.
func (s Suite) Tail() int {
	if s == Sealed {
		return TagSize
	}
	return 0
}

// Overhead returns by how much a frame is larger than its body.
func (s Suite) Overhead() int { return s.Head() + s.Tail() }

// Offsets in the header.
const (
	offCount    = 0
	offSyncID   = 1
	offSize     = 2
	offVersion  = 4
	offChecksum = 6
	offSuite    = 8
	offReserved = 9
	offKeyID    = 10
	offNonce    = 12
)

// VersionOf returns the version of the protocol that a message has, 0 where it
// is too short for any. For version 1, the message is an advert of package
// wire.
func VersionOf(message []byte) uint16 {
	if len(message) < offChecksum+2 {
		return 0
	}
	version := binary.BigEndian.Uint16(message[offVersion:])
	if message[offCount] != 0 || version == 0 {
		return 1 // whose Reserved is zero; what is wrong with it is for version 1 to say
	}
	return version
}

// KeyIDOf returns the ID of the key that a frame says it was sealed with, 0
// where it is too short.
func KeyIDOf(frame []byte) KeyID {
	if len(frame) < HeaderSize {
		return 0
	}
	return KeyID(binary.BigEndian.Uint16(frame[offKeyID:]))
}
