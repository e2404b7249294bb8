package peering

import (
	"math"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// heartbeat says when the next one is due.
type heartbeat struct {
	due        time.Time
	challenges limiter
	name       [block.MaxName]byte
}

// appendHeartbeat appends ours.
func (n *Node) appendHeartbeat(body []byte) []byte {
	gaps := 0
	for _, p := range n.peers.all {
		if p.live() {
			gaps += p.gaps.missing
			if p.resync.wanted || p == n.transfer.donor && n.transfer.inspection == nil {
				gaps++ // more than is known
			}
		}
	}
	body, err := block.AppendHeartbeat(body, &block.Heartbeat{
		Last:     n.sequence,
		State:    n.join.state,
		Interval: n.cfg.Interval,
		Entries:  uint32(min(n.Source.Entries(), math.MaxUint32)),
		Gaps:     uint32(gaps),
		Name:     n.heartbeat.name[:copy(n.heartbeat.name[:], n.cfg.Name)],
	})
	if err != nil && n.cfg.Name != "" { // a name that may not be shown
		n.cfg.Name = ""
		return n.appendHeartbeat(body)
	}
	return body
}

// challengeRoom is what a CHALLENGE takes.
const challengeRoom = block.HeadSize + 20 + 16

// tickHeartbeat says that we are there, and asks again who has not proven yet
// that it is.
func (n *Node) tickHeartbeat(now time.Time) {
	if now.Before(n.heartbeat.due) {
		n.wake(n.heartbeat.due)
		return
	}
	n.tickServices(now)
	n.heartbeat.due = now.Add(n.cfg.Interval)
	n.wake(n.heartbeat.due)
	body := n.appendHeartbeat(n.begin())
	for _, p := range n.peers.all {
		if p.proven || !p.challenged.IsZero() && now.Sub(p.challenged) < challengeInterval {
			continue
		}
		if len(body)+challengeRoom > n.room {
			n.multicast(body)
			n.counters.Counts.Add(SentHeartbeats, 1)
			body = n.appendHeartbeat(n.begin())
		}
		if p.challenged.IsZero() {
			n.draw(p)
		}
		p.challenged = now
		body, _ = block.AppendChallenge(body, &block.Challenge{Peer: p.id, Challenge: p.challenge})
		n.counters.Counts.Add(SentChallenges, 1)
	}
	n.multicast(body)
	n.counters.Counts.Add(SentHeartbeats, 1)
}

// takeHeartbeat takes what a proven peer says of itself.
func (n *Node) takeHeartbeat(now time.Time, p *peer, h *block.Heartbeat) {
	p.setName(h.Name)
	if p.state == block.StateJoining && h.State != block.StateJoining {
		n.finished(now, p)
	}
	p.state, p.interval, p.entries, p.waits = h.State, h.Interval, h.Entries, h.Gaps
	n.lookForTwin(now, p)
	if !p.met {
		n.acquaint(now, p, h)
		return
	}
	if h.Last <= p.gaps.top {
		return
	}
	if !p.gaps.extend(h.Last, now, now.Add(n.nackDelay())) {
		n.abandonGaps(now, p)
	}
	n.wakeForGaps(p)
}

// acquaint decides which sequences of a new peer we wait for.
func (n *Node) acquaint(now time.Time, p *peer, h *block.Heartbeat) {
	p.met, p.metJoining = true, h.State == block.StateJoining
	p.metBoth = p.metJoining && n.join.phase != joined
	n.wake(now)
	switch {
	case n.join.willCover(p):
		// What came before is in the snapshot that is still to be asked for.
		p.gaps.begin(h.Last + 1)
		p.resync.wanted = true
	case p.metJoining:
		// It has just started: all that it ever said is near.
		p.gaps.begin(1)
		if !p.gaps.extend(h.Last, now, now.Add(n.nackDelay())) {
			n.abandonGaps(now, p)
		}
		n.wakeForGaps(p)
	default:
		// It has been there for long, behind a partition.
		p.gaps.begin(h.Last + 1)
		n.wantSnapshot(now, p)
	}
}
