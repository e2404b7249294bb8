package block

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Query is a QUERY: a question after objects of a class.
type Query struct {
	Peer     Peer   // who is asked
	Query    uint32 // drawn at random, not 0
	Class    Class
	Selector []byte // as the class defines; refers to the body
}

// Marks are what a director knows of an object beyond what it tells.
type Marks uint8

// Marks of an object.
const (
	MarkOwned Marks = 1 << iota // it is the director's own, not a copy
	MarkTold                    // peers were told of it
	MarkBound                   // it is bound to a real server of a service
)

const allMarks = MarkOwned | MarkTold | MarkBound

// Answer is an ANSWER: the objects that a QUERY was after.
type Answer struct {
	Peer   Peer // who asked
	Query  uint32
	More   bool    // there are more than these
	Failed bool    // it cannot be answered
	Marks  []Marks // of each object, in the order of the entries
	// Objects are ADVERT blocks with the entries.
	Objects Blocks
	// Adverts are not in the ANSWER, but in a LAST ADVERTS before it: how long
	// ago peers were told of each object last, or, of a copy, told of it.
	// Negative: that is not known. Nil where there is none.
	Adverts []time.Duration
}

const (
	// MaxSelector is how long a selector may be.
	MaxSelector = 64
	// MaxObjects is how many objects an answer has at most.
	MaxObjects = 8

	querySize  = 20 + 6
	answerSize = 20 + 6

	offQuery        = 20
	offQueryClass   = 24
	offQueryReserve = 25
	offAnswerOption = 24
	offAnswerCount  = 25

	answerMore   = 1 << 0
	answerFailed = 1 << 1
)

// AppendQuery appends a QUERY.
func AppendQuery(dst []byte, q *Query) ([]byte, error) {
	p := appendPeer(begin(dst, TypeQuery), &q.Peer)
	p = binary.BigEndian.AppendUint32(p, q.Query)
	p = append(p, uint8(q.Class), 0)
	return end(dst, append(p, q.Selector...))
}

// Query decodes a QUERY.
func (b Block) Query() (Query, error) {
	p := b.Payload
	if len(p) < querySize {
		return Query{}, ErrShort
	}
	peer, err := peerOf(p)
	if err != nil {
		return Query{}, err
	}
	q := Query{peer, binary.BigEndian.Uint32(p[offQuery:]), Class(p[offQueryClass]), p[querySize:]}
	switch {
	case p[offQueryReserve] != 0:
		return Query{}, ErrReserved
	case q.Query == 0:
		return Query{}, ErrRange
	case len(q.Selector) > MaxSelector:
		return Query{}, ErrLength
	}
	return q, nil
}

// AnswerOverhead is what an ANSWER of so many objects takes beside their ADVERT
// blocks.
func AnswerOverhead(objects int) int { return HeadSize + answerSize + objects }

// AppendAnswer appends an ANSWER, with objects that are given as ADVERT blocks.
func AppendAnswer(dst []byte, a *Answer, objects []byte) ([]byte, error) {
	p := appendPeer(begin(dst, TypeAnswer), &a.Peer)
	p = binary.BigEndian.AppendUint32(p, a.Query)
	var options uint8
	if a.More {
		options |= answerMore
	}
	if a.Failed {
		options |= answerFailed
	}
	if len(a.Marks) > MaxObjects {
		return dst, ErrRange
	}
	p = append(p, options, uint8(len(a.Marks)))
	for _, m := range a.Marks {
		p = append(p, uint8(m))
	}
	return end(dst, append(p, objects...))
}

// Answer decodes an ANSWER. It allocates, as answers are rare.
func (b Block) Answer() (Answer, error) {
	a, marks, err := b.answer()
	for _, m := range marks {
		a.Marks = append(a.Marks, Marks(m))
	}
	return a, err
}

