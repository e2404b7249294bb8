package block_test

import (
	"testing"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/goldentest"
)

// A body as most are: one ADVERT. And one with a block of every type.
func BenchmarkParse(b *testing.B) {
	for name, body := range map[string][]byte{
		"advert":    bodyOf(with(b, advert, 0)),
		"all types": goldentest.Read(b, "all.hex"),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				parsed, err := block.Parse(body)
				if err != nil {
					b.Fatal(err)
				}
				blocks := parsed.Blocks()
				for blk := (block.Block{}); blocks.Next(&blk); {
				}
			}
		})
	}
}

func BenchmarkAppendHeartbeat(b *testing.B) {
	h := goldenAll.blocks[1].(block.Heartbeat)
	buf := make([]byte, 0, 128)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := block.AppendHeartbeat(buf, &h); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendNack(b *testing.B) {
	ranges := make([]block.Range, block.MaxRanges)
	for i := range ranges {
		ranges[i] = block.Range{First: uint64(1 + 2*i), Count: 1}
	}
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := block.AppendNack(buf, peer43, ranges); err != nil {
			b.Fatal(err)
		}
	}
}
