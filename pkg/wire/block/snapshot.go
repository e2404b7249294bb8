package block

import "encoding/binary"

// SnapshotRequest is a SNAPSHOT REQUEST.
type SnapshotRequest struct {
	Peer    Peer // the donor
	Request uint32
	Classes Classes // not empty
	Owned   bool    // only what the donor owns
}

// Offsets in a SNAPSHOT REQUEST, CHUNK and ACK, behind the peer reference.
const (
	offRequest = peerSize
	offClasses = peerSize + 4
	offNumberC = peerSize + 4
	offNext    = peerSize + 4
	offOptions = peerSize + 8

	requestSize = peerSize + 12
	chunkSize   = peerSize + 12
	ackSize     = peerSize + 8
)

// Options of a SNAPSHOT REQUEST and CHUNK.
const (
	optionOwned   = 1 << 0
	optionLast    = 1 << 0
	optionRefused = 1 << 1
)

// AppendSnapshotRequest appends a SNAPSHOT REQUEST.
func AppendSnapshotRequest(dst []byte, r *SnapshotRequest) ([]byte, error) {
	var options uint32
	if r.Owned {
		options = optionOwned
	}
	p := appendPeer(begin(dst, TypeSnapshotRequest), &r.Peer)
	p = binary.BigEndian.AppendUint32(p, r.Request)
	p = binary.BigEndian.AppendUint32(p, uint32(r.Classes))
	return end(dst, binary.BigEndian.AppendUint32(p, options))
}

// SnapshotRequest decodes a SNAPSHOT REQUEST.
func (b Block) SnapshotRequest() (SnapshotRequest, error) {
	p := b.Payload
	if len(p) < requestSize {
		return SnapshotRequest{}, ErrShort
	}
	peer, err := peerOf(p)
	if err != nil {
		return SnapshotRequest{}, err
	}
	options := binary.BigEndian.Uint32(p[offOptions:])
	r := SnapshotRequest{
		Peer:    peer,
		Request: binary.BigEndian.Uint32(p[offRequest:]),
		Classes: Classes(binary.BigEndian.Uint32(p[offClasses:])),
		Owned:   options&optionOwned != 0,
	}
	switch {
	case options&^optionOwned != 0:
		return SnapshotRequest{}, ErrReserved
	case r.Classes == 0:
		return SnapshotRequest{}, ErrRange
	}
	return r, nil
}

// SnapshotChunk is a SNAPSHOT CHUNK; the ADVERT blocks of its body are what it
// brings.
type SnapshotChunk struct {
	Peer    Peer   // who asked
	Request uint32 // which one this answers
	Number  uint32 // from 0
	Last    bool
	Refused bool // nothing follows: ask somebody else
}

// AppendSnapshotChunk appends a SNAPSHOT CHUNK.
func AppendSnapshotChunk(dst []byte, c *SnapshotChunk) ([]byte, error) {
	var options uint32
	if c.Last {
		options |= optionLast
	}
	if c.Refused {
		options |= optionRefused
	}
	p := appendPeer(begin(dst, TypeSnapshotChunk), &c.Peer)
	p = binary.BigEndian.AppendUint32(p, c.Request)
	p = binary.BigEndian.AppendUint32(p, c.Number)
	return end(dst, binary.BigEndian.AppendUint32(p, options))
}

// SnapshotChunk decodes a SNAPSHOT CHUNK.
func (b Block) SnapshotChunk() (SnapshotChunk, error) {
	p := b.Payload
	if len(p) < chunkSize {
		return SnapshotChunk{}, ErrShort
	}
	peer, err := peerOf(p)
	if err != nil {
		return SnapshotChunk{}, err
	}
	options := binary.BigEndian.Uint32(p[offOptions:])
	if options&^(optionLast|optionRefused) != 0 {
		return SnapshotChunk{}, ErrReserved
	}
	return SnapshotChunk{
		Peer:    peer,
		Request: binary.BigEndian.Uint32(p[offRequest:]),
		Number:  binary.BigEndian.Uint32(p[offNumberC:]),
		Last:    options&optionLast != 0,
		Refused: options&optionRefused != 0,
	}, nil
}

// ChunkRange is Count chunks from First on.
type ChunkRange struct {
	First, Count uint32 // Count not 0
}

const chunkRangeSize = 8

// SnapshotAck is a SNAPSHOT ACK.
type SnapshotAck struct {
	Peer    Peer // the donor
	Request uint32
	Next    uint32 // all chunks before this one have come
	ranges  []byte
}

// AppendSnapshotAck appends a SNAPSHOT ACK with up to 64 ranges of chunks that
// are missing, from Next on; they ascend without overlap.
func AppendSnapshotAck(dst []byte, a *SnapshotAck, missing []ChunkRange) ([]byte, error) {
	if len(missing) > MaxRanges {
		return dst, ErrRanges
	}
	p := appendPeer(begin(dst, TypeSnapshotAck), &a.Peer)
	p = binary.BigEndian.AppendUint32(p, a.Request)
	p = binary.BigEndian.AppendUint32(p, a.Next)
	for _, r := range missing {
		p = binary.BigEndian.AppendUint32(p, r.First)
		p = binary.BigEndian.AppendUint32(p, r.Count)
	}
	return end(dst, p)
}

// SnapshotAck decodes a SNAPSHOT ACK.
func (b Block) SnapshotAck() (SnapshotAck, error) {
	p := b.Payload
	if len(p) < ackSize {
		return SnapshotAck{}, ErrShort
	}
	peer, err := peerOf(p)
	if err != nil {
		return SnapshotAck{}, err
	}
	a := SnapshotAck{peer, binary.BigEndian.Uint32(p[offRequest:]), binary.BigEndian.Uint32(p[offNext:]), p[ackSize:]}
	if len(a.ranges)%chunkRangeSize != 0 {
		return SnapshotAck{}, ErrLength
	}
	if len(a.ranges) > MaxRanges*chunkRangeSize {
		return SnapshotAck{}, ErrRanges
	}
	next := uint64(a.Next)
	rest := a
	var r ChunkRange
	for rest.NextMissing(&r) {
		if r.Count == 0 {
			return SnapshotAck{}, ErrRange
		}
		if uint64(r.First) < next || uint64(r.First)+uint64(r.Count) > 1<<32 {
			return SnapshotAck{}, ErrRanges
		}
		next = uint64(r.First) + uint64(r.Count)
	}
	return a, nil
}

// NextMissing sets r to the next range of chunks that are missing. It returns
// false when there is none.
func (a *SnapshotAck) NextMissing(r *ChunkRange) bool {
	if len(a.ranges) < chunkRangeSize {
		return false
	}
	r.First = binary.BigEndian.Uint32(a.ranges)
	r.Count = binary.BigEndian.Uint32(a.ranges[4:])
	a.ranges = a.ranges[chunkRangeSize:]
	return true
}