func (b Block) answer() (a Answer, marks []byte, err error) {
	p := b.Payload
	if len(p) < answerSize {
		return a, nil, ErrShort
	}
	peer, err := peerOf(p)
	if err != nil {
		return a, nil, err
	}
	options, count := p[offAnswerOption], int(p[offAnswerCount])
	switch {
	case options&^(answerMore|answerFailed) != 0:
		return a, nil, ErrReserved
	case count > MaxObjects:
		return a, nil, ErrRange
	case len(p) < answerSize+count:
		return a, nil, ErrShort
	}
	a = Answer{
		Peer: peer, Query: binary.BigEndian.Uint32(p[offQuery:]),
		More: options&answerMore != 0, Failed: options&answerFailed != 0,
		Objects: Blocks{p[answerSize+count:]},
	}
	if a.Query == 0 {
		return Answer{}, nil, ErrRange
	}
	marks = p[answerSize : answerSize+count]
	for _, m := range marks {
		if Marks(m)&^allMarks != 0 {
			return Answer{}, nil, ErrReserved
		}
	}
	if err := checkObjects(a.Objects.rest, count); err != nil {
		return Answer{}, nil, err
	}
	return a, marks, nil
}

// checkObjects judges what an ANSWER has: ADVERT blocks alone, of so many
// entries.
func checkObjects(p []byte, count int) error {
	for len(p) > 0 {
		if len(p) < HeadSize {
			return ErrLength
		}
		n := HeadSize + int(binary.BigEndian.Uint16(p[offLength:]))
		switch {
		case n > len(p):
			return ErrLength
		case p[offReserved] != 0:
			return ErrReserved
		case Type(p[offType]) != TypeAdvert:
			return ErrObjects
		}
		a, err := Block{TypeAdvert, p[HeadSize:n]}.Advert()
		if err != nil {
			return err
		}
		if a.Sequence != 0 {
			return ErrSequence
		}
		count -= a.Count
		p = p[n:]
	}
	if count != 0 {
		return ErrObjects
	}
	return nil
}

// Selector is what objects of the classes 1 and 2 are asked for by: where they
// come from, and as much of the rest as is known.
type Selector struct {
	Protocol uint8          // 0: any
	Client   netip.AddrPort // of a conntrack entry, the original's source
	// Virtual is the virtual service; of a conntrack entry, the original's
	// destination. The zero value is any. It has the client's family.
	Virtual netip.AddrPort
}

const (
	selectorIPv6    = 1 << 0
	selectorVirtual = 1 << 1
)

// Append appends the selector.
func (s *Selector) Append(dst []byte) []byte {
	var shape uint8
	if s.Client.Addr().Is6() {
		shape |= selectorIPv6
	}
	if s.Virtual.IsValid() {
		shape |= selectorVirtual
	}
	dst = appendEnd(append(dst, shape, s.Protocol), s.Client)
	if s.Virtual.IsValid() {
		dst = appendEnd(dst, s.Virtual)
	}
	return dst
}

func appendEnd(dst []byte, end netip.AddrPort) []byte {
	return append(binary.BigEndian.AppendUint16(dst, end.Port()), end.Addr().AsSlice()...)
}

// ParseSelector decodes a selector.
func ParseSelector(p []byte) (s Selector, err error) {
	if len(p) < 2 {
		return s, ErrShort
	}
	shape := p[0]
	if shape&^(selectorIPv6|selectorVirtual) != 0 {
		return s, ErrReserved
	}
	size := 4
	if shape&selectorIPv6 != 0 {
		size = 16
	}
	want := 2 + 2 + size
	if shape&selectorVirtual != 0 {
		want += 2 + size
	}
	if len(p) != want {
		return s, ErrLength
	}
	s.Protocol, s.Client = p[1], endOf(p[2:4+size])
	if shape&selectorVirtual != 0 {
		s.Virtual = endOf(p[4+size:])
	}
	return s, nil
}

func endOf(p []byte) netip.AddrPort {
	a, _ := netip.AddrFromSlice(p[2:]) // 4 or 16 bytes
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(p))
}

// Matches reports whether an object with these ends is meant.
func (s *Selector) Matches(protocol uint8, client, virtual netip.AddrPort) bool {
	return client == s.Client && (s.Protocol == 0 || s.Protocol == protocol) && (!s.Virtual.IsValid() || s.Virtual == virtual)
}
