package entry_test

import (
	"testing"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// An Ethernet's packet without its IP header.
const mtu = 1500 - 20

func reportEntries(b *testing.B, perOp int) {
	b.ReportMetric(float64(b.N)*float64(perOp)/b.Elapsed().Seconds()/1e6, "Mentries/s")
}

// link makes and takes frames, as two directors do.
type link struct {
	sealer  *frame.Sealer
	opener  *frame.Opener
	header  block.Header
	encoder entry.Encoder
	decoder entry.Decoder
	buf     []byte
}

func newLink(t testing.TB, suite frame.Suite) *link {
	t.Helper()
	key := frame.NewKey([frame.KeySize]byte{1})
	l := &link{header: block.Header{Peer: block.Peer{Sender: 42}, Number: 1}, buf: make([]byte, mtu)}
	var errs [2]error
	if suite == frame.Sealed {
		l.sealer, errs[0] = frame.NewSealer(7, key, nil)
		l.opener, errs[1] = frame.NewOpener(7, key)
	} else {
		l.sealer, errs[0] = frame.NewClearSealer(7)
		l.opener, errs[1] = frame.NewClearOpener(7)
	}
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// begin begins a frame.
func (l *link) begin(t testing.TB) {
	suite := l.sealer.Suite()
	if err := l.encoder.Reset(l.buf[:suite.Head()+block.HeaderSize], mtu-suite.Tail()); err != nil {
		t.Fatal(err)
	}
}

// seal completes a frame.
func (l *link) seal(t testing.TB) []byte {
	body := l.encoder.Finish()[l.sealer.Suite().Head():]
	l.header.Put(body)
	block.Stamp(body, 1, 0)
	f, err := l.sealer.Seal(l.buf[:0], body)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// frames calls send with every frame that a batch takes.
func (l *link) frames(t testing.TB, list []ipvs.Conn, order []int32, send func([]byte)) {
	l.begin(t)
	for _, i := range order {
		err := l.encoder.Append(&list[i])
		if err == entry.ErrFull {
			send(l.seal(t))
			l.begin(t)
			err = l.encoder.Append(&list[i])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	send(l.seal(t))
}

// open takes a frame, and returns the number of connections in it.
func (l *link) open(t testing.TB, f []byte, c *ipvs.Conn) (n int) {
	body, err := l.opener.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := block.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.decoder.Reset(parsed.Blocks()); err != nil {
		t.Fatal(err)
	}
	for l.decoder.Next(c) {
		n++
	}
	return n
}

func BenchmarkOrder(b *testing.B) {
	list := newWorld().conns(oneRead)
	var o entry.Order
	b.ReportAllocs()
	for b.Loop() {
		if len(o.Of(list)) != oneRead {
			b.Fatal("connections are missing")
		}
	}
	reportEntries(b, oneRead)
}

// unordered is the order in which connections come.
func unordered(n int) []int32 {
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	return order
}

// A batch into full frames, without sealing.
func BenchmarkEncode(b *testing.B) {
	list := newWorld().conns(oneRead)
	var o entry.Order
	for _, bb := range []struct {
		name  string
		order []int32
	}{{"ordered", o.Of(list)}, {"unordered", unordered(oneRead)}} {
		b.Run(bb.name, func(b *testing.B) {
			var e entry.Encoder
			buf := make([]byte, mtu)
			b.ReportAllocs()
			for b.Loop() {
				if err := e.Reset(buf[:64], mtu-frame.TagSize); err != nil {
					b.Fatal(err)
				}
				for _, i := range bb.order {
					err := e.Append(&list[i])
					if err == entry.ErrFull {
						e.Finish()
						if err = e.Reset(buf[:64], mtu-frame.TagSize); err == nil {
							err = e.Append(&list[i])
						}
					}
					if err != nil {
						b.Fatal(err)
					}
				}
				e.Finish()
			}
			reportEntries(b, oneRead)
		})
	}
}

// A full frame, without opening it.
func BenchmarkDecode(b *testing.B) {
	list := newWorld().conns(oneRead)
	var o entry.Order
	for _, bb := range []struct {
		name  string
		order []int32
	}{{"ordered", o.Of(list)}, {"unordered", unordered(oneRead)}} {
		b.Run(bb.name, func(b *testing.B) {
			l := newLink(b, frame.Clear)
			l.begin(b)
			n := 0
			for l.encoder.Append(&list[bb.order[n]]) == nil {
				n++
			}
			body := l.encoder.Finish()[frame.Clear.Head():]
			l.header.Put(body)
			block.Stamp(body, 1, 0)
			parsed, err := block.Parse(body)
			if err != nil {
				b.Fatal(err)
			}
			var c ipvs.Conn
			b.ReportAllocs()
			for b.Loop() {
				if err := l.decoder.Reset(parsed.Blocks()); err != nil {
					b.Fatal(err)
				}
				for l.decoder.Next(&c) {
				}
			}
			reportEntries(b, n)
		})
	}
}

// From a batch to the frames of a socket.
func BenchmarkSending(b *testing.B) {
	for _, suite := range []frame.Suite{frame.Clear, frame.Sealed} {
		b.Run(suite.String(), func(b *testing.B) {
			list := newWorld().conns(oneRead)
			l := newLink(b, suite)
			var o entry.Order
			bytes := 0
			b.ReportAllocs()
			for b.Loop() {
				bytes = 0
				l.frames(b, list, o.Of(list), func(f []byte) { bytes += len(f) })
			}
			reportEntries(b, oneRead)
			b.ReportMetric(float64(bytes)/oneRead, "bytes/entry")
		})
	}
}

// From the frame of a socket to connections.
func BenchmarkReceiving(b *testing.B) {
	for _, suite := range []frame.Suite{frame.Clear, frame.Sealed} {
		b.Run(suite.String(), func(b *testing.B) {
			list := newWorld().conns(oneRead)
			l := newLink(b, suite)
			var o entry.Order
			var frames [][]byte
			l.frames(b, list, o.Of(list), func(f []byte) { frames = append(frames, append([]byte(nil), f...)) })
			buf := make([]byte, mtu)
			var c ipvs.Conn
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for _, f := range frames {
					n += l.open(b, buf[:copy(buf, f)], &c) // it is opened in place
				}
				if n != oneRead {
					b.Fatalf("%d connections", n)
				}
			}
			reportEntries(b, oneRead)
		})
	}
}
