package peering

import (
	"encoding/binary"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

const (
	challengeInterval = 100 * time.Millisecond // the shortest between two to one peer, and two ECHOs
	// challengeBurst is how many peers are challenged at once, within that
	// time: recorded frames of many starts draw no more.
	challengeBurst = 16

	// A start that is heard so long after another one of its sender ID was
	// proven is no restart.
	twinGrace = time.Second
)

// limiter lets a number of events pass in each interval.
type limiter struct {
	since time.Time
	count int
}

func (l *limiter) pass(now time.Time, interval time.Duration, most int) bool {
	if l.since.IsZero() || now.Sub(l.since) >= interval {
		*l = limiter{since: now}
	}
	l.count++
	return l.count <= most
}

// examine looks at a frame of a peer whose freshness is not proven. A good
// ECHO in it is the proof: then the frame is a fresh one. Any other one that was
// sent before what came already may be a replay: it decides nothing.
func (n *Node) examine(now time.Time, p *peer, from Origin, body *block.Body) {
	p.heard = now
	newer := body.Number > p.newest
	if newer {
		p.newest, p.origin = body.Number, from
	}
	var b block.Block
	for blocks := body.Blocks(); blocks.Next(&b); {
		if b.Type != block.TypeEcho {
			continue
		}
		e, _ := b.Challenge()
		switch {
		case e.Peer != n.cfg.Self: // another's
		case p.challenged.IsZero() || e.Challenge != p.challenge:
			n.counters.Troubles.Add(EchoWrong, 1)
		default:
			p.origin = from
			n.prove(now, p, body.Number)
			p.links.begin(now, p.origin.Link, body.Number)
			n.take(now, p, body)
			return
		}
	}
	for blocks := body.Blocks(); blocks.Next(&b); {
		n.examineBlock(now, p, b, newer)
	}
	if p.challenged.IsZero() && n.heartbeat.challenges.pass(now, challengeInterval, challengeBurst) {
		n.draw(p)
		n.challenge(now, p)
	}
}

// waiting challenges a peer anew that asks for a snapshot: it takes us for
// proven, so a challenge or an echo was lost.
func (n *Node) waiting(now time.Time, p *peer, r *block.SnapshotRequest) {
	if r.Peer == n.cfg.Self && !p.challenged.IsZero() && now.Sub(p.challenged) >= challengeInterval &&
		n.heartbeat.challenges.pass(now, challengeInterval, challengeBurst) {
		n.challenge(now, p)
	}
}

// examineBlock does the little that a block of an unproven peer may do. What is
// not newer than the others that came is not answered.
func (n *Node) examineBlock(now time.Time, p *peer, b block.Block, newer bool) {
	trouble := UnprovenOther
	switch b.Type {
	case block.TypeHeartbeat:
		h, _ := b.Heartbeat()
		p.setName(h.Name)
		return
	case block.TypeChallenge:
		if c, _ := b.Challenge(); newer || c.Peer != n.cfg.Self { // others' are counted
			n.takeChallenge(now, p, &c)
		}
		return
	case block.TypeEcho:
		return
	case block.TypeAdvert:
		trouble = UnprovenAdvert
	case block.TypeNack:
		trouble = UnprovenNack
	case block.TypeGone:
		trouble = UnprovenGone
	case block.TypeSnapshotRequest:
		trouble = UnprovenRequest
		if r, _ := b.SnapshotRequest(); newer {
			n.waiting(now, p, &r)
		}
	case block.TypeSnapshotChunk:
		trouble = UnprovenChunk
	case block.TypeSnapshotAck:
		trouble = UnprovenAck
	case block.TypeQuery:
		trouble = UnprovenQuery
	case block.TypeAnswer, block.TypeLastAdverts:
		trouble = UnprovenAnswer
	}
	n.counters.Troubles.Add(trouble, 1)
}

// draw sets the challenge of a peer.
func (n *Node) draw(p *peer) {
	binary.BigEndian.PutUint64(p.challenge[:8], n.Random.Uint64())
	binary.BigEndian.PutUint64(p.challenge[8:], n.Random.Uint64())
}

// challenge asks one peer at once, and says who we are.
func (n *Node) challenge(now time.Time, p *peer) {
	p.challenged = now
	body, _ := block.AppendChallenge(n.appendHeartbeat(n.begin()), &block.Challenge{Peer: p.id, Challenge: p.challenge})
	n.unicast(p, body)
	n.counters.Counts.Add(SentChallenges, 1)
}

// takeChallenge echoes, with a heartbeat: it says from which sequence on the
// challenger can wait for ours.
func (n *Node) takeChallenge(now time.Time, p *peer, c *block.Challenge) {
	switch {
	case c.Peer.Sender != n.cfg.Self.Sender:
		return
	case c.Peer.Start != n.cfg.Self.Start:
		// Also what a clone of this director is asked.
		n.counters.Troubles.Add(ChallengeStale, 1)
		return
	case !p.echoed.IsZero() && now.Sub(p.echoed) < challengeInterval:
		return
	}
	p.echoed = now
	body, _ := block.AppendEcho(n.appendHeartbeat(n.begin()), &block.Challenge{Peer: p.id, Challenge: c.Challenge})
	if !p.proven {
		// Here, too: what we sent before the ECHO is older than the proof to
		// the peer if it comes later, and a challenge would be dropped.
		if p.challenged.IsZero() {
			n.draw(p)
		}
		p.challenged = now
		body, _ = block.AppendChallenge(body, &block.Challenge{Peer: p.id, Challenge: p.challenge})
		n.counters.Counts.Add(SentChallenges, 1)
	}
	n.unicast(p, body)
	n.counters.Counts.Add(SentEchoes, 1)
}

// prove takes frames of a peer from this number on.
func (n *Node) prove(now time.Time, p *peer, number uint64) {
	p.proven, p.provenAt = true, now
	p.window.begin(number)
	for _, q := range n.peers.all {
		if q != p && q.id.Sender == p.id.Sender && q.live() {
			q.superseded = now
			n.wake(q.over())
		}
	}
	n.counters.Counts.Add(Proofs, 1)
	n.tell(PeerProven, p)
	n.join.proof(now)
	n.probeSoon(now)
	n.wake(now)
}

// takeOwn counts a frame of ours. One that we never sent is of a clone of this
// machine, that runs on with this start: only a new start of one of them helps.
func (n *Node) takeOwn(from Origin, number uint64) {
	n.counters.Troubles.Add(Own, 1)
	if number <= n.number {
		return
	}
	n.counters.Troubles.Add(Twins, 1)
	if !n.cloned {
		n.cloned = true
		n.Observer.Event(Event{Kind: ClonedWhileRunning, Peer: n.cfg.Self, Name: n.cfg.Name, Origin: from})
	}
}

// lookForTwin is called with each heartbeat of a peer: two starts of one sender
// ID that are both there are two directors with one identity. The frames of
// both go on being applied, as the fresher news wins anyway.
func (n *Node) lookForTwin(now time.Time, p *peer) {
	if p.id.Sender == n.cfg.Self.Sender {
		n.counters.Troubles.Add(Twins, 1)
		if !p.twin {
			p.twin = true
			n.tell(TwinOfOurs, p)
		}
		return
	}
	for _, q := range n.peers.all {
		if q == p || q.id.Sender != p.id.Sender || !q.live() {
			continue
		}
		// After a restart, the old start is not lost yet, but silent.
		elder, younger := p, q
		if q.provenAt.Before(p.provenAt) {
			elder, younger = q, p
		}
		if elder.heard.Sub(younger.provenAt) < twinGrace {
			continue
		}
		n.counters.Troubles.Add(Twins, 1)
		if !p.twin || !q.twin {
			p.twin, q.twin = true, true
			e := n.event(TwinPeers, elder)
			e.Other, e.OtherName, e.OtherOrigin = younger.id, younger.Name(), younger.origin
			n.Observer.Event(e)
		}
	}
}
