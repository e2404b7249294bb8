package block_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/goldentest"
)

// sixteen returns 16 octets from first up.
func sixteen(first byte) (p [16]byte) {
	for i := range p {
		p[i] = first + byte(i)
	}
	return p
}

var (
	sender = block.Header{Peer: block.Peer{Sender: 42, Start: sixteen(0)}, Number: 65538}
	peer43 = block.Peer{Sender: 43, Start: sixteen(0xf0)}
	peer44 = block.Peer{Sender: 44, Start: sixteen(0xe0)}
)

// content is what the blocks of a body say, in the order of the blocks.
type content struct {
	types   []block.Type
	blocks  []any
	ranges  []block.Range
	missing []block.ChunkRange
}

var goldenAll = content{
	types: []block.Type{1, 2, 3, 4, 5, 6, 7, 9, 10, 11},
	blocks: []any{
		block.Advert{Class: block.ClassConntrack, Count: 3, Sequence: 1<<32 + 9, Held: 3 * time.Second, Entries: []byte("ee")},
		block.Heartbeat{Last: 1<<32 + 9, State: block.StateSynced, Interval: time.Second, Entries: 100_000, Gaps: 7, Name: []byte("dir-é1")},
		block.Challenge{Peer: peer43, Challenge: sixteen(0xc0)},
		block.Challenge{Peer: peer44, Challenge: sixteen(0xd0)},
		peer43,
		block.Gone{First: 1, Last: 255},
		block.SnapshotRequest{Peer: peer43, Request: 0xdeadbeef, Classes: block.ClassesOf(block.ClassIPVS, block.ClassConntrack), Owned: true},
		block.SnapshotAck{Peer: peer43, Request: 0xdeadbeef, Next: 16},
		5,
		block.ProbeAck{Peer: peer44, Number: 1<<40 + 3},
	},
	ranges:  []block.Range{{First: 5, Count: 2}, {First: 7, Count: 1}},
	missing: []block.ChunkRange{{First: 16, Count: 1}, {First: 20, Count: 3}},
}

var goldenChunk = content{
	types: []block.Type{8, 1, 0x7f},
	blocks: []any{
		block.SnapshotChunk{Peer: peer43, Request: 0xdeadbeef, Number: 256, Last: true},
		block.Advert{Class: block.ClassIPVS, Count: 1, Entries: []byte("e")},
		1,
	},
}

// answer is an ANSWER, and the octets of its objects.
type answer struct {
	block.Answer
	objects []byte
}

// raw returns the octets of blocks.
func raw(blocks block.Blocks) (p []byte) {
	for b := (block.Block{}); blocks.Next(&b); {
		p = binary.BigEndian.AppendUint16(append(p, byte(b.Type), 0), uint16(len(b.Payload)))
		p = append(p, b.Payload...)
	}
	return p
}

// read returns what a body says.
func read(t testing.TB, body *block.Body) (c content) {
	t.Helper()
	must := func(v any, err error) any {
		if err != nil {
			t.Fatalf("in a body that was parsed: %v", err)
		}
		return v
	}
	blocks := body.Blocks()
	var b block.Block
	for blocks.Next(&b) {
		c.types = append(c.types, b.Type)
		var v any
		switch b.Type {
		case block.TypeAdvert:
			v = must(b.Advert())
		case block.TypeHeartbeat:
			v = must(b.Heartbeat())
		case block.TypeChallenge, block.TypeEcho:
			v = must(b.Challenge())
		case block.TypeNack:
			n := must(b.Nack()).(block.Nack)
			v = n.Peer
			for r := (block.Range{}); n.Next(&r); {
				c.ranges = append(c.ranges, r)
			}
		case block.TypeGone:
			v = must(b.Gone())
		case block.TypeSnapshotRequest:
			v = must(b.SnapshotRequest())
		case block.TypeSnapshotChunk:
			v = must(b.SnapshotChunk())
		case block.TypeSnapshotAck:
			a := must(b.SnapshotAck()).(block.SnapshotAck)
			for r := (block.ChunkRange{}); a.NextMissing(&r); {
				c.missing = append(c.missing, r)
			}
			v = block.SnapshotAck{Peer: a.Peer, Request: a.Request, Next: a.Next}
		case block.TypeProbeAck:
			v = must(b.ProbeAck())
		case block.TypeQuery:
			v = must(b.Query())
		case block.TypeAnswer:
			a := must(b.Answer()).(block.Answer)
			objects := raw(a.Objects)
			a.Objects = block.Blocks{}
			v = answer{a, objects}
		case block.TypeLastAdverts:
			v = must(b.LastAdverts())
		default:
			v = len(b.Payload)
		}
		c.blocks = append(c.blocks, v)
	}
	return c
}

