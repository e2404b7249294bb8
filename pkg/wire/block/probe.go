package block

import (
	"encoding/binary"
	"slices"
)

// AppendProbe appends a PROBE of size bytes in all, at least [HeadSize].
func AppendProbe(dst []byte, size int) ([]byte, error) {
	switch {
	case size < HeadSize:
		return dst, ErrShort
	case size > HeadSize+MaxLength:
		return dst, ErrTooLong
	}
	p := begin(slices.Grow(dst, size), TypeProbe)
	zeros := p[len(p) : len(dst)+size]
	clear(zeros)
	return end(dst, p[:len(dst)+size])
}

// ProbeAck is a PROBE ACK: a frame with a PROBE came.
type ProbeAck struct {
	Peer   Peer   // who sent it
	Number uint64 // of the frame, not 0
}

const probeAckSize = peerSize + 8

// AppendProbeAck appends a PROBE ACK.
func AppendProbeAck(dst []byte, a *ProbeAck) ([]byte, error) {
	p := appendPeer(begin(dst, TypeProbeAck), &a.Peer)
	return end(dst, binary.BigEndian.AppendUint64(p, a.Number))
}

// ProbeAck decodes a PROBE ACK.
func (b Block) ProbeAck() (ProbeAck, error) {
	p := b.Payload
	if len(p) < probeAckSize {
		return ProbeAck{}, ErrShort
	}
	peer, err := peerOf(p)
	if err != nil {
		return ProbeAck{}, err
	}
	a := ProbeAck{peer, binary.BigEndian.Uint64(p[peerSize:])}
	if a.Number == 0 {
		return ProbeAck{}, ErrRange
	}
	return a, nil
}
