package compact

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
)

// MaxRows is how many rows a table has.
const MaxRows = 256

// Table has the rows that the receiver has, too. The zero value is empty.
type Table[R comparable] struct {
	rows  [MaxRows]R
	taken [MaxRows]uint16 // places in the index
	n     int
	last  int // the row that was used last
	index index
}

// Last returns the row that was used last, and whether it is r.
func (t *Table[R]) Last(r *R) (row int, ok bool) {
	return t.last, t.n > 0 && t.rows[t.last] == *r
}

// Find returns the number of the row that is r, or the number of rows and the
// place where it is to be put.
func (t *Table[R]) Find(r *R, hash uint64) (row, at int) {
	for at = int(hash % slots); ; at = (at + 1) % slots {
		row = int(t.index[at]) - 1
		if row < 0 {
			return t.n, at
		}
		if t.rows[row] == *r {
			return row, at
		}
	}
}

// Add adds a row in the place that Find returned.
func (t *Table[R]) Add(r *R, at int) {
	t.rows[t.n] = *r
	t.taken[t.n] = uint16(at)
	t.n++
	t.index[at] = uint16(t.n)
}

// Use says which row was used last.
func (t *Table[R]) Use(row int) { t.last = row }

// Len returns the number of rows.
func (t *Table[R]) Len() int { return t.n }

// Clear takes all rows out.
func (t *Table[R]) Clear() {
	for _, at := range t.taken[:t.n] {
		t.index[at] = 0
	}
	t.n, t.last = 0, 0
}

// slots is how many places the index of a table has.
const slots = 2 * MaxRows

// index finds rows by their hash: linear probing, at most half full. A place
// has the number of a row and one, 0 where it is free.
type index [slots]uint16

// Seed keeps whoever chooses addresses from choosing ones that collide. 0 is
// none.
type Seed uint64

// NewSeed draws one.
func NewSeed() Seed { return Seed(rand.Uint64()) | 1 }

// Odd constants with bits all over.
const (
	mix1 = 0x9e3779b97f4a7c15
	mix2 = 0xd6e8feb86659fd93
)

// AddrPort hashes an address with its port, and whatever else.
func (s Seed) AddrPort(a netip.AddrPort, other uint64) uint64 {
	addr := a.Addr()
	other ^= uint64(a.Port()) << 48
	var h uint64
	if addr.Is4() {
		p := addr.As4()
		h = uint64(binary.NativeEndian.Uint32(p[:]))
	} else {
		p := addr.As16()
		h = binary.NativeEndian.Uint64(p[8:])
		other ^= binary.NativeEndian.Uint64(p[:])
	}
	return s.Words(h, other)
}

// Words hashes two numbers.
func (s Seed) Words(a, b uint64) uint64 {
	h := (a ^ uint64(s)) * mix1
	h ^= h >> 32
	h = (h ^ b) * mix2
	return h ^ h>>29
}
