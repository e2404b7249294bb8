package peering

import (
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// How long peers are remembered.
const (
	maxPeers       = 64
	forgetUnproven = 10 * time.Second // without a frame
	forgetProven   = 60 * time.Second

	// A peer is lost after three and a half of its intervals.
	lostIntervals       = 3
	lostIntervalsHalves = 1
)

// peer is one start of another director.
type peer struct {
	id     block.Peer
	origin Origin    // of the last frame
	heard  time.Time // the last frame
	proven bool
	lost   bool
	newest uint64 // the highest frame number before the proof

	challenge  [16]byte
	challenged time.Time // last
	echoed     time.Time // last, whatever it asked
	provenAt   time.Time
	twin       bool      // it was told that there is another live start
	superseded time.Time // a later start of its sender ID was proven; zero: none

	window window
	links  links
	gaps   gaps

	// What its last heartbeat says.
	met        bool // there was one, behind the proof
	metJoining bool // the first one said so
	metBoth    bool // and so did we
	state      block.State
	interval   time.Duration
	entries    uint32
	waits      uint32 // its own gaps
	name       [block.MaxName]byte
	nameLength int

	gone    time.Time // GONE was sent to it
	refused time.Time // its request was

	// The snapshot it was served, and the one it served, last.
	servedRequest uint32
	takenRequest  uint32
	takenNext     uint32 // 0: none was

	tried     bool      // failed as donor while we joined, and is not asked again
	failures  int       // as donor, while we joined
	refusals  int       // of our requests, while we joined
	exchanged bool      // asked for what it owns while all joined
	busy      time.Time // it refuses until then

	probes  limiter // answered
	queries limiter // answered

	resync resyncOf
}

// live reports whether it is there: proven and not lost.
func (p *peer) live() bool { return p.proven && !p.lost }

func (p *peer) setName(name []byte) { p.nameLength = copy(p.name[:], name) }

// Name returns what it calls itself.
func (p *peer) Name() string { return string(p.name[:p.nameLength]) }

// silence is how long it takes until the peer is lost.
func (p *peer) silence() time.Duration {
	return lostIntervals*p.interval + lostIntervalsHalves*p.interval/2
}

// table has the peers, in no order but a stable one.
type table struct {
	all   []*peer
	index map[block.Peer]*peer
}

func (t *table) remove(p *peer) {
	delete(t.index, p.id)
	for i, q := range t.all {
		if q == p {
			t.all[i] = t.all[len(t.all)-1]
			t.all[len(t.all)-1] = nil
			t.all = t.all[:len(t.all)-1]
			return
		}
	}
}

// yielding returns the peer that gives way to a new one, nil where all are
// fresh: first one whose freshness is not proven, as anybody can make many of
// those by sending recorded frames again; then one that is lost. Among these
// it is the one heard longest ago.
func (t *table) yielding() *peer {
	var found *peer
	for _, p := range t.all {
		switch {
		case p.live():
		case found == nil,
			!p.proven && found.proven,
			p.proven == found.proven && p.heard.Before(found.heard):
			found = p
		}
	}
	return found
}

// meet makes room for a peer that was not known.
func (n *Node) meet(now time.Time, id block.Peer) *peer {
	if len(n.peers.all) >= maxPeers {
		p := n.peers.yielding()
		if p == nil {
			return nil
		}
		n.forget(p)
	}
	p := &peer{id: id, heard: now, interval: defaultInterval}
	n.peers.all = append(n.peers.all, p)
	n.peers.index[id] = p
	n.wake(now.Add(forgetUnproven))
	return p
}

func (n *Node) forget(p *peer) {
	n.stopServing(p)
	n.peers.remove(p)
}

// heardFrom notes that a proven peer is there.
func (n *Node) heardFrom(now time.Time, p *peer) {
	p.heard = now
	if p.lost {
		p.lost = false
		p.gaps.retry(now.Add(n.nackDelay()))
		n.join.proof(now)
		n.tell(PeerBack, p)
		n.probeSoon(now) // while nobody was there, what links take was forgotten
		n.wake(now)
	}
}

// over returns when it is known whether this start ended where a later one of
// the same sender ID came: one that goes on is heard again by then.
func (p *peer) over() time.Time { return p.superseded.Add(2 * max(twinGrace, p.interval)) }

func (p *peer) restarted(now time.Time) bool {
	return !p.superseded.IsZero() && !now.Before(p.over()) && p.heard.Sub(p.superseded) < twinGrace
}

// lose stops to count on a peer.
func (n *Node) lose(p *peer) {
	p.lost, p.twin = true, false
	p.exchanged = false
	n.stopServing(p)
}

// tickPeers finds out who fell silent.
func (n *Node) tickPeers(now time.Time) {
	for i := 0; i < len(n.peers.all); i++ {
		p := n.peers.all[i]
		silent := now.Sub(p.heard)
		limit := forgetUnproven
		if p.proven {
			limit = max(forgetProven, p.silence())
		}
		switch {
		case silent >= limit:
			if p.proven {
				n.tell(PeerForgotten, p)
			}
			n.forget(p)
			i--
			continue
		case p.live() && p.restarted(now):
			n.lose(p)
			n.tell(PeerRestarted, p)
		case p.live() && silent >= p.silence():
			n.lose(p)
			n.counters.Troubles.Add(Lost, 1)
			n.tell(PeerLost, p)
		}
		if p.live() {
			limit = p.silence()
			n.tickLinks(now, p)
		}
		n.wake(p.heard.Add(limit))
	}
}

// livePeers returns how many there are.
func (n *Node) livePeers() (count int) {
	for _, p := range n.peers.all {
		if p.live() {
			count++
		}
	}
	return count
}
