// Package blocktest makes the bodies of frames for tests of what is in them. They
// are frame number 1 of sender 1.
package blocktest

import (
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// Body returns a body with these blocks.
func Body(blocks []byte) []byte {
	body := append(make([]byte, block.HeaderSize), blocks...)
	putHeader(body)
	return body
}

// Sent returns the blocks of a body as its receiver has them: it is given its
// header, its ADVERT blocks their sequence and how long they were held.
func Sent(t testing.TB, body []byte, sequence uint64, held time.Duration) block.Blocks {
	t.Helper()
	putHeader(body)
	block.Stamp(body, sequence, held)
	parsed, err := block.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Blocks()
}

// Advert returns an ADVERT block that claims to have so many entries.
func Advert(t testing.TB, class block.Class, count int, entries []byte) []byte {
	t.Helper()
	p := append(block.BeginAdvert(nil, class), entries...)
	if err := block.EndAdvert(p, 0, count); err != nil {
		t.Fatal(err)
	}
	return p
}

func putHeader(body []byte) {
	h := block.Header{Peer: block.Peer{Sender: 1}, Number: 1}
	h.Put(body)
}
