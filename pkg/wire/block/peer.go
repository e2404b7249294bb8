package block

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

const (
	startSize = 16
	peerSize  = 4 + startSize
)

// StartID is drawn at random when a director starts.
type StartID [startSize]byte

// String returns it in hexadecimal.
func (s StartID) String() string { return hex.EncodeToString(s[:]) }

// Peer is a reference to one start of one director. It is comparable.
type Peer struct {
	Sender uint32 // sender ID, not 0
	Start  StartID
}

// String returns both, as in "0000002a/000102030405060708090a0b0c0d0e0f".
func (p Peer) String() string { return fmt.Sprintf("%08x/%v", p.Sender, p.Start) }

func putPeer(p []byte, peer *Peer) {
	binary.BigEndian.PutUint32(p[offSender:], peer.Sender)
	copy(p[offStart:peerSize], peer.Start[:])
}

func peerOf(p []byte) (Peer, error) {
	peer := Peer{binary.BigEndian.Uint32(p[offSender:]), StartID(p[offStart:peerSize])}
	if peer.Sender == 0 {
		return Peer{}, ErrRange
	}
	return peer, nil
}

// appendPeer appends a peer reference.
func appendPeer(dst []byte, peer *Peer) []byte {
	dst = binary.BigEndian.AppendUint32(dst, peer.Sender)
	return append(dst, peer.Start[:]...)
}
