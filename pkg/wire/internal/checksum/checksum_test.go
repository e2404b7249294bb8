package checksum

import (
	"math/rand/v2"
	"testing"
)

// sumByWords is the algorithm of RFC 1071 as it is written down there.
func sumByWords(p []byte) uint16 {
	var s uint32
	for i := 0; i < len(p); i += 2 {
		s += uint32(p[i]) << 8
		if i+1 < len(p) {
			s += uint32(p[i+1])
		}
	}
	for s>>16 != 0 {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

func TestSumIsThatOfRFC1071(t *testing.T) {
	random := rand.New(rand.NewPCG(1071, 1988))
	for n := range 1500 {
		p := make([]byte, n)
		for _, fill := range []func(i int) byte{
			func(int) byte { return 0 },
			func(int) byte { return 0xff },
			func(int) byte { return byte(random.Uint32()) },
		} {
			for i := range p {
				p[i] = fill(i)
			}
			if got, want := Sum(p), sumByWords(p); got != want {
				t.Fatalf("%d bytes %x: %#04x, want %#04x", n, p, got, want)
			}
		}
	}
}

// The example of RFC 1071, section 3.
func TestSumOfTheExampleInTheRFC(t *testing.T) {
	if got := Sum([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}); got != 0xddf2 {
		t.Errorf("got %#04x, want 0xddf2", got)
	}
}
