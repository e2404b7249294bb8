package advert

import (
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/compact"
)

// Tables are what the entries of one block refer to.
type Tables interface {
	// Load proves that there are count entries and nothing else, and makes
	// the tables, complete. Its errors are those of this package.
	Load(entries []byte, count int) error
	// Rewind says that entries are taken from the first one on.
	Rewind()
}

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
}

// Reset checks all ADVERT blocks of the class, which it refers to. Where one is
// broken there is nothing to be taken of any.
func (r *Reader) Reset(class block.Class, blocks block.Blocks, t Tables) error {
	*r = Reader{class: class}
	var first, a block.Advert
	var behind block.Blocks
	total := 0
	for blocks.NextAdvert(class, &a) {
		if first.Count == 0 {
			first, behind = a, blocks
		} else if err := t.Load(a.Entries, a.Count); err != nil {
			return err
		}
		total += a.Count
	}
	if first.Count == 0 {
		return nil
	}
	// Last, because the tables of the ADVERT that was loaded last are those
	// that stay: of one that comes later they are made again.
	if err := t.Load(first.Entries, first.Count); err != nil {
		return err
	}
	r.begin(&first, t)
	r.adverts, r.total = behind, total
	return nil
}

// begin takes entries from a block that was loaded.
func (r *Reader) begin(a *block.Advert, t Tables) {
	r.Entries, r.left, r.Held = a.Entries, a.Count, max(a.Held, r.atLeast)
	t.Rewind()
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

// advance goes on to the next block that has entries.
func (r *Reader) advance(t Tables) bool {
	var a block.Advert
	for r.left == 0 {
		if !r.adverts.NextAdvert(r.class, &a) || t.Load(a.Entries, a.Count) != nil { // Reset has loaded it before
			return false
		}
		r.begin(&a, t)
	}
	return true
}

// VarintSize returns the size of the number at the start of p.
func VarintSize(p []byte) (int, error) {
	_, n := compact.Varint(p)
	switch {
	case n != 0:
		return n, nil
	case compact.CutOff(p):
		return 0, ErrTruncated
	}
	return 0, ErrVarint
}
