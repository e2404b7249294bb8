package advert

import (
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// Reader goes through the entries of one class in a frame.
type Reader struct {
	// Entries of the block that are not yet taken. Who takes one cuts it off.
	Entries []byte
	// Held is how long they were held.
	Held time.Duration

	class   block.Class
	adverts block.Blocks // behind the one that entries are taken from
	left    int          // in that one
	atLeast time.Duration
	total   int

	rows rows
	// Rows that the entries which were taken have defined. Parents are within
	// what a destination has, and need no count.
	nextDest, nextProfile int
}

// Reset checks all ADVERT blocks of the class, which it refers to. Where one is
// broken there is nothing to be taken of any.
func (r *Reader) Reset(class block.Class, blocks block.Blocks, t Tables) error {
	r.class, r.adverts, r.left, r.total = class, block.Blocks{}, 0, 0
	r.Entries, r.Held, r.atLeast = nil, 0, 0
	var first, a block.Advert
	var behind block.Blocks
	total := 0
	for blocks.NextAdvert(class, &a) {
		if first.Count == 0 {
			first, behind = a, blocks
		} else if err := r.rows.load(t, a.Entries, a.Count); err != nil {
			return err
		}
		total += a.Count
	}
	if first.Count == 0 {
		return nil
	}
	// Last, because the tables of the ADVERT that was loaded last are those
	// that stay: of one that comes later they are made again.
	if err := r.rows.load(t, first.Entries, first.Count); err != nil {
		return err
	}
	r.begin(&first)
	r.adverts, r.total = behind, total
	return nil
}

// begin takes entries from a block that was loaded.
func (r *Reader) begin(a *block.Advert) {
	r.Entries, r.left, r.Held = a.Entries, a.Count, max(a.Held, r.atLeast)
	r.nextDest, r.nextProfile = 0, 0
}

// HeldAtLeast says how long the entries of the frame were held at least. It
// comes after Reset, and before the first entry is taken.
func (r *Reader) HeldAtLeast(held time.Duration) {
	r.atLeast = held
	r.Held = max(r.Held, held)
}

// Count returns the number of entries in the frame.
func (r *Reader) Count() int { return r.total }

// Next reports whether there is an entry to take, at the start of Entries.
func (r *Reader) Next(t Tables) bool {
	if r.left == 0 && !r.advance(t) {
		return false
	}
	r.left--
	return true
}

// Rows returns the rows of the entry, and what it has behind them. It comes once
// after each Next.
func (r *Reader) Rows() (dest, profile uint8, behind []byte) {
	p := r.Entries
	dest = p[0]
	p = p[IndexSize:]
	if int(dest) == r.nextDest {
		p = p[r.rows.dests[dest].Size:]
		r.nextDest++
	}
	profile = p[0]
	p = p[IndexSize:]
	if int(profile) == r.nextProfile {
		p = p[r.rows.profiles[profile].Size:]
		r.nextProfile++
	}
	return dest, profile, p
}

// advance goes on to the next block that has entries.
func (r *Reader) advance(t Tables) bool {
	var a block.Advert
	for r.left == 0 {
		if !r.adverts.NextAdvert(r.class, &a) || r.rows.load(t, a.Entries, a.Count) != nil { // Reset has loaded it before
			return false
		}
		r.begin(&a)
	}
	return true
}
