package ctentry_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/wire/ctentry"
)

// What entries are put together from.
var (
	zero    = []byte{0}
	path4   = []byte{0, 17}
	path6   = []byte{1, 17}
	pathTCP = []byte{0, 6}
	sctp    = []byte{0, 132}
	snat    = []byte{8, 17, 203, 0, 113, 1}
	dnat    = []byte{16, 17}
	to      = []byte{0, 53, 198, 51, 100, 1}
	to6     = append([]byte{0, 53}, make([]byte, 16)...)
	from    = []byte{4, 0, 192, 0, 2, 1}
	from6   = append([]byte{4, 0}, make([]byte, 16)...)
	age     = []byte{5}
)

func profile(options byte, more ...byte) []byte {
	return append([]byte{0, 0, 0, 8, 0, options, 0, 0, 0x75, 0x30}, more...)
}

// in has a profile of another state than 0.
func in(state byte, profile []byte) []byte {
	profile[4] = state
	return profile
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func first(path, to, from []byte, profile []byte) []byte {
	return join(zero, zero, path, to, zero, profile, from, age)
}

func TestABrokenAdvertIsRefusedWhole(t *testing.T) {
	good := first(path4, to, from, profile(0))
	again := join(zero, zero, from, age)
	for _, tt := range []struct {
		name    string
		count   int
		entries []byte
		want    error
	}{
		{"good", 2, join(good, again), nil},
		{"good with everything", 1, join(zero, zero, []byte{0x1e, 132, 0, 1, 0, 2, 203, 0, 113, 1}, to, to, zero,
			profile(0x1b, 0, 0, 0, 9), from, []byte{0, 7}, age, make([]byte, 24+8), []byte{0, 0}), nil},
		{"none", 1, nil, ctentry.ErrCount},
		{"too few", 3, join(good, again), ctentry.ErrCount},
		{"too many", 1, join(good, again), ctentry.ErrCount},
		{"cut off", 1, good[:len(good)-1], ctentry.ErrTruncated},
		{"destination index", 1, join([]byte{1}, good[1:]), ctentry.ErrIndex},
		{"path index", 1, join(zero, []byte{1}, good[2:]), ctentry.ErrIndex},
		{"profile index", 1, join(zero, zero, path4, to, []byte{1}, profile(0), from, age), ctentry.ErrIndex},
		{"shape", 1, first([]byte{0x20, 17}, to, from, profile(0)), ctentry.ErrReserved},
		{"options", 1, first(path4, to, from, profile(0x20)), ctentry.ErrReserved},
		{"zone 0", 1, first([]byte{2, 17, 0, 0}, to, from, profile(0)), ctentry.ErrZone},
		{"zone 0 of the reply", 1, first([]byte{6, 17, 0, 1, 0, 0}, to, from, profile(0)), ctentry.ErrZone},
		{"zone cut off", 1, join(zero, zero, []byte{2, 17, 1}, make([]byte, 0)), ctentry.ErrTruncated},
		{"translated destination cut off", 1, join(zero, zero, dnat, to, to[:5]), ctentry.ErrTruncated},
		{"translated source cut off", 2, join(first(snat, to, from, profile(0)), zero, zero, from, []byte{0}), ctentry.ErrTruncated},
		{"mark cut off", 1, join(zero, zero, path4, to, zero, profile(2, 0, 0, 0)), ctentry.ErrTruncated},
		{"adjustments cut off", 1, join(first(path4, to, from, profile(8)), make([]byte, 23)), ctentry.ErrTruncated},
		{"tags cut off", 1, join(first(sctp, to, from, profile(16)), make([]byte, 7)), ctentry.ErrTruncated},
		{"age too long", 1, join(good[:len(good)-1], []byte{0x80, 0}), ctentry.ErrVarint},
		{"age over 32 bits", 1, join(good[:len(good)-1], []byte{0xff, 0xff, 0xff, 0xff, 0x1f}), ctentry.ErrVarint},
		{"age cut off", 1, join(good[:len(good)-1], []byte{0xff, 0xff}), ctentry.ErrTruncated},
		{"fields cut off", 1, join(first(path4, to, from, profile(1)), []byte{0, 3, 9, 0}), ctentry.ErrTruncated},
		{"field behind the fields", 1, join(first(path4, to, from, profile(1)), []byte{0, 3, 9, 2, 0}), ctentry.ErrFields},
		{"head of a field cut off", 1, join(first(path4, to, from, profile(1)), []byte{0, 1, 9}), ctentry.ErrFields},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var d ctentry.Decoder
			// Behind a good one: nothing of the frame is applied.
			blocks := append(advertOf(t, 1, good), advertOf(t, tt.count, tt.entries)...)
			err := d.Reset(blocksOf(t, blocks, 1, 0))
			if !errors.Is(err, tt.want) || tt.want != nil && !errors.Is(err, ctentry.ErrMalformed) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if n := len(take(&d)); (n > 0) != (tt.want == nil) {
				t.Errorf("%d entries", n)
			}
		})
	}
}

