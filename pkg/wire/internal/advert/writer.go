package advert

import (
	"math"
	"slices"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// HeadSize is what a block has before its entries, in bytes.
const HeadSize = block.HeadSize + block.AdvertHeaderSize

// Writer puts entries of one class into blocks of a frame.
type Writer struct {
	// Buf is the frame so far. Who adds an entry writes behind it, and says
	// so by Added.
	Buf []byte

	class block.Class
	limit int // of Buf
	start int // of the block that is being filled
	count int // entries in it
	total int // entries in all blocks
}

// Reset begins a frame behind buf, which must not become longer than limit, and
// its first block. It reports whether there is room for so many bytes.
func (w *Writer) Reset(class block.Class, buf []byte, limit, room int) bool {
	*w = Writer{class: class}
	limit = min(limit, block.MaxLength)
	if limit-len(buf) < room {
		return false
	}
	w.Buf = slices.Grow(buf, limit-len(buf))
	w.limit = limit
	w.begin()
	return true
}

func (w *Writer) begin() {
	w.start = len(w.Buf)
	w.Buf = block.BeginAdvert(w.Buf, w.class)
	w.count = 0
}

// Another completes the block, and begins another one.
func (w *Writer) Another() {
	w.end()
	w.begin()
}

// end completes the block that is being filled.
func (w *Writer) end() {
	// A block is within a frame, and has an entry: it cannot fail.
	_ = block.EndAdvert(w.Buf, w.start, w.count)
}

// Begun reports whether there was a Reset, and it succeeded.
func (w *Writer) Begun() bool { return w.limit != 0 }

// Room returns how many bytes are left.
func (w *Writer) Room() int { return w.limit - len(w.Buf) }

// BlockFull reports whether the block has as many entries as it can count.
func (w *Writer) BlockFull() bool { return w.count == math.MaxUint16 }

// Next returns the memory of the next entry. There is room for it.
func (w *Writer) Next(size int) []byte {
	at := len(w.Buf)
	return w.Buf[at : at+size : at+size]
}

// Added says that an entry was written to what Next returned.
func (w *Writer) Added(size int) {
	w.Buf = w.Buf[:len(w.Buf)+size]
	w.count++
	w.total++
}

// Count returns the number of entries in the frame.
func (w *Writer) Count() int { return w.total }

// Finish completes the blocks, and returns the frame, nil where it has got no
// entries. It may be called again after further ones.
func (w *Writer) Finish() []byte {
	if w.total == 0 {
		return nil
	}
	w.end()
	return w.Buf
}