// write returns the body that says it. What it cannot write (a block of an
// unknown type) it leaves out.
func write(t testing.TB, h block.Header, c content) []byte {
	t.Helper()
	body := make([]byte, block.HeaderSize)
	h.Put(body)
	var err error
	var sequence uint64
	var held time.Duration
	for i, v := range c.blocks {
		switch v := v.(type) {
		case block.Advert:
			start := len(body)
			body = append(block.BeginAdvert(body, v.Class), v.Entries...)
			err = block.EndAdvert(body, start, v.Count)
			sequence, held = v.Sequence, v.Held
		case block.Heartbeat:
			body, err = block.AppendHeartbeat(body, &v)
		case block.Challenge:
			if c.types[i] == block.TypeChallenge {
				body, err = block.AppendChallenge(body, &v)
			} else {
				body, err = block.AppendEcho(body, &v)
			}
		case block.Peer:
			body, err = block.AppendNack(body, v, c.ranges)
		case block.Gone:
			body, err = block.AppendGone(body, v)
		case block.SnapshotRequest:
			body, err = block.AppendSnapshotRequest(body, &v)
		case block.SnapshotChunk:
			body, err = block.AppendSnapshotChunk(body, &v)
		case block.SnapshotAck:
			body, err = block.AppendSnapshotAck(body, &v, c.missing)
		case block.ProbeAck:
			body, err = block.AppendProbeAck(body, &v)
		case block.Query:
			body, err = block.AppendQuery(body, &v)
		case answer:
			body, err = block.AppendAnswer(body, &v.Answer, v.objects)
		case block.LastAdverts:
			body, err = block.AppendLastAdverts(body, &v)
		case int:
			if c.types[i] == block.TypeProbe {
				body, err = block.AppendProbe(body, block.HeadSize+v)
			}
		}
		if err != nil {
			t.Fatalf("block %d, %v: %v", i, c.types[i], err)
		}
	}
	block.Stamp(body, sequence, held)
	return body
}