func TestAnEntryIsRefusedAlone(t *testing.T) {
	fields := func(p ...byte) []byte { return append([]byte{0, byte(len(p))}, p...) }
	labels := append([]byte{1, 16}, make([]byte, 16)...)
	for _, tt := range []struct {
		name  string
		entry []byte
		want  ctentry.Refusals
	}{
		{"nothing", first(path4, to, from, profile(0)), ctentry.Refusals{}},
		{"an unknown field", join(first(path4, to, from, profile(1)), fields(9, 1, 0)), ctentry.Refusals{}},
		{"an unknown mandatory field", join(first(path4, to, from, profile(1)), fields(0x81, 0)), ctentry.Refusals{UnknownField: 1}},
		{"a field twice", join(first(path4, to, from, profile(1)), fields(append(labels, labels...)...)), ctentry.Refusals{DuplicateField: 1}},
		{"an unknown field twice", join(first(path4, to, from, profile(1)), fields(9, 0, 9, 0)), ctentry.Refusals{DuplicateField: 1}},
		{"labels of 8 bytes", join(first(path4, to, from, profile(1)), fields(append([]byte{1, 8}, make([]byte, 8)...)...)), ctentry.Refusals{Field: 1}},
		{"a helper without a name", join(first(path4, to, from, profile(1)), fields(2, 0)), ctentry.Refusals{Field: 1}},
		{"a helper with a zero", join(first(path4, to, from, profile(1)), fields(2, 1, 0)), ctentry.Refusals{Field: 1}},
		{"SYNPROXY of 4 bytes", join(first(path4, to, from, profile(1)), fields(3, 4, 0, 0, 0, 0)), ctentry.Refusals{Field: 1}},
		{"UDP with what TCP has", first(path4, to, from, profile(4, 0, 0, 0)), ctentry.Refusals{Protocol: 1}},
		{"TCP without it", first(pathTCP, to, from, profile(0)), ctentry.Refusals{Protocol: 1}},
		{"UDP with a state", first(path4, to, from, in(1, profile(0))), ctentry.Refusals{Protocol: 1}},
		{"TCP in its last state", first(pathTCP, to, from, in(9, profile(4, 0, 0, 0))), ctentry.Refusals{}},
		{"TCP in one behind it", first(pathTCP, to, from, in(10, profile(4, 0, 0, 0))), ctentry.Refusals{Protocol: 1}},
		{"SCTP in its last state", join(first(sctp, to, from, in(8, profile(16))), make([]byte, 8)), ctentry.Refusals{}},
		{"SCTP in one behind it", join(first(sctp, to, from, in(9, profile(16))), make([]byte, 8)), ctentry.Refusals{Protocol: 1}},
		{"a window scale of 15", first(pathTCP, to, from, profile(4, 0x0f, 0, 0)), ctentry.Refusals{Protocol: 1}},
		{"SCTP without tags", first(sctp, to, from, profile(0)), ctentry.Refusals{Protocol: 1}},
		{"UDP with tags", join(first(path4, to, from, profile(16)), make([]byte, 8)), ctentry.Refusals{Protocol: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			good := first(path6, to6, from6, profile(0))
			blocks := join(advertOf(t, 1, good), advertOf(t, 1, tt.entry), advertOf(t, 1, good))
			var d ctentry.Decoder
			if err := d.Reset(blocksOf(t, blocks, 1, 0)); err != nil {
				t.Fatal(err)
			}
			got := take(&d)
			if d.Refusals() != tt.want || len(got) != 3-tt.want.Total() || d.Count() != 3 {
				t.Errorf("%d entries, refused %+v", len(got), d.Refusals())
			}
		})
	}
}

func TestOtherClassesAreNotLookedAt(t *testing.T) {
	other := advertOf(t, 1, []byte{0xff})
	other[4] = 1
	list := []conntrack.Entry{plain(0)}
	if got := decode(t, join(other, encode(t, list...), other)); !slices.Equal(got, list) {
		t.Errorf("got %v", got)
	}
}
