package frame_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/ssyncp/ssyncp/pkg/wire/frame"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/goldentest"
)

// counted returns n bytes from first up.
func counted(first byte, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = first + byte(i)
	}
	return p
}

var goldenKey = frame.NewKey([frame.KeySize]byte(counted(0, frame.KeySize)))

// The frames in testdata are not written by the code under test.
var golden = []struct {
	file   string
	suite  frame.Suite
	syncID uint8
	body   string
}{
	{"clear.hex", frame.Clear, 42, "body of a frame"},
	{"sealed.hex", frame.Sealed, 255, "The body is what the key hides."},
}

func newSealer(t testing.TB, suite frame.Suite, syncID uint8, random io.Reader) *frame.Sealer {
	t.Helper()
	s, err := frame.NewClearSealer(syncID)
	if suite == frame.Sealed {
		s, err = frame.NewSealer(syncID, goldenKey, random)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newOpener(t testing.TB, suite frame.Suite, syncID uint8) *frame.Opener {
	t.Helper()
	o, err := frame.NewClearOpener(syncID)
	if suite == frame.Sealed {
		o, err = frame.NewOpener(syncID, goldenKey)
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func seal(t testing.TB, s *frame.Sealer, body []byte) []byte {
	t.Helper()
	f, err := s.Seal(nil, body)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestSealsTheGoldenFrames(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.file, func(t *testing.T) {
			s := newSealer(t, tt.suite, tt.syncID, bytes.NewReader(counted(0x40, frame.NonceSize)))
			if got, want := seal(t, s, []byte(tt.body)), goldentest.Read(t, tt.file); !bytes.Equal(got, want) {
				t.Errorf("got\n%s, want\n%s", hex.Dump(got), hex.Dump(want))
			}
		})
	}
}

func TestOpensTheGoldenFrames(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.file, func(t *testing.T) {
			f := goldentest.Read(t, tt.file)
			body, err := newOpener(t, tt.suite, tt.syncID).Open(f)
			if err != nil || string(body) != tt.body {
				t.Errorf("got %q, %v; want %q", body, err, tt.body)
			}
			if &body[0] != &f[tt.suite.Head()] {
				t.Error("not opened in place")
			}
		})
	}
}

func TestSealsInPlaceOrLeavesTheBodyAlone(t *testing.T) {
	body := []byte("once in the ring, once on the link")
	for _, suite := range []frame.Suite{frame.Clear, frame.Sealed} {
		t.Run(suite.String(), func(t *testing.T) {
			s, o := newSealer(t, suite, 7, nil), newOpener(t, suite, 7)
			buf := make([]byte, 200)
			n := copy(buf[suite.Head():], body)
			in, err := s.Seal(buf[:0], buf[suite.Head():suite.Head()+n])
			if err != nil {
				t.Fatal(err)
			}
			if &in[0] != &buf[0] || len(in) != n+suite.Overhead() {
				t.Errorf("%d bytes, in place %v", len(in), &in[0] == &buf[0])
			}
			apart, err := s.Seal([]byte("before"), body)
			if err != nil {
				t.Fatal(err)
			}
			if string(apart[:6]) != "before" || string(body) != "once in the ring, once on the link" {
				t.Errorf("%q, body %q", apart[:6], body)
			}
			for _, f := range [][]byte{in, apart[6:]} {
				if got, err := o.Open(f); err != nil || !bytes.Equal(got, body) {
					t.Errorf("got %q, %v", got, err)
				}
			}
		})
	}
}

func TestEveryFrameHasANonceOfItsOwn(t *testing.T) {
	s := newSealer(t, frame.Sealed, 7, nil)
	seen := make(map[string]bool)
	for range 1000 {
		f := seal(t, s, []byte("the same"))
		nonce := string(f[frame.HeaderSize : frame.HeaderSize+frame.NonceSize])
		if seen[nonce] {
			t.Fatalf("nonce %x twice", nonce)
		}
		seen[nonce] = true
	}
}

// A machine that is cloned must not have randomness in store.
func TestReadsTheRandomnessOfOneFrame(t *testing.T) {
	random := bytes.NewReader(make([]byte, 1000))
	s := newSealer(t, frame.Sealed, 7, random)
	for i := range 3 {
		seal(t, s, []byte("body"))
		if got, want := random.Len(), 1000-(i+1)*frame.NonceSize; got != want {
			t.Errorf("%d frames: %d bytes left, want %d", i+1, got, want)
		}
	}
}

func TestMakesNoFrame(t *testing.T) {
	broken := errors.New("no entropy")
	for _, tt := range []struct {
		name   string
		suite  frame.Suite
		random io.Reader
		size   int
		want   error
	}{
		{"the largest of a clear suite", frame.Clear, nil, 65535 - 12, nil},
		{"the largest sealed", frame.Sealed, nil, 65535 - 52, nil},
		{"larger, clear", frame.Clear, nil, 65535 - 11, frame.ErrTooLong},
		{"larger, sealed", frame.Sealed, nil, 65535 - 51, frame.ErrTooLong},
		{"no randomness", frame.Sealed, iotest.ErrReader(broken), 100, frame.ErrRandom},
		{"no randomness, with its reason", frame.Sealed, iotest.ErrReader(broken), 100, broken},
		{"too little randomness", frame.Sealed, bytes.NewReader(make([]byte, 23)), 100, frame.ErrRandom},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dst := []byte("as it was")
			got, err := newSealer(t, tt.suite, 1, tt.random).Seal(dst, make([]byte, tt.size))
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err != nil && string(got) != "as it was" {
				t.Errorf("dst is %q", got)
			}
		})
	}
}

