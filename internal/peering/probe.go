package peering

import (
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

const (
	probeInterval = 30 * time.Second       // between two rounds over all links
	probeSettle   = time.Second            // after a peer is proven, or back
	probeWait     = 250 * time.Millisecond // for the answers

	// probeTries is how often a peer answers the small one and not the large
	// one until the large one does not fit. Simulated, that is an error once
	// in five hours with 30 % loss, in 400 with 10 %, and never with 5 %.
	probeTries = 6
	// probePatience ends a search that comes to nothing.
	probePatience = 3 * probeTries

	probeGrain = 16 // bytes: no search goes on for less

	probeAnswersEvery = time.Second
	probeAnswers      = 16 // to one peer, within that time
)

// prober finds out which bodies the links take, one link after the other, one
// size after the other. With every PROBE of that size goes one of MinRoom: only
// a peer that answers this one says something by not answering the other.
type prober struct {
	due   time.Time // the next round
	limit [maxLinks]int

	probing bool
	link    int
	lo, hi  int  // lo passes; hi does not, or nobody knows
	size    int  // that is tried
	found   bool // that what was in use does not pass
	told    Event

	tries int
	wait  time.Time
	large [probePatience]uint64 // numbers of the frames
	small uint64
}

// probed is what one peer said of the size that is tried.
type probed struct {
	passed   bool
	answers  bool // to small ones
	answered bool // to the last one
	misses   int
}

// Room returns how large a body may be: what was set, or less where a link
// was found not to take that.
func (n *Node) Room() int { return n.room }

// fit makes bodies as large as every link takes.
func (n *Node) fit() {
	n.room = n.cfg.Room
	for _, limit := range n.probe.limit {
		if limit > 0 {
			n.room = min(n.room, limit)
		}
	}
}

// on reports whether a peer is there, and heard on a link.
func (p *peer) on(link int) bool {
	k := &p.links[link]
	return p.live() && !k.heard.IsZero() && !k.silent
}

// probeSoon asks for a round, as there is somebody new, or back.
func (n *Node) probeSoon(now time.Time) {
	if at := now.Add(probeSettle); at.Before(n.probe.due) {
		n.probe.due = at
	}
	n.wake(n.probe.due)
}

// tickProbe goes on where answers have had their time.
func (n *Node) tickProbe(now time.Time) {
	q := &n.probe
	switch {
	case n.cfg.Room <= MinRoom:
		return
	case !q.probing && now.Before(q.due):
		n.wake(q.due)
	case !q.probing:
		q.due = now.Add(probeInterval)
		n.wake(q.due)
		q.probing = true
		n.probeLink(now, 0)
	case now.Before(q.wait):
		n.wake(q.wait)
	default:
		n.judge(now)
	}
}

// probeLink begins with a link, or with the next one that anybody is on.
func (n *Node) probeLink(now time.Time, link int) {
	q := &n.probe
	for ; link < n.cfg.Links; link++ {
		for _, p := range n.peers.all {
			if p.on(link) {
				q.link, q.found, q.lo, q.hi = link, false, MinRoom, n.cfg.Room+1
				n.probeSize(now, n.inUse())
				return
			}
		}
		q.limit[link] = 0 // what is sent there reaches nobody
		n.fit()
	}
	q.probing = false
	n.wake(q.due)
}

// inUse returns the size of the largest bodies that the link is believed to
// take.
func (n *Node) inUse() int {
	if limit := n.probe.limit[n.probe.link]; limit > 0 {
		return min(limit, n.cfg.Room)
	}
	return n.cfg.Room
}

func (n *Node) probeSize(now time.Time, size int) {
	q := &n.probe
	q.size, q.tries = size, 0
	for _, p := range n.peers.all {
		p.links[q.link].probed = probed{}
	}
	n.sendProbes(now)
}

func (n *Node) sendProbes(now time.Time) {
	q := &n.probe
	q.large[q.tries] = n.sendProbe(q.size)
	q.small = n.sendProbe(MinRoom)
	q.tries++
	q.wait = now.Add(probeWait)
	n.wake(q.wait)
	for _, p := range n.peers.all {
		p.links[q.link].probed.answered = false
	}
}

// sendProbe returns the number of the frame.
func (n *Node) sendProbe(size int) uint64 {
	body, _ := block.AppendProbe(n.begin(), size-block.HeaderSize)
	n.head(body)
	n.Network.Probe(n.probe.link, body)
	n.counters.Counts.Add(SentProbes, 1)
	return n.number
}

// takeProbe answers: the news is that it came.
func (n *Node) takeProbe(now time.Time, p *peer, number uint64) {
	if !p.probes.pass(now, probeAnswersEvery, probeAnswers) {
		n.counters.Troubles.Add(ProbesIgnored, 1)
		return
	}
	body, _ := block.AppendProbeAck(n.begin(), &block.ProbeAck{Peer: p.id, Number: number})
	n.unicast(p, body)
	n.counters.Counts.Add(SentProbeAcks, 1)
}

// takeProbeAck notes an answer. One that is late is as good for the large ones.
func (n *Node) takeProbeAck(now time.Time, p *peer, a *block.ProbeAck) {
	q := &n.probe
	if a.Peer != n.cfg.Self || !q.probing {
		return
	}
	k := &p.links[q.link].probed
	if a.Number == q.small {
		k.answers, k.answered = true, true
	}
	for _, number := range q.large[:q.tries] {
		k.passed = k.passed || a.Number == number
	}
	if k.passed && n.everybodyPassed() {
		q.wait = now
		n.wake(now)
	}
}

func (n *Node) everybodyPassed() bool {
	for _, p := range n.peers.all {
		if p.on(n.probe.link) && !p.links[n.probe.link].probed.passed {
			return false
		}
	}
	return true
}

// judge decides whether a size passes, does not, or is to be tried again.
func (n *Node) judge(now time.Time) {
	q := &n.probe
	var failing *peer
	some, pending := false, false
	for _, p := range n.peers.all {
		if !p.on(q.link) {
			continue
		}
		k := &p.links[q.link].probed
		some = some || k.passed
		if k.passed {
			continue
		}
		if k.answered {
			if k.misses++; k.misses >= probeTries {
				failing = p
			}
		}
		// Who never answers anything is not waited for.
		pending = pending || k.answers || q.tries < probeTries
	}
	switch {
	case failing != nil:
		n.probeFailed(now, failing)
	case some && !pending:
		n.probePassed(now)
	case q.tries < probePatience:
		n.sendProbes(now)
	default: // nobody knows
		n.probeEnded(now)
	}
}

// probeFailed falls back to what passes, at once where it is needed.
func (n *Node) probeFailed(now time.Time, p *peer) {
	q := &n.probe
	if q.size == n.inUse() && !q.found {
		q.found = true
		q.limit[q.link] = MinRoom
		n.fit()
		q.told = n.event(MTUTooSmall, p)
		q.told.Origin.Link = q.link
		n.counters.Troubles.Add(LinksNarrow, 1)
	}
	q.hi = q.size
	n.search(now)
}

func (n *Node) probePassed(now time.Time) {
	n.probe.lo = n.probe.size
	n.search(now)
}

// search tries the next size: all that there is room for, and then the middle.
func (n *Node) search(now time.Time) {
	q := &n.probe
	switch {
	case q.lo == n.cfg.Room:
		n.probeEnded(now)
	case q.hi > n.cfg.Room:
		n.probeSize(now, n.cfg.Room)
	case q.hi-q.lo <= probeGrain:
		n.probeEnded(now)
	default:
		n.probeSize(now, (q.lo+q.hi)/2)
	}
}

// probeEnded keeps what was found, and goes on with the next link.
func (n *Node) probeEnded(now time.Time) {
	q := &n.probe
	limited := q.limit[q.link] > 0
	if limited {
		if q.limit[q.link] = max(q.lo, q.limit[q.link]); q.lo == n.cfg.Room {
			q.limit[q.link] = 0
		}
		n.fit()
	}
	switch {
	case q.found:
		q.told.Room = q.lo
		n.Observer.Event(q.told)
	case limited && q.limit[q.link] == 0:
		e := Event{Kind: MTUBack, Room: n.cfg.Room}
		e.Origin.Link = q.link
		n.Observer.Event(e)
	}
	n.probeLink(now, q.link+1)
}
