package entry_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// applied returns how many connections a receiver takes from a message.
func (l *link) applied(message []byte) (n int, err error) {
	body, err := l.opener.Open(message)
	if err != nil {
		return 0, err
	}
	parsed, err := block.Parse(body)
	if err != nil {
		return 0, err
	}
	err = l.decoder.Reset(parsed.Blocks())
	var c ipvs.Conn
	for l.decoder.Next(&c) {
		n++
	}
	return n, err
}

// fullFrame returns a frame that fills a packet, which has n connections.
func fullFrame(t testing.TB, suite frame.Suite) (l *link, message []byte, n int) {
	t.Helper()
	l = newLink(t, suite)
	list := newWorld().conns(oneRead)
	var o entry.Order
	l.frames(t, list, o.Of(list), func(f []byte) {
		if message == nil {
			message = bytes.Clone(f)
		}
	})
	n, err := l.applied(bytes.Clone(message))
	if err != nil || n < 50 {
		t.Fatalf("%d connections, %v", n, err)
	}
	return l, message, n
}

// refusals are what a receiver may say to what is not what was sent.
var refusals = map[frame.Suite][]error{
	frame.Clear: {
		frame.ErrShort, frame.ErrVersion, frame.ErrSize, frame.ErrSyncIDZero, frame.ErrForeignSyncID,
		frame.ErrSuite, frame.ErrReserved, frame.ErrChecksum,
	},
	frame.Sealed: {
		frame.ErrShort, frame.ErrVersion, frame.ErrSize, frame.ErrSyncIDZero, frame.ErrForeignSyncID,
		frame.ErrSuite, frame.ErrReserved, frame.ErrKey, frame.ErrSeal,
	},
}

func checkRefused(t *testing.T, l *link, message []byte, what string, at int) {
	t.Helper()
	n, err := l.applied(message)
	if n != 0 {
		t.Errorf("%s %d: %d connections were applied", what, at, n)
	}
	for _, want := range refusals[l.sealer.Suite()] {
		if errors.Is(err, want) {
			return
		}
	}
	t.Errorf("%s %d: %v", what, at, err)
}

func TestNothingIsAppliedOfATruncatedFrame(t *testing.T) {
	for _, suite := range []frame.Suite{frame.Clear, frame.Sealed} {
		t.Run(suite.String(), func(t *testing.T) {
			l, message, _ := fullFrame(t, suite)
			for n := range message {
				checkRefused(t, l, bytes.Clone(message[:n]), "bytes", n)
				if n < 4 {
					continue
				}
				// The same with a Size that fits.
				cut := bytes.Clone(message[:n])
				binary.BigEndian.PutUint16(cut[2:], uint16(n))
				checkRefused(t, l, cut, "bytes, Size that fits,", n)
			}
		})
	}
}

func TestNothingIsAppliedOfAFrameWithAFlippedBit(t *testing.T) {
	for _, suite := range []frame.Suite{frame.Clear, frame.Sealed} {
		t.Run(suite.String(), func(t *testing.T) {
			l, message, _ := fullFrame(t, suite)
			for i := range len(message) * 8 {
				flipped := bytes.Clone(message)
				flipped[i/8] ^= 1 << (i % 8)
				checkRefused(t, l, flipped, "bit", i)
			}
		})
	}
}

// Without a key anybody can make a checksum right. What is applied then is what
// the frame says, or nothing: never a part of a broken one.
func TestAForgedClearFrameIsAppliedWholeOrNotAtAll(t *testing.T) {
	l, message, _ := fullFrame(t, frame.Clear)
	head := frame.Clear.Head()
	for i := range (len(message) - head) * 8 {
		body := bytes.Clone(message[head:])
		body[i/8] ^= 1 << (i % 8)
		forged, err := l.sealer.Seal(nil, body)
		if err != nil {
			t.Fatal(err)
		}
		applied, err := l.applied(forged)
		refused := l.decoder.Refusals()
		alone := refused.UnknownField + refused.DuplicateField + refused.PersistenceEngine
		switch {
		case err != nil && applied != 0:
			t.Errorf("bit %d: %d connections, %v", i, applied, err)
		case err != nil && !errors.Is(err, block.ErrBody) && !errors.Is(err, block.ErrBlock) &&
			!errors.Is(err, block.ErrUnknownBlock) && !errors.Is(err, entry.ErrMalformed):
			t.Errorf("bit %d: %v", i, err)
		case err == nil && applied+alone != l.decoder.Count():
			t.Errorf("bit %d: %d applied and %d refused, of %d", i, applied, alone, l.decoder.Count())
		}
	}
}
