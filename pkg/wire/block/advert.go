package block

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"
)

// Class says what the entries of an ADVERT are.
type Class uint8

// Classes.
const (
	ClassIPVS      Class = 1 // IPVS connections: package entry
	ClassConntrack Class = 2 // conntrack entries
)

// String returns what people call the class, or its number.
func (c Class) String() string {
	switch c {
	case ClassIPVS:
		return "ipvs"
	case ClassConntrack:
		return "conntrack"
	}
	return strconv.Itoa(int(c))
}

// Classes is a set of classes, each below 32.
type Classes uint32

// ClassesOf returns the set of these classes, those of 32 and more left out.
func ClassesOf(classes ...Class) (set Classes) {
	for _, c := range classes {
		set |= 1 << c
	}
	return set
}

// Has reports whether the class is in the set.
func (s Classes) Has(c Class) bool { return s&(1<<c) != 0 }

// Advert is the header of an ADVERT, and the entries that follow it.
type Advert struct {
	Class    Class
	Count    int           // of entries, at least 1
	Sequence uint64        // of the frame among those with adverts; 0 in a snapshot
	Held     time.Duration // between the time that the ages are true for and the sending
	Entries  []byte
}

// Offsets in an ADVERT.
const (
	offClass          = 0
	offAdvertReserved = 1
	offCount          = 2
	offSequence       = 4
	offHeld           = 12
)

// Advert decodes an ADVERT.
func (b Block) Advert() (Advert, error) {
	p := b.Payload
	if len(p) < AdvertHeaderSize {
		return Advert{}, ErrShort
	}
	a := Advert{
		Class:    Class(p[offClass]),
		Count:    int(binary.BigEndian.Uint16(p[offCount:])),
		Sequence: binary.BigEndian.Uint64(p[offSequence:]),
		Held:     time.Duration(binary.BigEndian.Uint32(p[offHeld:])) * time.Millisecond,
		Entries:  p[AdvertHeaderSize:],
	}
	switch {
	case p[offAdvertReserved] != 0:
		return Advert{}, ErrReserved
	case a.Count == 0:
		return Advert{}, ErrRange
	}
	return a, nil
}

// BeginAdvert appends the beginning of an ADVERT: its entries are appended
// next, and then comes [EndAdvert].
func BeginAdvert(dst []byte, c Class) []byte {
	dst = begin(dst, TypeAdvert)
	dst = append(dst, uint8(c), 0, 0, 0)
	return append(dst, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
}

// EndAdvert completes the ADVERT that begins at p[start] and goes to the end of
// p, with count entries. It may be called again after further entries. The
// error is [ErrTooLong], or [ErrRange] where the count is not 1 to 65535.
func EndAdvert(p []byte, start, count int) error {
	n := len(p) - start - HeadSize
	switch {
	case n > MaxLength:
		return ErrTooLong
	case count < 1 || count > math.MaxUint16:
		return ErrRange
	}
	binary.BigEndian.PutUint16(p[start+offLength:], uint16(n))
	binary.BigEndian.PutUint16(p[start+HeadSize+offCount:], uint16(count))
	return nil
}

// Stamp sets Sequence and Held of all ADVERT blocks of a body: 0 and 0 for a
// snapshot, which is how they are made. Held is the time since the ages of the
// entries were true.
func Stamp(body []byte, sequence uint64, held time.Duration) {
	if len(body) < HeaderSize {
		return
	}
	blocks := Blocks{body[HeaderSize:]}
	var b Block
	for blocks.Next(&b) {
		if b.Type == TypeAdvert && len(b.Payload) >= AdvertHeaderSize {
			binary.BigEndian.PutUint64(b.Payload[offSequence:], sequence)
			binary.BigEndian.PutUint32(b.Payload[offHeld:], milliseconds(held))
		}
	}
}
