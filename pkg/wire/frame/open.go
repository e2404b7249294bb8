package frame

import (
	"crypto/cipher"
	"encoding/binary"

	"github.com/ssyncp/ssyncp/pkg/wire/internal/checksum"
)

// Opener takes the bodies out of frames. It is not for concurrent use.
type Opener struct {
	syncID  uint8
	keys    []openerKey // none in a clear suite
	scratch []byte      // only where two keys have one ID
}

type openerKey struct {
	id   KeyID
	aead cipher.AEAD
}

// NewOpener returns an opener of frames of suite 1, which were sealed with one
// of one or two keys. The sync ID is 1 to 255, or the error is [ErrSyncIDZero];
// it is [ErrNoKey] or [ErrKeys] where the keys are not one or two.
func NewOpener(syncID uint8, keys ...Key) (*Opener, error) {
	o, err := NewClearOpener(syncID)
	if err != nil {
		return nil, err
	}
	switch len(keys) {
	case 0:
		return nil, ErrNoKey
	case 1, 2:
	default:
		return nil, ErrKeys
	}
	for _, key := range keys {
		aead, err := newAEAD(key)
		if err != nil {
			return nil, err
		}
		o.keys = append(o.keys, openerKey{key.ID(), aead})
	}
	if len(keys) == 2 && o.keys[0].id == o.keys[1].id {
		o.scratch = make([]byte, MaxSize)
	}
	return o, nil
}

// NewClearOpener returns an opener of frames of suite 0. Anybody can have made
// them.
func NewClearOpener(syncID uint8) (*Opener, error) {
	if syncID == 0 {
		return nil, ErrSyncIDZero
	}
	return &Opener{syncID: syncID}, nil
}

// Suite returns the suite of the frames that it takes.
func (o *Opener) Suite() Suite {
	if len(o.keys) > 0 {
		return Sealed
	}
	return Clear
}

// Open returns the body of a frame, which is opened in place: the body is a
// part of the frame's memory, and what does not open is lost. The error is one
// of the sentinel values of this package, or a [VersionError].
func (o *Opener) Open(frame []byte) ([]byte, error) {
	if err := o.check(frame); err != nil {
		return nil, err
	}
	if len(o.keys) == 0 {
		// Both representations of zero are taken, as in version 1.
		if checksum.Sum(frame) != 0xffff {
			return nil, ErrChecksum
		}
		return frame[HeaderSize:], nil
	}
	return o.unseal(frame)
}

// check judges the header.
func (o *Opener) check(frame []byte) error {
	if len(frame) < HeaderSize {
		return ErrShort
	}
	if version := VersionOf(frame); version != Version {
		return VersionError(version)
	}
	suite, ours := Suite(frame[offSuite]), o.Suite()
	sum := binary.BigEndian.Uint16(frame[offChecksum:])
	switch {
	case int(binary.BigEndian.Uint16(frame[offSize:])) != len(frame):
		return ErrSize
	case frame[offSyncID] == 0:
		return ErrSyncIDZero
	case frame[offSyncID] != o.syncID:
		return ErrForeignSyncID
	case suite != ours && suite > Sealed:
		return ErrSuiteUnknown
	case suite != ours && ours == Sealed:
		return ErrNotSealed
	case suite != ours:
		return ErrSealed
	case frame[offReserved] != 0, suite == Clear && KeyIDOf(frame) != 0, suite == Sealed && sum != 0:
		return ErrReserved
	case len(frame) < suite.Overhead():
		return ErrShort
	}
	return nil
}

// unseal tries the keys that have the ID of the frame.
func (o *Opener) unseal(frame []byte) ([]byte, error) {
	const headSize = HeaderSize + NonceSize
	head, sealed := frame[:headSize], frame[headSize:]
	id, err := KeyIDOf(frame), ErrKey
	for i := range o.keys {
		if o.keys[i].id != id {
			continue
		}
		// A key that does not fit leaves zeros where it opens to: while
		// there is another one to try, that is not the frame.
		dst := sealed[:0]
		if i == 0 && o.scratch != nil {
			dst = o.scratch[:0]
		}
		body, failed := o.keys[i].aead.Open(dst, head[offNonce:], sealed, head)
		if failed != nil {
			err = ErrSeal
			continue
		}
		if i == 0 && o.scratch != nil {
			copy(sealed, body)
		}
		return sealed[:len(body)], nil
	}
	return nil, err
}