func TestReadsTheGoldenBodies(t *testing.T) {
	for _, tt := range []struct {
		file   string
		header block.Header
		want   content
	}{
		{"all.hex", sender, goldenAll},
		{"chunk.hex", block.Header{Peer: block.Peer{Sender: math.MaxUint32, Start: sixteen(0xa0)}, Number: math.MaxUint64}, goldenChunk},
	} {
		t.Run(tt.file, func(t *testing.T) {
			body, err := block.Parse(goldentest.Read(t, tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if body.Header != tt.header {
				t.Errorf("header %+v, want %+v", body.Header, tt.header)
			}
			if got := read(t, &body); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got\n%+v, want\n%+v", got, tt.want)
			}
		})
	}
}

func TestWritesTheGoldenBody(t *testing.T) {
	if got, want := write(t, sender, goldenAll), goldentest.Read(t, "all.hex"); !bytes.Equal(got, want) {
		t.Errorf("got\n%s, want\n%s", hex.Dump(got), hex.Dump(want))
	}
}

// bodyOf returns a body with these blocks: type, reserved, payload.
func bodyOf(blocks ...[]byte) []byte {
	body := make([]byte, block.HeaderSize)
	sender.Put(body)
	for _, b := range blocks {
		body = append(body, b[0], b[1])
		body = binary.BigEndian.AppendUint16(body, uint16(len(b)-2))
		body = append(body, b[2:]...)
	}
	return body
}

// with returns the n-th block of all.hex, as bodyOf takes it, with octets of
// its payload replaced.
func with(t testing.TB, n, at int, octets ...byte) []byte {
	return change(t, n, func(p []byte) []byte { copy(p[at:], octets); return p })
}

// change returns the n-th block of all.hex with its payload changed.
func change(t testing.TB, n int, f func([]byte) []byte) []byte {
	t.Helper()
	body, err := block.Parse(goldentest.Read(t, "all.hex"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := body.Blocks()
	var b block.Block
	for range n {
		blocks.Next(&b)
	}
	return append([]byte{byte(b.Type), 0}, f(bytes.Clone(b.Payload))...)
}

func cut(p []byte) []byte   { return p[:len(p)-1] }
func grown(p []byte) []byte { return append(p, 0x77) }

const (
	advert = iota + 1
	heartbeat
	challenge
	echo
	nack
	gone
	request
	ack
	probe
	probeAck
)

func TestRefusesABrokenBodyWhole(t *testing.T) {
	chunk := func(at int, octets ...byte) []byte {
		b := append([]byte{8, 0}, make([]byte, 32)...)
		b[5] = 43
		copy(b[2+at:], octets)
		return b
	}
	manyRanges := func(size, n int) func([]byte) []byte {
		return func(p []byte) []byte {
			p = p[:len(p)-2*size]
			for i := range n {
				p = append(p, make([]byte, size)...)
				p[len(p)-size+size-4-1] = byte(16 + 2*i) // the end of First
				p[len(p)-1] = 1
			}
			return p
		}
	}
	for _, tt := range []struct {
		name string
		body []byte
		want error
	}{
		{"nothing", nil, block.ErrBodyShort},
		{"27 bytes", bodyOf()[:27], block.ErrBodyShort},
		{"sender ID 0", func() []byte { b := bodyOf(with(t, gone, 0)); b[3] = 0; return b }(), block.ErrSender},
		{"frame number 0", func() []byte { b := bodyOf(with(t, gone, 0)); clear(b[20:28]); return b }(), block.ErrNumber},
		{"no block", bodyOf(), block.ErrNoBlock},
		{"no block, as a body", bodyOf(), block.ErrBody},

		{"octets behind the last block", append(bodyOf(with(t, gone, 0)), 0, 0, 0), block.ErrLength},
		{"a block behind the body", cut(bodyOf(with(t, gone, 0))), block.ErrLength},
		{"a block behind the body, as a block", cut(bodyOf(with(t, gone, 0))), block.ErrBlock},
		{"reserved byte of a block", bodyOf([]byte{6, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1}), block.ErrReserved},
		{"reserved byte of an unknown block", bodyOf([]byte{0x7f, 1}), block.ErrReserved},
		{"unknown and mandatory", bodyOf([]byte{0x81, 0}), block.ErrUnknownBlock},
		{"unknown and mandatory, behind others", bodyOf(with(t, gone, 0), []byte{0xff, 0, 1, 2, 3}), block.ErrUnknownBlock},

		{"ADVERT without its header", bodyOf(change(t, advert, func(p []byte) []byte { return p[:15] })), block.ErrShort},
		{"ADVERT, reserved", bodyOf(with(t, advert, 1, 1)), block.ErrReserved},
		{"ADVERT, Count 0", bodyOf(with(t, advert, 2, 0, 0)), block.ErrRange},
		{"ADVERTs of two sequences", bodyOf(with(t, advert, 0), with(t, advert, 11, 10)), block.ErrSequence},
		{"ADVERTs, one of a snapshot", bodyOf(with(t, advert, 0), with(t, advert, 4, make([]byte, 8)...)), block.ErrSequence},
		{"ADVERT of a snapshot without a CHUNK", bodyOf(with(t, advert, 4, make([]byte, 8)...)), block.ErrSequence},
		{"ADVERT of the group with a CHUNK", bodyOf(with(t, advert, 0), chunk(0)), block.ErrSequence},

		{"HEARTBEAT, short", bodyOf(change(t, heartbeat, func(p []byte) []byte { return p[:20] })), block.ErrShort},
		{"HEARTBEAT, name cut off", bodyOf(change(t, heartbeat, cut)), block.ErrShort},
		{"HEARTBEAT, reserved", bodyOf(with(t, heartbeat, 9, 1)), block.ErrReserved},
		{"HEARTBEAT, state 0", bodyOf(with(t, heartbeat, 8, 0)), block.ErrRange},
		{"HEARTBEAT, state 5", bodyOf(with(t, heartbeat, 8, 5)), block.ErrRange},
		{"HEARTBEAT, interval 0", bodyOf(with(t, heartbeat, 10, 0, 0)), block.ErrRange},
		{"HEARTBEAT, name of 65 bytes", bodyOf(change(t, heartbeat, func(p []byte) []byte {
			p[20] = 65
			return append(p[:21], bytes.Repeat([]byte{'n'}, 65)...)
		})), block.ErrName},
		{"HEARTBEAT, name not UTF-8", bodyOf(with(t, heartbeat, 25, 'x')), block.ErrName},
		{"HEARTBEAT, name with a newline", bodyOf(with(t, heartbeat, 21, '\n')), block.ErrName},

		{"CHALLENGE, short", bodyOf(change(t, challenge, cut)), block.ErrShort},
		{"CHALLENGE of sender ID 0", bodyOf(with(t, challenge, 0, 0, 0, 0, 0)), block.ErrRange},
		{"ECHO, short", bodyOf(change(t, echo, cut)), block.ErrShort},

		{"NACK without ranges", bodyOf(change(t, nack, func(p []byte) []byte { return p[:20] })), block.ErrShort},
		{"NACK, half a range", bodyOf(change(t, nack, cut)), block.ErrLength},
		{"NACK of sender ID 0", bodyOf(with(t, nack, 3, 0)), block.ErrRange},
		{"NACK from 0", bodyOf(with(t, nack, 27, 0)), block.ErrRange},
		{"NACK of none", bodyOf(with(t, nack, 31, 0)), block.ErrRange},
		{"NACK, ranges overlap", bodyOf(with(t, nack, 39, 6)), block.ErrRanges},
		{"NACK beyond the last sequence", bodyOf(with(t, nack, 32, 255, 255, 255, 255, 255, 255, 255, 255)), block.ErrRanges},
		{"NACK of 65 ranges", bodyOf(change(t, nack, manyRanges(12, 65))), block.ErrRanges},

		{"GONE, short", bodyOf(change(t, gone, cut)), block.ErrShort},
		{"GONE from 0", bodyOf(with(t, gone, 7, 0)), block.ErrRange},
		{"GONE backwards", bodyOf(with(t, gone, 6, 1)), block.ErrRange},

		{"REQUEST, short", bodyOf(change(t, request, cut)), block.ErrShort},
		{"REQUEST of sender ID 0", bodyOf(with(t, request, 3, 0)), block.ErrRange},
		{"REQUEST of no class", bodyOf(with(t, request, 27, 0)), block.ErrRange},
		{"REQUEST, reserved option", bodyOf(with(t, request, 31, 2)), block.ErrReserved},

		{"CHUNK, short", bodyOf(chunk(0)[:33]), block.ErrShort},
		{"CHUNK for sender ID 0", bodyOf(chunk(3, 0)), block.ErrRange},
		{"CHUNK, reserved option", bodyOf(chunk(31, 4)), block.ErrReserved},
		{"two CHUNKs", bodyOf(chunk(0), chunk(0)), block.ErrChunks},

		{"ACK, short", bodyOf(change(t, ack, func(p []byte) []byte { return p[:27] })), block.ErrShort},
		{"ACK, half a range", bodyOf(change(t, ack, cut)), block.ErrLength},
		{"ACK of sender ID 0", bodyOf(with(t, ack, 3, 0)), block.ErrRange},
		{"ACK, none missing from 16", bodyOf(with(t, ack, 35, 0)), block.ErrRange},
		{"ACK, missing before Next", bodyOf(with(t, ack, 31, 15)), block.ErrRanges},
		{"ACK, ranges overlap", bodyOf(with(t, ack, 39, 16)), block.ErrRanges},
		{"ACK beyond the last chunk", bodyOf(with(t, ack, 36, 255, 255, 255, 254)), block.ErrRanges},
		{"ACK of 65 ranges", bodyOf(change(t, ack, manyRanges(8, 65))), block.ErrRanges},

		{"PROBE ACK, short", bodyOf(change(t, probeAck, cut)), block.ErrShort},
		{"PROBE ACK to sender ID 0", bodyOf(with(t, probeAck, 3, 0)), block.ErrRange},
		{"PROBE ACK of frame 0", bodyOf(with(t, probeAck, 20, make([]byte, 8)...)), block.ErrRange},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body, err := block.Parse(tt.body)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			blocks := body.Blocks()
			if blocks.Next(&block.Block{}) || body.Header != (block.Header{}) {
				t.Error("it yields something all the same")
			}
		})
	}
}

func TestTakesWhatIsAtTheBounds(t *testing.T) {
	for name, body := range map[string][]byte{
		"a later version's field": bodyOf(change(t, heartbeat, grown), change(t, challenge, grown), change(t, gone, grown), change(t, request, grown),
			change(t, probeAck, grown)),
		"an unknown block":             bodyOf([]byte{0x7f, 0, 1, 2, 3}),
		"an unknown block, empty":      bodyOf([]byte{0, 0}),
		"ACK without ranges":           bodyOf(change(t, ack, func(p []byte) []byte { return p[:28] })),
		"ACK, missing to the last":     bodyOf(with(t, ack, 36, 255, 255, 255, 253)),
		"NACK to the last but one":     bodyOf(with(t, nack, 32, 255, 255, 255, 255, 255, 255, 255, 254)),
		"HEARTBEAT without a name":     bodyOf(change(t, heartbeat, func(p []byte) []byte { p[20] = 0; return p[:21] })),
		"ADVERT of an unknown class":   bodyOf(with(t, advert, 0, 99)),
		"two ADVERTs of one sequence":  bodyOf(with(t, advert, 0), with(t, advert, 0, 1)),
		"PROBE that is not of zeros":   bodyOf([]byte{10, 0, 1}),
		"PROBE of nothing":             bodyOf(change(t, probe, func([]byte) []byte { return nil })),
		"CHUNK that is refused, empty": bodyOf(append([]byte{8, 0, 0, 0, 0, 1}, append(make([]byte, 27), 2)...)),
	} {
		if _, err := block.Parse(body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Cut off between two blocks, it is a body: the frame has the Size that tells.
func TestRefusesATruncationAtEveryOctetWithinABlock(t *testing.T) {
	whole := goldentest.Read(t, "all.hex")
	var ends []int
	for at := block.HeaderSize; at < len(whole); ends = append(ends, at) {
		at += block.HeadSize + int(binary.BigEndian.Uint16(whole[at+2:]))
	}
	for n := range len(whole) {
		_, err := block.Parse(whole[:n:n])
		if complete := slices.Contains(ends, n); complete != (err == nil) {
			t.Errorf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
}

func TestBuildersRefuseWhatParseWould(t *testing.T) {
	many := make([]block.Range, 65)
	missing := make([]block.ChunkRange, 65)
	for name, tt := range map[string]struct {
		build func([]byte) ([]byte, error)
		want  error
	}{
		"HEARTBEAT without a state": {func(p []byte) ([]byte, error) {
			return block.AppendHeartbeat(p, &block.Heartbeat{Interval: time.Second})
		}, block.ErrRange},
		"HEARTBEAT, below a millisecond": {func(p []byte) ([]byte, error) {
			return block.AppendHeartbeat(p, &block.Heartbeat{State: 1, Interval: time.Millisecond - 1})
		}, block.ErrRange},
		"HEARTBEAT, a long name": {func(p []byte) ([]byte, error) {
			return block.AppendHeartbeat(p, &block.Heartbeat{State: 1, Interval: time.Second, Name: bytes.Repeat([]byte{'n'}, 321)})
		}, block.ErrName},
		"HEARTBEAT, a broken name": {func(p []byte) ([]byte, error) {
			return block.AppendHeartbeat(p, &block.Heartbeat{State: 1, Interval: time.Second, Name: []byte{0xc3}})
		}, block.ErrName},
		"CHALLENGE of nobody": {func(p []byte) ([]byte, error) { return block.AppendChallenge(p, &block.Challenge{}) }, block.ErrRange},
		"ECHO of nobody":      {func(p []byte) ([]byte, error) { return block.AppendEcho(p, &block.Challenge{}) }, block.ErrRange},
		"NACK of nothing":     {func(p []byte) ([]byte, error) { return block.AppendNack(p, peer43, nil) }, block.ErrShort},
		"NACK of too much":    {func(p []byte) ([]byte, error) { return block.AppendNack(p, peer43, many) }, block.ErrRanges},
		"NACK, descending": {func(p []byte) ([]byte, error) {
			return block.AppendNack(p, peer43, []block.Range{{First: 9, Count: 1}, {First: 5, Count: 1}})
		}, block.ErrRanges},
		"GONE of nothing": {func(p []byte) ([]byte, error) { return block.AppendGone(p, block.Gone{}) }, block.ErrRange},
		"REQUEST of no class": {func(p []byte) ([]byte, error) {
			return block.AppendSnapshotRequest(p, &block.SnapshotRequest{Peer: peer43})
		}, block.ErrRange},
		"CHUNK for nobody": {func(p []byte) ([]byte, error) { return block.AppendSnapshotChunk(p, &block.SnapshotChunk{}) }, block.ErrRange},
		"ACK of too much": {func(p []byte) ([]byte, error) {
			return block.AppendSnapshotAck(p, &block.SnapshotAck{Peer: peer43}, missing)
		}, block.ErrRanges},
		"ACK to nobody": {func(p []byte) ([]byte, error) { return block.AppendSnapshotAck(p, &block.SnapshotAck{}, nil) }, block.ErrRange},
		"PROBE ACK to nobody": {func(p []byte) ([]byte, error) {
			return block.AppendProbeAck(p, &block.ProbeAck{Number: 1})
		}, block.ErrRange},
		"PROBE ACK of nothing": {func(p []byte) ([]byte, error) {
			return block.AppendProbeAck(p, &block.ProbeAck{Peer: peer43})
		}, block.ErrRange},
		"QUERY to nobody":        {func(p []byte) ([]byte, error) { return block.AppendQuery(p, &block.Query{Query: 1}) }, block.ErrRange},
		"QUERY without a number": {func(p []byte) ([]byte, error) { return block.AppendQuery(p, &block.Query{Peer: peer43}) }, block.ErrRange},
		"QUERY, a long selector": {func(p []byte) ([]byte, error) {
			return block.AppendQuery(p, &block.Query{Peer: peer43, Query: 1, Selector: make([]byte, block.MaxSelector+1)})
		}, block.ErrLength},
		"ANSWER to nobody": {func(p []byte) ([]byte, error) { return block.AppendAnswer(p, &block.Answer{Query: 1}, nil) }, block.ErrRange},
		"ANSWER, too many": {func(p []byte) ([]byte, error) {
			return block.AppendAnswer(p, &block.Answer{Peer: peer43, Query: 1, Marks: make([]block.Marks, block.MaxObjects+1)}, nil)
		}, block.ErrRange},
		"ANSWER of what is not there": {func(p []byte) ([]byte, error) {
			return block.AppendAnswer(p, &block.Answer{Peer: peer43, Query: 1, Marks: make([]block.Marks, 1)}, nil)
		}, block.ErrObjects},
		"PROBE, short":    {func(p []byte) ([]byte, error) { return block.AppendProbe(p, 3) }, block.ErrShort},
		"PROBE, too long": {func(p []byte) ([]byte, error) { return block.AppendProbe(p, 65540) }, block.ErrTooLong},
		"ADVERT of nothing": {func(p []byte) ([]byte, error) {
			return p, block.EndAdvert(block.BeginAdvert(p, 1), len(p), 0)
		}, block.ErrRange},
		"ADVERT, too many": {func(p []byte) ([]byte, error) {
			return p, block.EndAdvert(block.BeginAdvert(p, 1), len(p), 65536)
		}, block.ErrRange},
		"ADVERT, too long": {func(p []byte) ([]byte, error) {
			return p, block.EndAdvert(append(block.BeginAdvert(p, 1), make([]byte, 65520)...), len(p), 1)
		}, block.ErrTooLong},
	} {
		got, err := tt.build([]byte("as it was"))
		if !errors.Is(err, tt.want) || string(got) != "as it was" {
			t.Errorf("%s: %q, %v; want %v", name, got, err, tt.want)
		}
	}
}

func TestTimesAreLimitedToTheirFields(t *testing.T) {
	body := make([]byte, block.HeaderSize)
	sender.Put(body)
	body, err := block.AppendHeartbeat(body, &block.Heartbeat{State: block.StateDegraded, Interval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	body = append(block.BeginAdvert(body, block.ClassIPVS), 'e')
	if err := block.EndAdvert(body, block.HeaderSize+25, 1); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ held, want time.Duration }{
		{-time.Second, 0},
		{1999 * time.Microsecond, time.Millisecond},
		{100 * 24 * time.Hour, math.MaxUint32 * time.Millisecond},
	} {
		block.Stamp(body, 5, tt.held)
		parsed, err := block.Parse(body)
		if err != nil {
			t.Fatal(err)
		}
		c := read(t, &parsed)
		if got := c.blocks[0].(block.Heartbeat).Interval; got != 65535*time.Millisecond {
			t.Errorf("interval %v", got)
		}
		if got := c.blocks[1].(block.Advert); got.Held != tt.want || got.Sequence != 5 {
			t.Errorf("held %v: %v, sequence %d; want %v, 5", tt.held, got.Held, got.Sequence, tt.want)
		}
	}
}

func TestStampLeavesABrokenBodyAlone(t *testing.T) {
	for n := range goldentest.Read(t, "all.hex") {
		body := goldentest.Read(t, "all.hex")[:n:n]
		block.Stamp(body, 7, 0) // and does not panic
	}
}

func TestBlocksMayBeTakenAgain(t *testing.T) {
	body, err := block.Parse(goldentest.Read(t, "all.hex"))
	if err != nil {
		t.Fatal(err)
	}
	if one, two := read(t, &body), read(t, &body); !reflect.DeepEqual(one, two) {
		t.Errorf("got\n%+v, then\n%+v", one, two)
	}
}

func TestNamesAreThoseOfTheDocument(t *testing.T) {
	var names []string
	for typ := range block.Type(16) {
		names = append(names, typ.String())
	}
	for s := range block.State(6) {
		names = append(names, s.String())
	}
	want := "block type 0x0, ADVERT, HEARTBEAT, CHALLENGE, ECHO, NACK, GONE, SNAPSHOT REQUEST, SNAPSHOT CHUNK, SNAPSHOT ACK, PROBE, " +
		"PROBE ACK, QUERY, ANSWER, LAST ADVERTS, block type 0xf, state 0, joining, synced, synced (alone), degraded, state 5"
	if got := strings.Join(names, ", "); got != want {
		t.Errorf("got %s", got)
	}
	if got, want := fmt.Sprint(peer43), "0000002b/f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestClassesAreASet(t *testing.T) {
	set := block.ClassesOf(block.ClassConntrack, 31, 32)
	if set != 1<<2|1<<31 || set.Has(block.ClassIPVS) || !set.Has(31) || set.Has(32) {
		t.Errorf("got %#x", uint32(set))
	}
}

func TestAllocatesNothing(t *testing.T) {
	body := goldentest.Read(t, "all.hex")
	buf := make([]byte, 2048)
	h := goldenAll.blocks[1].(block.Heartbeat)
	c := goldenAll.blocks[2].(block.Challenge)
	a := goldenAll.blocks[9].(block.ProbeAck)
	if n := testing.AllocsPerRun(100, func() {
		parsed, err := block.Parse(body)
		if err != nil {
			t.Fatal(err)
		}
		blocks := parsed.Blocks()
		var b block.Block
		for blocks.Next(&b) {
			if b.Type == block.TypeNack {
				nack, err := b.Nack()
				if err != nil {
					t.Fatal(err)
				}
				for r := (block.Range{}); nack.Next(&r); {
				}
			}
		}
		sender.Put(buf)
		p := buf[:block.HeaderSize]
		for _, err := range []error{
			func() (err error) { p, err = block.AppendHeartbeat(p, &h); return }(),
			func() (err error) { p, err = block.AppendChallenge(p, &c); return }(),
			func() (err error) { p, err = block.AppendNack(p, peer43, goldenAll.ranges); return }(),
			func() (err error) { p, err = block.AppendProbe(p, 1000); return }(),
			func() (err error) { p, err = block.AppendProbeAck(p, &a); return }(),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		block.Stamp(p, 1, 0)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
