package block

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"
)

// Type says what a block is.
type Type uint8

// Types of blocks.
const (
	TypeAdvert          Type = 0x01
	TypeHeartbeat       Type = 0x02
	TypeChallenge       Type = 0x03
	TypeEcho            Type = 0x04
	TypeNack            Type = 0x05
	TypeGone            Type = 0x06
	TypeSnapshotRequest Type = 0x07
	TypeSnapshotChunk   Type = 0x08
	TypeSnapshotAck     Type = 0x09
	TypeProbe           Type = 0x0a
	TypeProbeAck        Type = 0x0b
	TypeQuery           Type = 0x0c
	TypeAnswer          Type = 0x0d
	TypeLastAdverts     Type = 0x0e

	// Mandatory is set in the type of a block that a receiver must know.
	Mandatory Type = 0x80
)

var typeNames = [...]string{
	TypeAdvert:          "ADVERT",
	TypeHeartbeat:       "HEARTBEAT",
	TypeChallenge:       "CHALLENGE",
	TypeEcho:            "ECHO",
	TypeNack:            "NACK",
	TypeGone:            "GONE",
	TypeSnapshotRequest: "SNAPSHOT REQUEST",
	TypeSnapshotChunk:   "SNAPSHOT CHUNK",
	TypeSnapshotAck:     "SNAPSHOT ACK",
	TypeProbe:           "PROBE",
	TypeProbeAck:        "PROBE ACK",
	TypeQuery:           "QUERY",
	TypeAnswer:          "ANSWER",
	TypeLastAdverts:     "LAST ADVERTS",
}

// Known reports whether this package knows the type.
func (t Type) Known() bool { return t >= TypeAdvert && t <= TypeLastAdverts }

// String returns the name in the protocol's document, or the number of an
// unknown type.
func (t Type) String() string {
	if t.Known() {
		return typeNames[t]
	}
	return "block type 0x" + strconv.FormatUint(uint64(t), 16)
}

// Block is one block. Payload is what follows its head; it refers to the body.
//
// The methods that are named after a type decode the payload as one; for a
// block of a [Body] and of that type they do not fail.
type Block struct {
	Type    Type
	Payload []byte
}

// check judges the payload of a block of a known type.
func (b Block) check() (err error) {
	switch b.Type {
	case TypeAdvert:
		_, err = b.Advert()
	case TypeHeartbeat:
		_, err = b.Heartbeat()
	case TypeChallenge, TypeEcho:
		_, err = b.Challenge()
	case TypeNack:
		_, err = b.Nack()
	case TypeGone:
		_, err = b.Gone()
	case TypeSnapshotRequest:
		_, err = b.SnapshotRequest()
	case TypeSnapshotChunk:
		_, err = b.SnapshotChunk()
	case TypeSnapshotAck:
		_, err = b.SnapshotAck()
	case TypeProbe:
	case TypeProbeAck:
		_, err = b.ProbeAck()
	case TypeQuery:
		_, err = b.Query()
	case TypeAnswer:
		_, _, err = b.answer()
	case TypeLastAdverts:
		_, _, err = b.lastAdverts()
	default:
		if b.Type&Mandatory != 0 {
			err = ErrUnknownBlock
		}
	}
	return err
}

// milliseconds rounds down, within what 32 bits hold.
func milliseconds(d time.Duration) uint32 {
	return uint32(min(max(d, 0)/time.Millisecond, math.MaxUint32))
}

// begin appends the head of a block.
func begin(dst []byte, t Type) []byte { return append(dst, uint8(t), 0, 0, 0) }

// end sets the length of the block that begins at start and goes to the end of
// p, and checks it: dst is returned, and the error, where it is not valid.
func end(dst, p []byte) ([]byte, error) {
	b := Block{Type(p[len(dst)]), p[len(dst)+HeadSize:]}
	if len(b.Payload) > MaxLength {
		return dst, ErrTooLong
	}
	if err := b.check(); err != nil {
		return dst, err
	}
	binary.BigEndian.PutUint16(p[len(dst)+offLength:], uint16(len(b.Payload)))
	return p, nil
}
