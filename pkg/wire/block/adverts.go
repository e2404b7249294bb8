package block

import (
	"encoding/binary"
	"math"
	"time"
)

// LastAdverts is a LAST ADVERTS: how long ago the objects of an ANSWER were told
// of last. It stands before that, in the same frame.
type LastAdverts struct {
	Peer  Peer // who asked
	Query uint32
	// Ago is of each object, in the order of the entries: see
	// [Answer.Adverts]. What is negative is not known.
	Ago []time.Duration
}

const (
	adverts = 20 + 4
	agoSize = 4

	unknownAgo = math.MaxUint32
)

// LastAdvertsSize is what a LAST ADVERTS of so many objects takes.
func LastAdvertsSize(objects int) int { return HeadSize + adverts + agoSize*objects }

// AppendLastAdverts appends a LAST ADVERTS.
func AppendLastAdverts(dst []byte, l *LastAdverts) ([]byte, error) {
	p := appendPeer(begin(dst, TypeLastAdverts), &l.Peer)
	p = binary.BigEndian.AppendUint32(p, l.Query)
	for _, ago := range l.Ago {
		n := uint32(unknownAgo)
		if ago >= 0 {
			n = min(milliseconds(ago), unknownAgo-1)
		}
		p = binary.BigEndian.AppendUint32(p, n)
	}
	return end(dst, p)
}

// LastAdverts decodes a LAST ADVERTS. It allocates, as answers are rare.
func (b Block) LastAdverts() (LastAdverts, error) {
	l, ago, err := b.lastAdverts()
	for ; len(ago) > 0; ago = ago[agoSize:] {
		n := binary.BigEndian.Uint32(ago)
		if n == unknownAgo {
			l.Ago = append(l.Ago, -1)
		} else {
			l.Ago = append(l.Ago, time.Duration(n)*time.Millisecond)
		}
	}
	return l, err
}

func (b Block) lastAdverts() (l LastAdverts, ago []byte, err error) {
	p := b.Payload
	if len(p) < adverts+agoSize {
		return l, nil, ErrShort
	}
	peer, err := peerOf(p)
	if err != nil {
		return l, nil, err
	}
	l = LastAdverts{Peer: peer, Query: binary.BigEndian.Uint32(p[offQuery:])}
	switch ago = p[adverts:]; {
	case l.Query == 0:
		return LastAdverts{}, nil, ErrRange
	case len(ago)%agoSize != 0:
		return LastAdverts{}, nil, ErrLength
	case len(ago) > MaxObjects*agoSize:
		return LastAdverts{}, nil, ErrRange
	}
	return l, ago, nil
}
