package wire_test

import (
	"testing"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire"
)

// reportEntries reports the rate of the entries of whole adverts.
func reportEntries(b *testing.B, perOp int) {
	b.ReportMetric(float64(b.N)*float64(perOp)/b.Elapsed().Seconds(), "entries/s")
}

func BenchmarkEncode(b *testing.B) {
	for _, bb := range []struct {
		name  string
		conns []ipvs.Conn
	}{{"plain", conns(wire.MaxConns, 0)}, {"sequence", conns(wire.MaxSeqConns, ipvs.FlagInSeq)}} {
		b.Run(bb.name, func(b *testing.B) {
			var e wire.Encoder
			buf := make([]byte, wire.MaxSize)
			b.ReportAllocs()
			for b.Loop() {
				if err := e.Reset(buf, 7); err != nil {
					b.Fatal(err)
				}
				for i := range bb.conns {
					if err := e.Append(&bb.conns[i]); err != nil {
						b.Fatal(err)
					}
				}
				if len(e.Finish()) != wire.MaxSize {
					b.Fatal("not a full advert")
				}
			}
			reportEntries(b, len(bb.conns))
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, bb := range []struct {
		name  string
		conns []ipvs.Conn
	}{{"plain", conns(wire.MaxConns, 0)}, {"sequence", conns(wire.MaxSeqConns, ipvs.FlagInSeq)}} {
		b.Run(bb.name, func(b *testing.B) {
			message := encode(b, 7, bb.conns)
			var c ipvs.Conn
			b.ReportAllocs()
			for b.Loop() {
				advert, err := wire.Decode(message)
				if err != nil {
					b.Fatal(err)
				}
				for advert.Next(&c) {
				}
			}
			reportEntries(b, len(bb.conns))
		})
	}
}
