package frame_test

import (
	"bytes"
	"testing"

	"github.com/ssyncp/ssyncp/pkg/wire/frame"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/checksum"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/goldentest"
)

// What opens is what was sealed, to the last bit: nothing else opens, and
// nobody panics.
func FuzzOpen(f *testing.F) {
	for _, g := range golden {
		f.Add(goldentest.Read(f, g.file), []byte(nil), uint16(0))
		f.Add(goldentest.Read(f, g.file), []byte{0x80}, uint16(40))
	}
	f.Add([]byte("no frame"), []byte(nil), uint16(0))
	f.Fuzz(func(t *testing.T, message, mutation []byte, at uint16) {
		// Arbitrary bytes.
		for _, g := range golden {
			original := bytes.Clone(message)
			body, err := newOpener(t, g.suite, g.syncID).Open(message)
			if err == nil {
				if g.suite == frame.Sealed && !bytes.Equal(original, goldentest.Read(t, g.file)) {
					t.Fatalf("forged: %x", original)
				}
				if g.suite == frame.Clear && checksum.Sum(original) != 0xffff {
					t.Fatalf("wrong checksum: %x", original)
				}
				if len(body) != len(original)-g.suite.Overhead() {
					t.Fatalf("body of %d bytes in a frame of %d", len(body), len(original))
				}
			}
			message = original
		}
		// A frame with these bytes for its body, mutated.
		for _, suite := range []frame.Suite{frame.Clear, frame.Sealed} {
			if len(message) > frame.MaxSize-suite.Overhead() {
				return
			}
			sealed := seal(t, newSealer(t, suite, 7, nil), message)
			mutated := bytes.Clone(sealed)
			changed := false
			for i, b := range mutation {
				mutated[(int(at)+i)%len(mutated)] ^= b
				changed = changed || b != 0
			}
			changed = changed && !bytes.Equal(mutated, sealed)
			body, err := newOpener(t, suite, 7).Open(mutated)
			switch {
			case !changed && (err != nil || !bytes.Equal(body, message)):
				t.Fatalf("%v: got %x, %v", suite, body, err)
			case changed && err == nil && suite == frame.Sealed:
				t.Fatalf("%x opens as %x", sealed, body)
			}
		}
	})
}

// What is taken for a key file is one, octet by octet, with or without the
// newline at its end.
func FuzzParseKeyFile(f *testing.F) {
	f.Add([]byte(goldenKeyFile))
	f.Add([]byte("ssyncp-key-1:"))
	f.Add([]byte("ssyncp-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := frame.ParseKeyFile(text)
		if err != nil {
			if key.Valid() {
				t.Errorf("%v, but it yields a key", err)
			}
			return
		}
		if again := frame.AppendKeyFile(nil, key); !bytes.Equal(bytes.TrimSuffix(again, []byte("\n")), bytes.TrimSuffix(text, []byte("\n"))) {
			t.Errorf("%q was taken for a key file", text)
		}
	})
}
