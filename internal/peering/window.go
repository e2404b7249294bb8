package peering

// windowSize is how many frame numbers of a peer are remembered.
const windowSize = 4096

// window tells frame numbers that are new from those that were seen, or are
// too old to tell.
type window struct {
	first uint64 // what is lower is older than the proof
	top   uint64 // highest number taken
	seen  [windowSize / 64]uint64
}

// begin starts at a number, which is taken.
func (w *window) begin(number uint64) {
	*w = window{first: number, top: number}
	w.mark(number)
}

// take reports whether a number is new, and remembers it.
func (w *window) take(number uint64) bool {
	switch {
	case number > w.top:
		w.slide(number)
	case number < w.first, w.top-number >= windowSize, w.has(number):
		return false
	}
	w.mark(number)
	return true
}

// slide moves the upper end to a higher number.
func (w *window) slide(number uint64) {
	if number-w.top >= windowSize {
		clear(w.seen[:])
	} else {
		for n := w.top + 1; n < number; n++ {
			w.seen[n/64%uint64(len(w.seen))] &^= 1 << (n % 64)
		}
	}
	w.top = number
}

func (w *window) mark(number uint64) {
	w.seen[number/64%uint64(len(w.seen))] |= 1 << (number % 64)
}

func (w *window) has(number uint64) bool {
	return w.seen[number/64%uint64(len(w.seen))]&(1<<(number%64)) != 0
}
