package frame

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/ssyncp/ssyncp/pkg/wire/internal/checksum"
)

// Sealer makes frames of bodies. It may be used by several goroutines where its
// source of randomness may.
type Sealer struct {
	syncID uint8
	keyID  KeyID
	aead   cipher.AEAD // nil in a clear suite
	random io.Reader
}

// NewSealer returns a sealer of suite 1. Nonces are read from random, 24 bytes
// a frame; nil is the system's generator. The sync ID is 1 to 255, or the error
// is [ErrSyncIDZero]; without a key it is [ErrNoKey].
func NewSealer(syncID uint8, key Key, random io.Reader) (*Sealer, error) {
	s, err := NewClearSealer(syncID)
	if err != nil {
		return nil, err
	}
	if s.aead, err = newAEAD(key); err != nil {
		return nil, err
	}
	if s.random = random; random == nil {
		s.random = rand.Reader
	}
	s.keyID = key.ID()
	return s, nil
}

// NewClearSealer returns a sealer of suite 0, which protects nothing.
func NewClearSealer(syncID uint8) (*Sealer, error) {
	if syncID == 0 {
		return nil, ErrSyncIDZero
	}
	return &Sealer{syncID: syncID}, nil
}

func newAEAD(key Key) (cipher.AEAD, error) {
	if !key.Valid() {
		return nil, ErrNoKey
	}
	aead, err := chacha20poly1305.NewX(key.octets[:])
	if err != nil {
		return nil, fmt.Errorf("frame: %w", err)
	}
	return aead, nil
}

// Suite returns the suite of its frames.
func (s *Sealer) Suite() Suite {
	if s.aead != nil {
		return Sealed
	}
	return Clear
}

// Seal appends the frame of a body to dst, and does not allocate where that has
// the capacity. The body may be where it is going to be in the frame,
// [Suite.Head] bytes behind the end of dst, and is then sealed in place;
// otherwise it must not overlap with what is appended, and stays as it is. The
// error is [ErrTooLong] or [ErrRandom]; dst is then returned as it was.
func (s *Sealer) Seal(dst, body []byte) ([]byte, error) {
	suite := s.Suite()
	size := suite.Overhead() + len(body)
	if size > MaxSize {
		return dst, ErrTooLong
	}
	start := len(dst)
	grown := slices.Grow(dst, size)[:start+size]
	frame := grown[start:]
	frame[offCount] = 0
	frame[offSyncID] = s.syncID
	binary.BigEndian.PutUint16(frame[offSize:], uint16(size))
	binary.BigEndian.PutUint16(frame[offVersion:], Version)
	binary.BigEndian.PutUint16(frame[offChecksum:], 0)
	frame[offSuite] = uint8(suite)
	frame[offReserved] = 0
	binary.BigEndian.PutUint16(frame[offKeyID:], uint16(s.keyID))
	if suite == Clear {
		copy(frame[HeaderSize:], body)
		binary.BigEndian.PutUint16(frame[offChecksum:], ^checksum.Sum(frame))
	} else {
		head := frame[:suite.Head()]
		nonce := head[offNonce:]
		if _, err := io.ReadFull(s.random, nonce); err != nil {
			return dst, fmt.Errorf("%w: %w", ErrRandom, err)
		}
		s.aead.Seal(frame[len(head):len(head)], nonce, body, head)
	}
	return grown, nil
}
