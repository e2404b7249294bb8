package ctentry_test

import (
	"errors"
	"testing"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/ctentry"
)

// bodySize is that of a sealed frame in an Ethernet's packet: without the IP
// header, the frame's with its nonce, and the tag.
const (
	sealing  = 36 + 16
	bodySize = 1500 - 20 - sealing
)

func worlds() map[string]*world {
	return map[string]*world{
		"forwarded": newWorld((*world).forwarded), "masqueraded": newWorld((*world).masqueraded), "routed": newWorld((*world).routed),
	}
}

func reportEntries(b *testing.B, perOp int) {
	b.ReportMetric(float64(b.N)*float64(perOp)/b.Elapsed().Seconds()/1e6, "Mentries/s")
}

// bodies calls send with the blocks of every full body that a batch takes, and
// of the last one.
func bodies(t testing.TB, e *ctentry.Encoder, buf []byte, list []conntrack.Entry, order []int32, send func([]byte)) {
	begin := func() {
		if err := e.Reset(buf[:block.HeaderSize], bodySize); err != nil {
			t.Fatal(err)
		}
	}
	begin()
	for _, i := range order {
		err := e.Append(&list[i])
		if errors.Is(err, ctentry.ErrFull) {
			send(e.Finish())
			begin()
			err = e.Append(&list[i])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	send(e.Finish())
}

func BenchmarkOrder(b *testing.B) {
	for name, w := range worlds() {
		b.Run(name, func(b *testing.B) {
			list := w.entries(oneRead)
			var o ctentry.Order
			b.ReportAllocs()
			for b.Loop() {
				if len(o.Of(list)) != oneRead {
					b.Fatal("entries are missing")
				}
			}
			reportEntries(b, oneRead)
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for name, w := range worlds() {
		b.Run(name, func(b *testing.B) {
			list := w.entries(oneRead)
			var o ctentry.Order
			order := o.Of(list)
			var e ctentry.Encoder
			buf := make([]byte, bodySize)
			b.ReportAllocs()
			for b.Loop() {
				bodies(b, &e, buf, list, order, func([]byte) {})
			}
			reportEntries(b, oneRead)
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, w := range worlds() {
		b.Run(name, func(b *testing.B) {
			list := w.entries(oneRead)
			var o ctentry.Order
			var e ctentry.Encoder
			var all []block.Blocks
			bodies(b, &e, make([]byte, bodySize), list, o.Of(list), func(body []byte) {
				all = append(all, blocksOf(b, append([]byte(nil), body[block.HeaderSize:]...), 1, 0))
			})
			var d ctentry.Decoder
			var c conntrack.Entry
			b.ReportAllocs()
			for b.Loop() {
				for _, blocks := range all {
					if err := d.Reset(blocks); err != nil {
						b.Fatal(err)
					}
					for d.Next(&c) {
					}
				}
			}
			reportEntries(b, oneRead)
		})
	}
}
