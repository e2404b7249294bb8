package block

import (
	"encoding/binary"
	"math"
)

// MaxRanges is how many ranges a NACK or a SNAPSHOT ACK has at most.
const MaxRanges = 64

// Range is Count sequences from First on.
type Range struct {
	First uint64
	Count uint32 // not 0
}

const rangeSize = 12

// Nack is a NACK: sequences that are missing.
type Nack struct {
	Peer   Peer // whose
	ranges []byte
}

// AppendNack appends a NACK of 1 to 64 ranges, which ascend without overlap.
func AppendNack(dst []byte, peer Peer, ranges []Range) ([]byte, error) {
	if len(ranges) > MaxRanges {
		return dst, ErrRanges
	}
	p := appendPeer(begin(dst, TypeNack), &peer)
	for _, r := range ranges {
		p = binary.BigEndian.AppendUint64(p, r.First)
		p = binary.BigEndian.AppendUint32(p, r.Count)
	}
	return end(dst, p)
}

// Nack decodes a NACK.
func (b Block) Nack() (Nack, error) {
	p := b.Payload
	if len(p) < peerSize+rangeSize {
		return Nack{}, ErrShort
	}
	peer, err := peerOf(p)
	if err != nil {
		return Nack{}, err
	}
	n := Nack{peer, p[peerSize:]}
	if len(n.ranges)%rangeSize != 0 {
		return Nack{}, ErrLength
	}
	if len(n.ranges) > MaxRanges*rangeSize {
		return Nack{}, ErrRanges
	}
	next := uint64(1)
	rest := n
	var r Range
	for rest.Next(&r) {
		if r.Count == 0 || r.First == 0 {
			return Nack{}, ErrRange
		}
		if r.First < next || r.First > math.MaxUint64-uint64(r.Count) {
			return Nack{}, ErrRanges
		}
		next = r.First + uint64(r.Count)
	}
	return n, nil
}

// Next sets r to the next range. It returns false when there is none.
func (n *Nack) Next(r *Range) bool {
	if len(n.ranges) < rangeSize {
		return false
	}
	r.First = binary.BigEndian.Uint64(n.ranges)
	r.Count = binary.BigEndian.Uint32(n.ranges[8:])
	n.ranges = n.ranges[rangeSize:]
	return true
}

// Gone is a GONE: sequences of the sender that cannot be sent again.
type Gone struct{ First, Last uint64 }

const goneSize = 16

// AppendGone appends a GONE.
func AppendGone(dst []byte, g Gone) ([]byte, error) {
	p := begin(dst, TypeGone)
	p = binary.BigEndian.AppendUint64(p, g.First)
	return end(dst, binary.BigEndian.AppendUint64(p, g.Last))
}

// Gone decodes a GONE.
func (b Block) Gone() (Gone, error) {
	p := b.Payload
	if len(p) < goneSize {
		return Gone{}, ErrShort
	}
	g := Gone{binary.BigEndian.Uint64(p), binary.BigEndian.Uint64(p[8:])}
	if g.First == 0 || g.Last < g.First {
		return Gone{}, ErrRange
	}
	return g, nil
}
