package peering

import (
	"slices"
	"time"
)

// How a missing sequence is asked for.
const (
	nackDelayMin = 10 * time.Millisecond // random, before the first NACK
	nackDelayMax = 50 * time.Millisecond
	nackRetryMin = 100 * time.Millisecond // doubling
	nackRetryMax = 1600 * time.Millisecond
	nackTries    = 5
	maxMissing   = 1024 // of one peer; more are given up
)

// gap is a run of sequences that are missing.
type gap struct {
	first, last uint64
	noted       time.Time // that they are missing
	due         time.Time // to be asked for
	tries       int       // that it was asked for
}

// gaps knows which sequences of a peer came. The zero value waits for none.
type gaps struct {
	known   bool
	start   uint64 // the first one that is waited for
	top     uint64 // the highest one that is known of
	missing int
	list    []gap // ascending, without overlap

	// Of the peer, for people; begin leaves them.
	missed   uint64 // sequences that others came before: late or lost
	repaired uint64 // of these, those that came after all
}

// arrival is what a sequence is to what came before.
type arrival int

const (
	fresh    arrival = iota // not here yet
	early                   // sent before what is waited for: it may be here or not
	repeated                // here already
	overrun                 // not here yet, and too many are missing: they are given up
)

// begin waits for the sequences from first on, and for none before.
func (g *gaps) begin(first uint64) {
	*g = gaps{known: true, start: first, top: first - 1, list: g.list[:0], missed: g.missed, repaired: g.repaired}
}

// abandon gives up what is missing.
func (g *gaps) abandon() { g.missing, g.list = 0, g.list[:0] }

// receive takes the sequence of a frame that came. What is missing below it is
// due to be asked for at due. Where the sequence was missed before, noted is
// since when.
func (g *gaps) receive(sequence uint64, now, due time.Time) (a arrival, noted time.Time) {
	switch {
	case sequence > g.top:
		over := !g.extend(sequence-1, now, due)
		g.top = sequence
		if over {
			return overrun, noted
		}
		return fresh, noted
	case sequence < g.start:
		return early, noted
	}
	if noted, ok := g.fill(sequence); ok {
		return fresh, noted
	}
	return repeated, noted
}

// inOrder reports whether a sequence is the one that comes next.
func (g *gaps) inOrder(sequence uint64) bool { return sequence == g.top+1 }

// extend says that all sequences up to last were sent. It returns false where
// too many are missing now: then all are given up.
func (g *gaps) extend(last uint64, now, due time.Time) bool {
	if last <= g.top {
		return true
	}
	first := g.top + 1
	n := last - g.top
	g.top = last
	g.missed += n
	if n > maxMissing || g.missing+int(n) > maxMissing {
		g.abandon()
		return false
	}
	g.missing += int(n)
	g.list = append(g.list, gap{first: first, last: last, noted: now, due: due})
	return true
}

// fill takes a sequence out of a gap, and returns since when it is missing, or
// false where it is in none.
func (g *gaps) fill(sequence uint64) (noted time.Time, ok bool) {
	i, ok := slices.BinarySearchFunc(g.list, sequence, func(e gap, s uint64) int {
		switch {
		case e.last < s:
			return -1
		case e.first > s:
			return 1
		}
		return 0
	})
	if !ok {
		return time.Time{}, false
	}
	g.missing--
	g.repaired++
	noted = g.list[i].noted
	switch e := &g.list[i]; {
	case e.first == e.last:
		g.list = slices.Delete(g.list, i, i+1)
	case e.first == sequence:
		e.first++
	case e.last == sequence:
		e.last--
	default:
		upper := *e
		upper.first = sequence + 1
		e.last = sequence - 1
		g.list = slices.Insert(g.list, i+1, upper)
	}
	return noted, true
}

// overlaps reports whether one of these sequences is missing.
func (g *gaps) overlaps(first, last uint64) bool {
	for i := range g.list {
		if g.list[i].first <= last && g.list[i].last >= first {
			return true
		}
	}
	return false
}

// asked notes a NACK of another receiver: a gap that it covers, and that was
// to be asked for soon, need not be.
func (g *gaps) asked(first, last uint64, now time.Time, jitter time.Duration) (suppressed bool) {
	for i := range g.list {
		e := &g.list[i]
		if e.first >= first && e.last <= last && e.tries < nackTries && e.due.Sub(now) <= nackDelayMax {
			e.ask(now, jitter)
			suppressed = true
		}
	}
	return suppressed
}

// ask plans the next NACK behind one at this time.
func (e *gap) ask(now time.Time, jitter time.Duration) {
	e.due = now.Add(min(nackRetryMin<<e.tries, nackRetryMax) + jitter)
	e.tries++
}

// retry asks for everything anew: the peer was away.
func (g *gaps) retry(due time.Time) {
	for i := range g.list {
		g.list[i].tries, g.list[i].due = 0, due
	}
}

// exhausted reports whether a gap was asked for as often as it is.
func (g *gaps) exhausted(now time.Time) bool {
	for i := range g.list {
		if e := &g.list[i]; e.tries >= nackTries && !e.due.After(now) {
			return true
		}
	}
	return false
}

// next returns when the first gap is due.
func (g *gaps) next() (due time.Time, ok bool) {
	for i := range g.list {
		if e := &g.list[i]; !ok || e.due.Before(due) {
			due, ok = e.due, true
		}
	}
	return due, ok
}

// since returns since when a sequence is waited for; zero: none is.
func (g *gaps) since() (noted time.Time) {
	for i := range g.list {
		if e := &g.list[i]; noted.IsZero() || e.noted.Before(noted) {
			noted = e.noted
		}
	}
	return noted
}

// lowest returns the first sequence that is not here.
func (g *gaps) lowest() uint64 {
	if len(g.list) > 0 {
		return g.list[0].first
	}
	return g.top + 1
}
