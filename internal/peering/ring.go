package peering

import "time"

// What a director keeps of what it sent, to send it again.
const (
	ringFrames       = 4096
	defaultRingBytes = 4 << 20
	resendInterval   = 100 * time.Millisecond // once in, however many ask
	pageSize         = 4 << 10                // or more
)

// ring keeps the last bodies that were sent, in one piece of memory: each in
// one stretch, so that it can be sent from there.
type ring struct {
	buf   []byte
	head  int // where the next one goes
	slots [ringFrames]kept

	first, last uint64 // sequences; none where first is the higher one
	wanted      int    // how many are to be sent again
	low         uint64 // no lower one is
}

// kept is one body.
type kept struct {
	at, size int
	asOf     time.Time // that its ages are true for
	again    time.Time // that it was sent again; zero: never
	wanted   bool
}

// newRing has the kernel give all of the memory at once: a director that has
// room for it when it starts has it for good, and does not grow by it later.
func newRing(size int) *ring {
	r := &ring{buf: make([]byte, size), first: 1}
	for at := 0; at < size; at += pageSize {
		r.buf[at] = 0xff
	}
	return r
}

func (r *ring) slot(sequence uint64) *kept { return &r.slots[sequence%ringFrames] }

// put keeps the body of the next sequence. One that does not fit at all leaves
// the ring empty.
func (r *ring) put(sequence uint64, body []byte, asOf time.Time) {
	if len(body) > len(r.buf) || sequence != r.last+1 {
		r.drop(r.last)
		r.first, r.last, r.head = sequence+1, sequence, 0
		return
	}
	if r.head+len(body) > len(r.buf) {
		// What is behind the head is the oldest: it goes with the rest of
		// the memory there, which stays unused.
		for r.first <= r.last && r.slot(r.first).at >= r.head {
			r.drop(r.first)
		}
		r.head = 0
	}
	for r.first <= r.last && (r.last-r.first+1 >= ringFrames || r.overlaps(r.first, len(body))) {
		r.drop(r.first)
	}
	*r.slot(sequence) = kept{at: r.head, size: copy(r.buf[r.head:], body), asOf: asOf}
	r.head += len(body)
	r.last = sequence
}

// overlaps reports whether a body is where size bytes are to go.
func (r *ring) overlaps(sequence uint64, size int) bool {
	s := r.slot(sequence)
	return s.at < r.head+size && s.at+s.size > r.head
}

// drop forgets the sequences up to one.
func (r *ring) drop(last uint64) {
	for ; r.first <= last; r.first++ {
		if s := r.slot(r.first); s.wanted {
			s.wanted = false
			r.wanted--
		}
	}
}

// want marks sequences to be sent again. It returns how many of them are, or
// were recently.
func (r *ring) want(first, last uint64, now time.Time) (marked, recent int) {
	first, last = max(first, r.first), min(last, r.last)
	for q := first; q <= last; q++ {
		s := r.slot(q)
		if s.wanted || !s.again.IsZero() && now.Sub(s.again) < resendInterval {
			recent++
			continue
		}
		if r.wanted == 0 || q < r.low {
			r.low = q
		}
		s.wanted = true
		r.wanted++
		marked++
	}
	return marked, recent
}

// next takes out the lowest sequence that is to be sent again. Its body is
// where it is kept.
func (r *ring) next(now time.Time) (sequence uint64, body []byte, asOf time.Time) {
	for q := max(r.low, r.first); q <= r.last; q++ {
		if s := r.slot(q); s.wanted {
			s.wanted, s.again = false, now
			r.wanted--
			r.low = q + 1
			return q, r.buf[s.at : s.at+s.size], s.asOf
		}
	}
	return 0, nil, time.Time{}
}
