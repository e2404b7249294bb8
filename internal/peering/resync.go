package peering

import (
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// How long the next resynchronization of one kind waits for, while they
// follow each other.
const (
	resyncMin = time.Second // doubling
	resyncMax = time.Minute
)

// backoff puts things off that follow each other.
type backoff struct {
	wait      time.Duration
	notBefore time.Time
}

// ended plans for the next one.
func (b *backoff) ended(now time.Time) {
	if now.Sub(b.notBefore) > b.wait {
		b.wait = 0 // calm since
	}
	b.wait = min(max(2*b.wait, resyncMin), resyncMax)
	b.notBefore = now.Add(b.wait)
}

// resyncOf is whether a peer is asked for what it owns.
type resyncOf struct {
	backoff
	wanted bool
	asked  bool   // it was wanted, until the snapshot that is being taken
	mark   uint64 // while joining: the sequence up to which nothing may be missing
}

// resync is what else is asked for.
type resync struct {
	backoff
	wanted bool // all, of one donor: services appeared
}

// wantSnapshot plans a snapshot of what a peer owns.
func (n *Node) wantSnapshot(now time.Time, p *peer) {
	p.resync.wanted = true
	n.wake(now)
}

// ServicesAppeared says that services are here that entries were refused for
// lack of: while degraded, a snapshot is taken of one donor.
func (n *Node) ServicesAppeared(now time.Time) {
	if n.join.state == block.StateDegraded {
		n.resync.wanted = true
		n.wake(now)
	}
}

// Resync takes a snapshot of what a peer owns, or where the sender ID is 0 of
// what every one does, at once. It returns how many peers will be asked.
func (n *Node) Resync(now time.Time, sender uint32) (asked int) {
	for _, p := range n.peers.all {
		if p.live() && (sender == 0 || p.id.Sender == sender) {
			p.resync.backoff = backoff{}
			n.wantSnapshot(now, p)
			asked++
		}
	}
	return asked
}

// Interrupt says that nothing can be applied until Restore: nothing is asked for,
// and joining does not end.
func (n *Node) Interrupt(now time.Time) {
	n.join.interrupted = true
	n.beginAnew(now)
}

// Restore asks for everything again, as what came was not applied for a while. It
// returns how many peers there are.
func (n *Node) Restore(now time.Time) (peers int) {
	n.join.interrupted = false
	n.beginAnew(now)
	return n.Resync(now, 0)
}

// beginAnew forgets what was asked for, and how far joining is.
func (n *Node) beginAnew(now time.Time) {
	if n.transfer.inspection == nil {
		n.transfer = transfer{}
	}
	n.join.whole = false
	if n.join.phase != joined {
		n.join.phase, n.join.settled = discovering, false
		for _, p := range n.peers.all {
			p.exchanged = false
		}
	}
	n.wake(now)
}

// tickResync begins the next one: one at a time.
func (n *Node) tickResync(now time.Time) {
	n.tickAnnounce(now)
	if n.join.phase != joined || n.join.interrupted || n.transfer.donor != nil {
		return
	}
	company := n.inCompany()
	if n.join.state == block.StateSyncedAlone && company {
		n.setState(now, block.StateSynced)
	}
	if !n.join.whole {
		if at := n.join.proven.Add(exchangeDelay); now.Before(at) {
			n.wake(at) // others may have more than the first that turns up
			return
		}
		n.join.whole = company
	}
	if n.resync.wanted {
		if p, _ := n.chooseDonor(now, false); p == nil {
			n.wake(now.Add(resyncMin))
		} else if now.Before(n.resync.notBefore) {
			n.wake(n.resync.notBefore)
		} else {
			n.resync.wanted = false
			// What was refused until now comes with this snapshot: behind it,
			// it must not count as missing for good.
			n.join.missing += n.Sink.Settle()
			n.ask(now, p, false)
			return
		}
	}
	var next *peer
	for _, p := range n.peers.all {
		if !p.live() || !p.resync.wanted {
			continue
		}
		if at := later(p.resync.notBefore, p.busy); now.Before(at) {
			n.wake(at)
			continue
		}
		if next == nil || !n.join.whole && p.before(next) {
			next = p
		}
	}
	if next != nil {
		// Without a donor until now, what the peer has of others is wanted, too.
		n.ask(now, next, n.join.whole)
	}
}

// inCompany reports whether there are peers, and nothing to ask them for.
func (n *Node) inCompany() (company bool) {
	for _, p := range n.peers.all {
		if p.live() && p.met {
			if p.resync.wanted {
				return false
			}
			company = true
		}
	}
	return company
}

// tickServices is called with each heartbeat of ours: what peers advertise may
// lack a service, too.
func (n *Node) tickServices(now time.Time) {
	if n.join.phase != joined || n.transfer.donor != nil {
		return
	}
	if missing := n.Sink.Settle(); missing > 0 {
		n.join.missing += missing
		n.setState(now, block.StateDegraded)
	}
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// resyncTransferred goes on behind a snapshot.
func (n *Node) resyncTransferred(now time.Time, t *transfer, err error) {
	if t.owned || !n.join.whole {
		t.donor.resync.ended(now)
	}
	if !t.owned {
		n.resync.ended(now)
		n.join.whole = n.join.whole || err == nil
	}
	switch {
	case err == errRefused:
		t.donor.busy = now.Add(n.between(busyMin, busyMax))
		fallthrough
	case err != nil:
		// It is wanted still, of that peer when it is there again.
		if !t.owned {
			n.resync.wanted = true
		}
	case n.join.state == block.StateDegraded && !t.owned:
		if n.join.missing = n.Sink.Settle(); n.join.missing == 0 {
			n.setState(now, block.StateSynced)
		}
	default:
		if missing := n.Sink.Settle(); missing > 0 {
			n.join.missing = missing
			n.setState(now, block.StateDegraded)
		}
	}
}
