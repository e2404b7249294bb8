package block

import "encoding/binary"

// Sizes in bytes.
const (
	HeaderSize       = 28 // of a body
	HeadSize         = 4  // of a block
	AdvertHeaderSize = 16 // of an ADVERT, behind its head
	MaxLength        = 65535
)

// Offsets in the header of a body.
const (
	offSender = 0
	offStart  = 4
	offNumber = 20
)

// Offsets in the head of a block.
const (
	offType     = 0
	offReserved = 1
	offLength   = 2
)

// Header says who sent a body.
type Header struct {
	Peer
	Number uint64 // of the frame, of this sender and start, from 1
}

// Put writes the header to the first [HeaderSize] bytes of a body.
func (h *Header) Put(body []byte) {
	_ = body[HeaderSize-1]
	putPeer(body, &h.Peer)
	binary.BigEndian.PutUint64(body[offNumber:], h.Number)
}

// Body is a valid body. It refers to the memory that it was parsed from.
type Body struct {
	Header
	blocks []byte
}

// Parse checks the whole body, but what follows the header of an ADVERT.
func Parse(body []byte) (Body, error) {
	if len(body) < HeaderSize {
		return Body{}, ErrBodyShort
	}
	b := Body{
		Header: Header{
			Peer:   Peer{binary.BigEndian.Uint32(body[offSender:]), StartID(body[offStart:offNumber])},
			Number: binary.BigEndian.Uint64(body[offNumber:]),
		},
		blocks: body[HeaderSize:],
	}
	switch {
	case b.Sender == 0:
		return Body{}, ErrSender
	case b.Number == 0:
		return Body{}, ErrNumber
	case len(b.blocks) == 0:
		return Body{}, ErrNoBlock
	}
	if err := check(b.blocks); err != nil {
		return Body{}, err
	}
	return b, nil
}

// check judges the blocks, alone and together.
func check(p []byte) error {
	var sequence uint64
	var adverts, chunks int
	for len(p) > 0 {
		if len(p) < HeadSize {
			return ErrLength
		}
		b := Block{Type: Type(p[offType])}
		n := HeadSize + int(binary.BigEndian.Uint16(p[offLength:]))
		if n > len(p) {
			return ErrLength
		}
		if p[offReserved] != 0 {
			return ErrReserved
		}
		b.Payload = p[HeadSize:n]
		if err := b.check(); err != nil {
			return err
		}
		switch b.Type {
		case TypeAdvert:
			s := binary.BigEndian.Uint64(b.Payload[offSequence:])
			if adverts > 0 && s != sequence {
				return ErrSequence
			}
			sequence = s
			adverts++
		case TypeSnapshotChunk:
			chunks++
		}
		p = p[n:]
	}
	switch {
	case chunks > 1:
		return ErrChunks
	case adverts > 0 && (sequence == 0) != (chunks == 1):
		return ErrSequence
	}
	return nil
}

// Blocks returns the blocks of the body, from the first one on.
func (b *Body) Blocks() Blocks { return Blocks{b.blocks} }

// Blocks are blocks that are taken one by one. It may be copied, to go over
// them again.
type Blocks struct{ rest []byte }

// Next sets b to the next block. It returns false when there is none.
func (s *Blocks) Next(b *Block) bool {
	if len(s.rest) < HeadSize {
		return false
	}
	n := HeadSize + int(binary.BigEndian.Uint16(s.rest[offLength:]))
	if n > len(s.rest) {
		return false
	}
	b.Type = Type(s.rest[offType])
	b.Payload = s.rest[HeadSize:n:n]
	s.rest = s.rest[n:]
	return true
}

// NextAdvert sets a to the next ADVERT of a class, passing over what comes before
// it. It returns false when there is none.
func (s *Blocks) NextAdvert(c Class, a *Advert) bool {
	var b Block
	for s.Next(&b) {
		if b.Type != TypeAdvert {
			continue
		}
		// What is no ADVERT did not pass Parse.
		if advert, err := b.Advert(); err == nil && advert.Class == c {
			*a = advert
			return true
		}
	}
	return false
}
