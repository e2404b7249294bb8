package cluster

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// Keys are what frames are sealed and opened with. The zero value is none:
// everybody on a link is believed.
type Keys struct {
	Seal     frame.Key
	Accepted frame.Key // opens as well, where it is one
}

// Suite returns how frames are protected.
func (k Keys) Suite() frame.Suite {
	if k.Seal.Valid() {
		return frame.Sealed
	}
	return frame.Clear
}

func (k Keys) sealer(syncID uint8) (*frame.Sealer, error) {
	if !k.Seal.Valid() {
		return frame.NewClearSealer(syncID)
	}
	return frame.NewSealer(syncID, k.Seal, nil)
}

func (k Keys) opener(syncID uint8) (*frame.Opener, error) {
	switch {
	case !k.Seal.Valid():
		return frame.NewClearOpener(syncID)
	case !k.Accepted.Valid() || k.Accepted == k.Seal:
		return frame.NewOpener(syncID, k.Seal)
	}
	return frame.NewOpener(syncID, k.Seal, k.Accepted)
}

// system is the system's generator, asked anew for each number: a clone of
// this machine draws others.
type system struct{}

func (system) Uint64() uint64 {
	var octets [8]byte
	rand.Read(octets[:]) // never fails; it ends the program where it cannot
	return binary.NativeEndian.Uint64(octets[:])
}