func TestRefusesAFrame(t *testing.T) {
	const clear, sealed = frame.Clear, frame.Sealed
	put16 := func(at int, v uint16) func([]byte) []byte {
		return func(f []byte) []byte { binary.BigEndian.PutUint16(f[at:], v); return f }
	}
	put := func(at int, v byte) func([]byte) []byte {
		return func(f []byte) []byte { f[at] = v; return f }
	}
	cut := func(n int) func([]byte) []byte {
		return func(f []byte) []byte { f = f[:n]; binary.BigEndian.PutUint16(f[2:], uint16(n)); return f }
	}
	for _, tt := range []struct {
		name   string
		suite  frame.Suite
		change func([]byte) []byte
		want   error
	}{
		{"nothing", clear, func([]byte) []byte { return nil }, frame.ErrShort},
		{"11 bytes", clear, cut11, frame.ErrShort},
		{"version 1, with entries", clear, put(0, 1), frame.VersionError(1)},
		{"version 1, empty", clear, put16(4, 0), frame.VersionError(1)},
		{"version 3", sealed, put16(4, 3), frame.VersionError(3)},
		{"version 3, whatever else", clear, func(f []byte) []byte { f[1], f[2], f[9] = 0, 9, 9; return put16(4, 3)(f) }, frame.ErrVersion},
		{"Size too small", clear, put(3, 20), frame.ErrSize},
		{"Size too large", sealed, put(2, 1), frame.ErrSize},
		{"sync ID 0", clear, put(1, 0), frame.ErrSyncIDZero},
		{"sync ID of another cluster", sealed, put(1, 8), frame.ErrForeignSyncID},
		{"suite 2", clear, put(8, 2), frame.ErrSuiteUnknown},
		{"suite 255", sealed, put(8, 255), frame.ErrSuite},
		{"Reserved, clear", clear, put(9, 1), frame.ErrReserved},
		{"Reserved, sealed", sealed, put(9, 1), frame.ErrReserved},
		{"Key ID, clear", clear, put16(10, 1), frame.ErrReserved},
		{"Checksum, sealed", sealed, put16(6, 1), frame.ErrReserved},
		{"nothing sealed, not even a tag", sealed, cut(51), frame.ErrShort},
		{"an empty body of no key", sealed, cut(52), frame.ErrSeal},
		{"checksum", clear, put(6, 0), frame.ErrChecksum},
		{"a bit of the body", clear, func(f []byte) []byte { f[20] ^= 0x10; return f }, frame.ErrChecksum},
		{"Key ID of no key", sealed, put16(10, 0x501c), frame.ErrKey},
		{"nonce", sealed, func(f []byte) []byte { f[12] ^= 0x80; return f }, frame.ErrSeal},
		{"a bit of the body, sealed", sealed, func(f []byte) []byte { f[36] ^= 1; return f }, frame.ErrSeal},
		{"a bit of the tag", sealed, func(f []byte) []byte { f[len(f)-1] ^= 1; return f }, frame.ErrSeal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.change(seal(t, newSealer(t, tt.suite, 7, nil), []byte("a body, long enough")))
			body, err := newOpener(t, tt.suite, 7).Open(f)
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if body != nil {
				t.Errorf("it has a body all the same: %q", body)
			}
		})
	}
}

