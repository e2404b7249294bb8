package block_test

import (
	"errors"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

var exampleSelector = block.Selector{Protocol: 6, Client: netip.MustParseAddrPort("10.4.0.1:37097")}

func exampleQuery(t testing.TB) []byte {
	t.Helper()
	p, err := block.AppendQuery(nil, &block.Query{Peer: peer43, Query: 7, Class: block.ClassIPVS, Selector: exampleSelector.Append(nil)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// objects are two ADVERT blocks, of so many entries.
func objects(t testing.TB, counts ...int) (p []byte) {
	t.Helper()
	for _, n := range counts {
		start := len(p)
		p = append(block.BeginAdvert(p, block.ClassIPVS), "entry"...)
		if err := block.EndAdvert(p, start, n); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func exampleAnswer(t testing.TB) []byte {
	t.Helper()
	p, err := block.AppendAnswer(nil, &block.Answer{
		Peer: peer43, Query: 7, More: true,
		Marks: []block.Marks{block.MarkOwned | block.MarkTold, 0, block.MarkBound},
	}, objects(t, 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func exampleLastAdverts(t testing.TB) []byte {
	t.Helper()
	p, err := block.AppendLastAdverts(nil, &block.LastAdverts{Peer: peer43, Query: 7, Ago: []time.Duration{0, -1, 1500 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func parseOne(t testing.TB, p []byte) (b block.Block, err error) {
	t.Helper()
	body, err := block.Parse(bodyOf(append([]byte{p[0], p[1]}, p[block.HeadSize:]...)))
	if err != nil {
		return b, err
	}
	blocks := body.Blocks()
	blocks.Next(&b)
	return b, nil
}

func TestQueryIsReadAsItWasWritten(t *testing.T) {
	b, err := parseOne(t, exampleQuery(t))
	if err != nil {
		t.Fatal(err)
	}
	q, err := b.Query()
	if err != nil || q.Peer != peer43 || q.Query != 7 || q.Class != block.ClassIPVS {
		t.Errorf("%+v, %v", q, err)
	}
	if s, err := block.ParseSelector(q.Selector); err != nil || s != exampleSelector {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestAnswerIsReadAsItWasWritten(t *testing.T) {
	p := exampleAnswer(t)
	if want := block.AnswerOverhead(3) + len(objects(t, 1, 2)); len(p) != want {
		t.Errorf("%d bytes, want %d", len(p), want)
	}
	b, err := parseOne(t, p)
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.Answer()
	if err != nil || a.Peer != peer43 || a.Query != 7 || !a.More || a.Failed ||
		!reflect.DeepEqual(a.Marks, []block.Marks{block.MarkOwned | block.MarkTold, 0, block.MarkBound}) {
		t.Errorf("%+v, %v", a, err)
	}
	if got := raw(a.Objects); string(got) != string(objects(t, 1, 2)) {
		t.Errorf("objects %x", got)
	}
}

// What is too long ago for its field is the longest time, and not unknown.
func TestLastAdvertsAreReadAsTheyWereWritten(t *testing.T) {
	for _, ago := range [][]time.Duration{{0, -1, 1500 * time.Millisecond}, {-1}, {math.MaxInt64}} {
		p, err := block.AppendLastAdverts(nil, &block.LastAdverts{Peer: peer43, Query: 7, Ago: ago})
		if err != nil || len(p) != block.LastAdvertsSize(len(ago)) {
			t.Fatalf("%d bytes, %v", len(p), err)
		}
		b, err := parseOne(t, p)
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Clone(ago)
		for i := range want {
			want[i] = min(want[i], (math.MaxUint32-1)*time.Millisecond)
		}
		if l, err := b.LastAdverts(); err != nil || l.Peer != peer43 || l.Query != 7 || !slices.Equal(l.Ago, want) {
			t.Errorf("%+v, %v, want %v", l, err, want)
		}
	}
	for _, ago := range [][]time.Duration{nil, make([]time.Duration, block.MaxObjects+1)} {
		if _, err := block.AppendLastAdverts(nil, &block.LastAdverts{Peer: peer43, Query: 7, Ago: ago}); !errors.Is(err, block.ErrBlock) {
			t.Errorf("of %d objects: %v", len(ago), err)
		}
	}
}

// An ANSWER has blocks within it: what is wrong with them refuses the frame.
func TestRefusesABrokenQueryOrAnswer(t *testing.T) {
	edit := func(p []byte, at int, octets ...byte) []byte {
		copy(p[block.HeadSize+at:], octets)
		return p
	}
	sequenced := exampleAnswer(t)
	sequenced[block.AnswerOverhead(3)+block.HeadSize+11] = 1
	heartbeat := exampleAnswer(t)
	heartbeat[block.AnswerOverhead(3)] = byte(block.TypeHeartbeat)
	reserved := exampleAnswer(t)
	reserved[block.AnswerOverhead(3)+1] = 1
	for _, tt := range []struct {
		name string
		p    []byte
		want error
	}{
		{"QUERY, short", exampleQuery(t)[:block.HeadSize+25], block.ErrShort},
		{"QUERY, reserved", edit(exampleQuery(t), 25, 1), block.ErrReserved},
		{"QUERY, number 0", edit(exampleQuery(t), 20, 0, 0, 0, 0), block.ErrRange},
		{"QUERY, sender 0", edit(exampleQuery(t), 0, 0, 0, 0, 0), block.ErrRange},
		{"LAST ADVERTS, short", exampleLastAdverts(t)[:block.HeadSize+27], block.ErrShort},
		{"LAST ADVERTS, number 0", edit(exampleLastAdverts(t), 20, 0, 0, 0, 0), block.ErrRange},
		{"LAST ADVERTS, sender 0", edit(exampleLastAdverts(t), 0, 0, 0, 0, 0), block.ErrRange},
		{"LAST ADVERTS, a time cut off", cut(exampleLastAdverts(t)), block.ErrLength},
		{"LAST ADVERTS, too many", append(exampleLastAdverts(t), make([]byte, 24)...), block.ErrRange},
		{"ANSWER, short", exampleAnswer(t)[:block.HeadSize+25], block.ErrShort},
		{"ANSWER, number 0", edit(exampleAnswer(t), 20, 0, 0, 0, 0), block.ErrRange},
		{"ANSWER, unknown option", edit(exampleAnswer(t), 24, 4), block.ErrReserved},
		{"ANSWER, too many", edit(exampleAnswer(t), 25, 9), block.ErrRange},
		{"ANSWER, one more than there are", edit(exampleAnswer(t), 25, 4), block.ErrBlock},
		{"ANSWER, unknown mark", edit(exampleAnswer(t), 26, 8), block.ErrReserved},
		{"ANSWER, marks cut off", exampleAnswer(t)[:block.HeadSize+28], block.ErrShort},
		{"ANSWER, an entry cut off", cut(exampleAnswer(t)), block.ErrLength},
		{"ANSWER, octets behind it", append(exampleAnswer(t), 1, 0, 0), block.ErrLength},
		{"ANSWER, an ADVERT with a sequence", sequenced, block.ErrSequence},
		{"ANSWER, another block", heartbeat, block.ErrObjects},
		{"ANSWER, reserved byte of a block", reserved, block.ErrReserved},
	} {
		if _, err := parseOne(t, tt.p); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestSelectorMatchesWhatItSays(t *testing.T) {
	client, virtual := netip.MustParseAddrPort("[fd00::1]:5555"), netip.MustParseAddrPort("[fd00::2]:80")
	other := netip.MustParseAddrPort("[fd00::2]:81")
	for _, tt := range []struct {
		name     string
		selector block.Selector
		want     bool
	}{
		{"the client", block.Selector{Client: client}, true},
		{"another client", block.Selector{Client: other}, false},
		{"the protocol", block.Selector{Client: client, Protocol: 6}, true},
		{"another protocol", block.Selector{Client: client, Protocol: 17}, false},
		{"the service", block.Selector{Client: client, Virtual: virtual}, true},
		{"another service", block.Selector{Client: client, Virtual: other}, false},
	} {
		s, err := block.ParseSelector(tt.selector.Append(nil))
		if err != nil || s != tt.selector {
			t.Errorf("%s: %+v, %v", tt.name, s, err)
		}
		if got := s.Matches(6, client, virtual); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	for _, p := range [][]byte{nil, {0}, {4, 0, 0, 0, 1, 2, 3, 4}, {1, 0, 0, 0, 1, 2, 3, 4}, {2, 0, 0, 0, 1, 2, 3, 4}, {0, 0, 0, 0, 1, 2, 3, 4, 5}} {
		if s, err := block.ParseSelector(p); !errors.Is(err, block.ErrBlock) {
			t.Errorf("%x: %+v, %v", p, s, err)
		}
	}
}

// A selector is what it was written as, or refused.
func FuzzSelector(f *testing.F) {
	f.Add(exampleSelector.Append(nil))
	f.Add((&block.Selector{Client: netip.MustParseAddrPort("[fd00::1]:1"), Virtual: netip.MustParseAddrPort("[::ffff:1.2.3.4]:2")}).Append(nil))
	f.Add([]byte{4})
	f.Fuzz(func(t *testing.T, p []byte) {
		s, err := block.ParseSelector(p)
		if err != nil {
			if !errors.Is(err, block.ErrBlock) {
				t.Errorf("%v", err)
			}
			return
		}
		if again := s.Append(nil); string(again) != string(p) {
			t.Errorf("%x became %x", p, again)
		}
	})
}
