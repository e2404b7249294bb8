package peering

import (
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// How a donor is found.
const (
	// donorDelay is how long after the first proof a donor is chosen: others
	// may have more.
	donorDelay = 250 * time.Millisecond
	// exchangeDelay is how long after the first proof it is believed that
	// all are joining: one and a half heartbeats.
	exchangeDelay = 1500 * time.Millisecond
	// exchangeHold is how much longer it takes at least until the exchange
	// is over: others that started a little later must not take us for a
	// donor meanwhile.
	exchangeHold = time.Second
	// gapsPatience is how long after the first proof a donor with gaps will
	// do, where there is no other.
	gapsPatience = 5 * time.Second
	joinRetry    = 100 * time.Millisecond

	busyMin = 100 * time.Millisecond // random, until a donor that refused is asked again
	busyMax = 500 * time.Millisecond
	// maxFailures is how often a donor is asked that is lost, or sends no chunk
	// for donorTimeout.
	maxFailures = 3
	// maxRefusals is how often a donor is asked that refuses: for a minute or
	// so, in which it may serve others.
	maxRefusals = 200
)

// phase of joining.
type phase int

const (
	discovering phase = iota // who is there?
	fetching                 // the tables of one donor
	exchanging               // all are joining: what each one owns
	settling                 // what was missing when the last chunk came
	joined
)

// join is how a director comes to its state.
type join struct {
	state   block.State
	phase   phase
	begun   time.Time
	proven  time.Time // the first peer, zero: none
	failed  bool      // a donor fell silent, or refused for too long
	missing int       // entries refused for lack of a service
	settled bool      // the marks are set
	hold    time.Time // joining lasts until then
	told    bool      // what we own was announced
	whole   bool      // a donor gave everything, or there was nobody to

	interrupted bool // nothing can be applied
}

// proof notes that a peer is there.
func (j *join) proof(now time.Time) {
	if j.proven.IsZero() {
		j.proven = now
	}
}

// willCover reports whether a snapshot that is still to be asked for has what
// a peer sent until now.
func (j *join) willCover(p *peer) bool {
	switch j.phase {
	case discovering:
		return true
	case exchanging:
		return p.metJoining && !p.exchanged
	}
	return false
}

func (n *Node) tickJoin(now time.Time) {
	if n.join.phase == joined || n.join.interrupted || n.transfer.donor != nil {
		return
	}
	switch n.join.phase {
	case discovering:
		n.discover(now)
	case exchanging:
		n.exchange(now)
	}
	if n.join.phase == settling {
		n.settle(now)
	}
}

// discover chooses a donor, or finds out that there is none.
func (n *Node) discover(now time.Time) {
	j := &n.join
	if n.livePeers() == 0 {
		j.proven = time.Time{}
		if end := j.begun.Add(n.cfg.JoinTimeout); now.Before(end) {
			n.wake(end)
			return
		}
		n.finishAlone(now)
		return
	}
	since := now.Sub(j.proven)
	if since < donorDelay {
		n.wake(j.proven.Add(donorDelay))
		return
	}
	p, wait := n.chooseDonor(now, since >= gapsPatience)
	switch {
	case p != nil:
		j.phase = fetching
		n.ask(now, p, false)
	case wait:
		n.wake(now.Add(joinRetry))
	case since < exchangeDelay:
		n.wake(j.proven.Add(exchangeDelay))
	case n.anyJoining():
		j.phase, j.hold = exchanging, now.Add(exchangeHold)
		n.exchange(now)
	default: // all were tried
		j.phase = settling
	}
}

// chooseDonor returns the peer that is asked next, or whether one may come up.
func (n *Node) chooseDonor(now time.Time, gapsToo bool) (donor *peer, wait bool) {
	for _, p := range n.peers.all {
		if !p.live() || p.tried {
			continue
		}
		if !p.met {
			wait = wait || !gapsToo // without a HEARTBEAT for long, it is none
			continue
		}
		if p.state == block.StateJoining {
			continue
		}
		wait = true
		if now.Before(p.busy) || p.waits > 0 && !gapsToo {
			continue
		}
		if donor == nil || p.before(donor) {
			donor = p
		}
	}
	return donor, wait
}

// before reports whether a peer is asked before another one.
func (p *peer) before(q *peer) bool {
	switch {
	case p.failures != q.failures:
		return p.failures < q.failures
	case p.waits != q.waits:
		return p.waits < q.waits
	}
	return p.entries > q.entries
}

func (n *Node) anyJoining() bool {
	for _, p := range n.peers.all {
		if p.live() && !p.tried && p.state == block.StateJoining {
			return true
		}
	}
	return false
}

// exchange asks the next peer for what it owns.
func (n *Node) exchange(now time.Time) {
	wait := false
	for _, p := range n.peers.all {
		if !p.live() || !p.met || !p.metJoining || p.exchanged || p.tried {
			continue
		}
		if now.Before(p.busy) {
			wait = true
			continue
		}
		p.exchanged = true
		n.ask(now, p, true)
		return
	}
	if wait {
		n.wake(now.Add(joinRetry))
		return
	}
	n.join.phase = settling
}

// joinTransferred goes on behind a snapshot.
func (n *Node) joinTransferred(now time.Time, t *transfer, err error) {
	j := &n.join
	switch {
	case err == errRefused:
		t.donor.busy = now.Add(n.between(busyMin, busyMax))
		t.donor.exchanged = false
		if j.phase == fetching {
			j.phase = discovering
		}
		if t.donor.refusals++; t.donor.refusals >= maxRefusals {
			t.donor.tried, j.failed = true, true
		}
	case err != nil:
		j.failed = true
		// One that is still heard may have missed the request, and one that is
		// lost may be back.
		t.donor.failures++
		t.donor.tried = t.donor.failures >= maxFailures
		t.donor.exchanged = t.donor.tried
		if j.phase == fetching {
			j.phase = discovering
		}
	case j.phase == fetching:
		j.phase, j.whole = settling, true
	case j.phase == exchanging:
		j.whole = true
	}
}

// settle ends joining when nothing is missing any more that was when the
// snapshot ended.
func (n *Node) settle(now time.Time) {
	j := &n.join
	if !j.settled {
		j.settled = true
		for _, p := range n.peers.all {
			p.resync.mark = p.gaps.top
		}
	}
	for _, p := range n.peers.all {
		if !p.live() {
			continue
		}
		if p.resync.wanted && !p.tried {
			if now.Before(p.busy) {
				n.wake(p.busy)
				return
			}
			n.ask(now, p, true)
			return
		}
	}
	for _, p := range n.peers.all {
		if p.live() && p.gaps.known && p.gaps.lowest() <= p.resync.mark {
			n.wakeForGaps(p)
			return
		}
	}
	if now.Before(j.hold) {
		n.wake(j.hold)
		return
	}
	n.finish(now)
}

// finish is the end of joining.
func (n *Node) finish(now time.Time) {
	n.join.phase = joined
	switch n.join.missing = n.Sink.Settle(); {
	case n.join.missing > 0:
		n.setState(now, block.StateDegraded)
	default:
		n.setState(now, block.StateSynced)
	}
	if n.join.failed && !n.join.whole {
		n.tell(JoinedWithoutDonor, nil)
	}
	n.forgetTrials()
	// Peers that were there before us have what we owned before this start
	// only if they are told: they ask nobody.
	for _, p := range n.peers.all {
		if p.live() && !p.metJoining {
			n.announceOnce(now)
			return
		}
	}
}

// forgetTrials makes donors of those that were none while we joined.
func (n *Node) forgetTrials() {
	for _, p := range n.peers.all {
		p.tried, p.failures, p.refusals = false, 0, 0
	}
}

// announceOnce announces what we own, unless that was done since the start.
func (n *Node) announceOnce(now time.Time) {
	if !n.join.told {
		n.join.told = true
		n.Announce(now)
	}
}

// finished is called when a peer that was joining says that it is not any
// more. One that we met while both joined should have asked us, if nobody else
// had everything: where it had not heard us by then, it must be told.
func (n *Node) finished(now time.Time, p *peer) {
	if p.metBoth && p.servedRequest == 0 && n.donor.of(p) == nil {
		n.announceOnce(now)
	}
}

// finishAlone ends joining without a peer.
func (n *Node) finishAlone(now time.Time) {
	n.join.phase = joined
	state := block.StateSyncedAlone
	if n.join.failed {
		state = block.StateSynced
		n.tell(JoinedWithoutDonor, nil)
	}
	n.forgetTrials()
	n.setState(now, state)
}

// setState changes what peers are told, at once.
func (n *Node) setState(now time.Time, s block.State) {
	if s == n.join.state {
		return
	}
	e := n.event(StateChanged, nil)
	e.From, e.To, e.Missing = n.join.state, s, n.join.missing
	n.join.state = s
	n.Observer.Event(e)
	n.heartbeat.due = now
	n.wake(now)
}