func cut11(f []byte) []byte { return f[:11] }

// What is asked for is not negotiated.
func TestRefusesTheOtherSuite(t *testing.T) {
	clear := seal(t, newSealer(t, frame.Clear, 7, nil), []byte("body"))
	sealed := seal(t, newSealer(t, frame.Sealed, 7, nil), []byte("body"))
	if _, err := newOpener(t, frame.Sealed, 7).Open(clear); !errors.Is(err, frame.ErrNotSealed) || !errors.Is(err, frame.ErrSuite) {
		t.Errorf("clear where there is a key: %v", err)
	}
	if _, err := newOpener(t, frame.Clear, 7).Open(sealed); !errors.Is(err, frame.ErrSealed) || !errors.Is(err, frame.ErrSuite) {
		t.Errorf("sealed where there is none: %v", err)
	}
	// Its header rewritten to the other suite.
	sealed[8], sealed[10], sealed[11] = 0, 0, 0
	if _, err := newOpener(t, frame.Clear, 7).Open(sealed); !errors.Is(err, frame.ErrChecksum) {
		t.Errorf("sealed, called clear: %v", err)
	}
}

func TestRefusesATruncationAtEveryOctet(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.file, func(t *testing.T) {
			o := newOpener(t, tt.suite, tt.syncID)
			whole := len(goldentest.Read(t, tt.file))
			for n := range whole {
				want := frame.ErrSize
				if n < frame.HeaderSize {
					want = frame.ErrShort
				}
				if body, err := o.Open(goldentest.Read(t, tt.file)[:n]); !errors.Is(err, want) || body != nil {
					t.Errorf("%d of %d bytes: %q, %v; want %v", n, whole, body, err, want)
				}
				if n < frame.HeaderSize {
					continue
				}
				// The same with a Size that fits.
				f := goldentest.Read(t, tt.file)[:n]
				binary.BigEndian.PutUint16(f[2:], uint16(n))
				if body, err := o.Open(f); err == nil || body != nil {
					t.Errorf("%d of %d bytes, Size %d: %q, %v", n, whole, n, body, err)
				}
			}
		})
	}
}

func TestRefusesEverySingleFlippedBit(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.file, func(t *testing.T) {
			o := newOpener(t, tt.suite, tt.syncID)
			for i := range len(goldentest.Read(t, tt.file)) * 8 {
				at := i / 8
				f := goldentest.Read(t, tt.file)
				f[at] ^= 1 << (i % 8)
				var want error
				switch {
				case at == 0 || at == 4 || at == 5:
					want = frame.ErrVersion
				case at == 1 && f[1] == 0:
					want = frame.ErrSyncIDZero
				case at == 1:
					want = frame.ErrForeignSyncID
				case at < 4:
					want = frame.ErrSize
				case at == 8:
					want = frame.ErrSuite
				case at == 9, at < 8 && tt.suite == frame.Sealed, at < 12 && at > 8 && tt.suite == frame.Clear:
					want = frame.ErrReserved
				case tt.suite == frame.Clear:
					want = frame.ErrChecksum
				case at < 12:
					want = frame.ErrKey
				default:
					want = frame.ErrSeal
				}
				if body, err := o.Open(f); !errors.Is(err, want) || body != nil {
					t.Errorf("bit %d of byte %d: %q, %v; want %v", i%8, at, body, err, want)
				}
			}
		})
	}
}

func TestOpensWhatEitherKeySealed(t *testing.T) {
	next, err := frame.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	o, err := frame.NewOpener(7, goldenKey, next)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []frame.Key{goldenKey, next} {
		s, err := frame.NewSealer(7, key, nil)
		if err != nil {
			t.Fatal(err)
		}
		f := seal(t, s, []byte("body"))
		if got := frame.KeyIDOf(f); got != key.ID() {
			t.Errorf("key ID %v, want %v", got, key.ID())
		}
		if body, err := o.Open(f); err != nil || string(body) != "body" {
			t.Errorf("%v: %q, %v", key, body, err)
		}
	}
}

