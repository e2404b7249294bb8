package frame_test

import (
	"testing"

	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// A frame that fills an Ethernet's packet.
const frameSize = 1480

func BenchmarkSeal(b *testing.B) {
	for _, suite := range []frame.Suite{frame.Clear, frame.Sealed} {
		b.Run(suite.String(), func(b *testing.B) {
			s := newSealer(b, suite, 7, nil)
			buf := make([]byte, frameSize)
			body := buf[suite.Head() : frameSize-suite.Tail()]
			b.SetBytes(frameSize)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Seal(buf[:0], body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, suite := range []frame.Suite{frame.Clear, frame.Sealed} {
		for _, forged := range []bool{false, true} {
			name := suite.String()
			if forged {
				name += ", forged"
			}
			b.Run(name, func(b *testing.B) {
				s, o := newSealer(b, suite, 7, nil), newOpener(b, suite, 7)
				sealed := seal(b, s, make([]byte, frameSize-suite.Overhead()))
				if forged {
					sealed[frameSize-1]++
				}
				f := make([]byte, frameSize)
				b.SetBytes(frameSize)
				b.ReportAllocs()
				for b.Loop() {
					copy(f, sealed) // it is opened in place
					if _, err := o.Open(f); (err != nil) != forged {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
