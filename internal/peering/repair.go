package peering

import (
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

const (
	nackHead  = block.HeadSize + 20
	nackRange = 12
	// nacksAtOnce bounds how many NACKs one Tick sends for one peer.
	nacksAtOnce = 4
)

func (n *Node) nackDelay() time.Duration { return n.between(nackDelayMin, nackDelayMax) }

// wakeForGaps asks for a Tick when the first gap of a peer is due.
func (n *Node) wakeForGaps(p *peer) {
	if due, ok := p.gaps.next(); ok {
		n.wake(due)
	}
}

// abandonGaps gives up what a peer's gaps are made of for a snapshot of what
// it owns.
func (n *Node) abandonGaps(now time.Time, p *peer) {
	p.gaps.abandon()
	n.counters.Troubles.Add(GapsAbandoned, 1)
	n.tell(GapsGivenUp, p)
	n.wantSnapshot(now, p)
}

// tickNacks asks for what is missing.
func (n *Node) tickNacks(now time.Time) {
	for _, p := range n.peers.all {
		if !p.live() || len(p.gaps.list) == 0 {
			continue
		}
		if p.gaps.exhausted(now) {
			n.abandonGaps(now, p)
			continue
		}
		for range nacksAtOnce {
			if !n.nack(now, p) {
				break
			}
		}
		n.wakeForGaps(p)
	}
}

// nack sends one NACK of what is due, if something is.
func (n *Node) nack(now time.Time, p *peer) bool {
	var ranges [block.MaxRanges]block.Range
	limit := min(len(ranges), (n.room-block.HeaderSize-nackHead)/nackRange)
	count := 0
	for i := range p.gaps.list {
		e := &p.gaps.list[i]
		if e.due.After(now) {
			continue
		}
		if count == limit {
			break
		}
		ranges[count] = block.Range{First: e.first, Count: uint32(e.last - e.first + 1)}
		count++
		e.ask(now, n.between(0, nackDelayMax))
	}
	if count == 0 {
		return false
	}
	body, _ := block.AppendNack(n.begin(), p.id, ranges[:count])
	n.multicast(body)
	n.counters.Counts.Add(SentNacks, 1)
	return true
}

// takeNack answers a NACK of ours, and spares us one of another's.
func (n *Node) takeNack(now time.Time, p *peer, nack *block.Nack) {
	var r block.Range
	if nack.Peer != n.cfg.Self {
		q := n.peers.index[nack.Peer]
		if q == nil || !q.live() {
			return
		}
		for nack.Next(&r) {
			if q.gaps.asked(r.First, r.First+uint64(r.Count)-1, now, n.between(0, nackDelayMax)) {
				n.counters.Counts.Add(Suppressed, 1)
			}
		}
		return
	}
	var gone block.Gone
	for nack.Next(&r) {
		last := r.First + uint64(r.Count) - 1
		if last > n.sequence {
			n.counters.Troubles.Add(NackUnknown, 1)
			if last = n.sequence; r.First > last {
				continue
			}
		}
		if r.First < n.ring.first {
			if gone.First == 0 {
				gone.First = r.First
			}
			gone.Last = min(last, n.ring.first-1)
		}
		n.ring.want(r.First, last, now)
	}
	if gone.First != 0 && (p.gone.IsZero() || now.Sub(p.gone) >= resendInterval) {
		p.gone = now
		body, _ := block.AppendGone(n.begin(), gone)
		n.unicast(p, body)
		n.counters.Counts.Add(SentGone, 1)
	}
	n.wakeForRepairs(now)
}

// takeGone gives up what a peer cannot send again.
func (n *Node) takeGone(now time.Time, p *peer, g block.Gone) {
	if p.gaps.overlaps(g.First, g.Last) {
		n.abandonGaps(now, p)
	}
}

// wakeForRepairs asks for a Tick when the next repair may leave.
func (n *Node) wakeForRepairs(now time.Time) { n.wake(now.Add(n.budget.wait(now))) }

// tickRepairs sends as much of what was asked for as the budget has: in turn
// what is sent again, a chunk of a snapshot, and what this director announces.
func (n *Node) tickRepairs(now time.Time) {
	for n.ring.wanted > 0 || n.donor.pending() || n.announce.walk != nil {
		if !n.budget.take(now) {
			n.wakeForRepairs(now)
			return
		}
		for sent := false; !sent; {
			n.turn = (n.turn + 1) % 3
			switch {
			case n.turn == 0 && n.ring.wanted > 0:
				n.sendAgain(now)
				sent = true
			case n.turn == 1 && n.donor.pending():
				n.sendChunk(now)
				sent = true
			case n.turn == 2 && n.announce.walk != nil:
				n.announceMore(now)
				sent = true
			}
		}
	}
}

func (n *Node) sendAgain(now time.Time) {
	sequence, body, asOf := n.ring.next(now)
	if body == nil {
		return
	}
	block.Stamp(body, sequence, now.Sub(asOf))
	n.multicast(body)
	n.counters.Counts.Add(SentAgain, 1)
}