// One in 65,536 pairs of keys has the same ID.
func TestOpensWhatEitherKeyOfOneIDSealed(t *testing.T) {
	var one, two, three frame.Key
	byID := make(map[frame.KeyID]frame.Key)
	for i := uint64(1); !three.Valid(); i++ {
		var octets [frame.KeySize]byte
		binary.BigEndian.PutUint64(octets[:], i)
		key := frame.NewKey(octets)
		switch earlier, ok := byID[key.ID()]; {
		case !ok:
			byID[key.ID()] = key
		case !one.Valid():
			one, two = earlier, key
		case key.ID() == one.ID():
			three = key
		}
	}
	o, err := frame.NewOpener(7, one, two)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		key  frame.Key
		want error
	}{"the first": {one, nil}, "the second": {two, nil}, "neither": {three, frame.ErrSeal}} {
		s, err := frame.NewSealer(7, tt.key, nil)
		if err != nil {
			t.Fatal(err)
		}
		f := seal(t, s, []byte("the body of a frame"))
		body, err := o.Open(f)
		if !errors.Is(err, tt.want) || err == nil && string(body) != "the body of a frame" {
			t.Errorf("sealed with %s: %q, %v", name, body, err)
		}
		if err == nil && &body[0] != &f[frame.Sealed.Head()] {
			t.Errorf("sealed with %s: not opened in place", name)
		}
	}
}

func TestRefusesToBeMade(t *testing.T) {
	for name, tt := range map[string]struct {
		make func() (any, error)
		want error
	}{
		"sealer of sync ID 0":       {func() (any, error) { return frame.NewSealer(0, goldenKey, nil) }, frame.ErrSyncIDZero},
		"clear sealer of sync ID 0": {func() (any, error) { return frame.NewClearSealer(0) }, frame.ErrSyncIDZero},
		"sealer without a key":      {func() (any, error) { return frame.NewSealer(1, frame.Key{}, nil) }, frame.ErrNoKey},
		"opener of sync ID 0":       {func() (any, error) { return frame.NewOpener(0, goldenKey) }, frame.ErrSyncIDZero},
		"clear opener of sync ID 0": {func() (any, error) { return frame.NewClearOpener(0) }, frame.ErrSyncIDZero},
		"opener without keys":       {func() (any, error) { return frame.NewOpener(1) }, frame.ErrNoKey},
		"opener, one no key":        {func() (any, error) { return frame.NewOpener(1, goldenKey, frame.Key{}) }, frame.ErrNoKey},
		"opener of three keys":      {func() (any, error) { return frame.NewOpener(1, goldenKey, goldenKey, goldenKey) }, frame.ErrKeys},
	} {
		if _, err := tt.make(); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

func TestTellsVersionsApart(t *testing.T) {
	for _, tt := range []struct {
		name    string
		message []byte
		want    uint16
	}{
		{"version 2", goldentest.Read(t, "clear.hex"), 2},
		{"version 1", goldentest.Read(t, "../../testdata/tcp.hex"), 1},
		{"version 1, empty", []byte{0, 7, 0, 8, 0, 0, 0xff, 0xf0}, 1},
		{"version 1 with Reserved not zero", []byte{1, 7, 0, 8, 0, 2, 0, 0}, 1},
		{"version 3", []byte{0, 7, 0, 8, 0, 3, 0, 0}, 3},
		{"too short", []byte{0, 7, 0, 8, 0, 2, 0}, 0},
	} {
		if got := frame.VersionOf(tt.message); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestNamesTheOtherVersion(t *testing.T) {
	_, err := newOpener(t, frame.Clear, 1).Open([]byte{0, 1, 0, 12, 0, 3, 0, 0, 0, 0, 0, 0})
	if want := "frame: version 3 of the protocol, this is version 2"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestAllocatesNothingPerFrame(t *testing.T) {
	for _, suite := range []frame.Suite{frame.Clear, frame.Sealed} {
		s, o := newSealer(t, suite, 7, nil), newOpener(t, suite, 7)
		buf := make([]byte, 1480)
		body := buf[suite.Head() : len(buf)-suite.Tail()]
		if n := testing.AllocsPerRun(100, func() {
			f, err := s.Seal(buf[:0], body)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := o.Open(f); err != nil {
				t.Fatal(err)
			}
			f[20]++
			if _, err := o.Open(f); err == nil {
				t.Fatal("opened what was changed")
			}
		}); n != 0 {
			t.Errorf("%v: %v allocations", suite, n)
		}
	}
}

func TestSuitesHaveNames(t *testing.T) {
	if got := fmt.Sprint(frame.Clear, frame.Sealed, frame.Suite(9)); got != "clear sealed suite 9" {
		t.Errorf("got %q", got)
	}
}
