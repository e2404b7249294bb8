package peering

import (
	"errors"
	"math/bits"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// How a snapshot is taken.
const (
	ackEvery        = 16 // chunks
	ackDelay        = 50 * time.Millisecond
	requestRetryMin = 500 * time.Millisecond // until the first chunk; doubling
	requestRetryMax = time.Second
	donorTimeout    = 5 * time.Second // without a new chunk
)

// Why a snapshot ends early.
var (
	errSilent  = errors.New("the peer fell silent")
	errRefused = errors.New("the peer refused")
)

// transfer is the snapshot that is being taken: one at a time.
type transfer struct {
	donor   *peer // nil: none
	request uint32
	classes block.Classes
	owned   bool
	entered time.Time
	heard   time.Time // the last new chunk
	retry   time.Time // of the request
	wait    time.Duration

	inspection *Inspection // nil: it is applied

	progress chunks
	unacked  int       // chunks since the last ACK
	ackDue   time.Time // zero: none is
}

// chunks knows which chunks of a snapshot came.
type chunks struct {
	next  uint32 // all before it came
	have  uint64 // bit i: next+i came
	high  uint32 // one behind the highest that came
	last  uint32 // number of the last one, where it is known
	ended bool
}

// take notes a chunk. It reports whether it is new, and whether it can be one
// of this snapshot at all.
func (c *chunks) take(number uint32, last bool) (isNew, valid bool) {
	switch {
	case c.ended && (number > c.last || last && number != c.last), last && number+1 < c.high:
		return false, false
	case number < c.next:
		return false, true
	case number-c.next >= chunkWindow:
		return false, false
	case c.have&(1<<(number-c.next)) != 0:
		return false, true
	}
	c.have |= 1 << (number - c.next)
	c.high = max(c.high, number+1)
	if last {
		c.last, c.ended = number, true
	}
	run := bits.TrailingZeros64(^c.have)
	c.have >>= run // all of it, where it is 64
	c.next += uint32(run)
	return true, true
}

// done reports whether all came.
func (c *chunks) done() bool { return c.ended && c.next == c.last+1 }

// missing appends the ranges that are missing among those that came.
func (c *chunks) missing(dst []block.ChunkRange) []block.ChunkRange {
	for n := c.next; n < c.high; n++ {
		if c.have&(1<<(n-c.next)) != 0 {
			continue
		}
		if k := len(dst) - 1; k >= 0 && dst[k].First+dst[k].Count == n {
			dst[k].Count++
		} else {
			dst = append(dst, block.ChunkRange{First: n, Count: 1})
		}
	}
	return dst
}

// ask begins to take a snapshot of a peer.
func (n *Node) ask(now time.Time, p *peer, owned bool) {
	for _, q := range n.peers.all {
		if q == p || !owned { // a snapshot of all has what others own, too
			q.resync.wanted, q.resync.asked = false, q.resync.wanted
		}
	}
	n.tell(SnapshotBegun, p)
	n.request(now, p, transfer{classes: n.cfg.Classes, owned: owned})
}

// request begins a snapshot of this kind.
func (n *Node) request(now time.Time, p *peer, t transfer) {
	t.donor, t.request = p, uint32(n.Random.Uint64())|1 // not 0, which is none
	t.entered, t.heard, t.wait = now, now, requestRetryMin
	n.transfer = t
	n.sendRequest(now)
}

func (n *Node) sendRequest(now time.Time) {
	t := &n.transfer
	body, _ := block.AppendSnapshotRequest(n.begin(), &block.SnapshotRequest{
		Peer: t.donor.id, Request: t.request, Classes: t.classes, Owned: t.owned,
	})
	n.unicast(t.donor, body)
	n.counters.Counts.Add(SentRequests, 1)
	t.retry = now.Add(t.wait)
	t.wait = min(2*t.wait, requestRetryMax)
	n.wake(t.retry)
}

// takeChunk applies a part of the snapshot.
func (n *Node) takeChunk(now time.Time, p *peer, c *block.SnapshotChunk, body *block.Body) {
	if c.Peer != n.cfg.Self {
		return
	}
	t := &n.transfer
	if t.donor != p || t.request != c.Request {
		if c.Request == p.takenRequest && p.takenNext != 0 && !c.Refused {
			// Our last ACK was lost.
			n.sendAck(p, c.Request, p.takenNext, nil)
			return
		}
		n.counters.Troubles.Add(ChunkUnasked, 1)
		return
	}
	if c.Refused {
		if t.inspection == nil {
			n.counters.Troubles.Add(SnapshotsRefused, 1)
		}
		n.endTransfer(now, errRefused)
		return
	}
	isNew, valid := t.progress.take(c.Number, c.Last)
	if !valid {
		n.counters.Troubles.Add(ChunkUnasked, 1)
		return
	}
	if isNew {
		// Those that come again are no progress: the others may never come,
		// as they were built for links that took more.
		t.heard = now
		if t.inspection != nil {
			t.inspection.take(body.Blocks())
		} else {
			n.apply(body, 0)
		}
	}
	t.unacked++
	t.ackDue = now.Add(ackDelay)
	n.wake(t.ackDue)
	switch {
	case t.progress.done():
		p.takenRequest, p.takenNext = t.request, t.progress.next
		n.sendAck(p, t.request, t.progress.next, nil)
		n.endTransfer(now, nil)
	case t.unacked >= ackEvery:
		n.acknowledge()
	}
}

// acknowledge says what came so far.
func (n *Node) acknowledge() {
	t := &n.transfer
	var room [chunkWindow / 2]block.ChunkRange // every other one is missing
	n.sendAck(t.donor, t.request, t.progress.next, t.progress.missing(room[:0]))
	t.unacked, t.ackDue = 0, time.Time{}
}

func (n *Node) sendAck(p *peer, request, next uint32, missing []block.ChunkRange) {
	body, _ := block.AppendSnapshotAck(n.begin(), &block.SnapshotAck{Peer: p.id, Request: request, Next: next}, missing)
	n.unicast(p, body)
	n.counters.Counts.Add(SentAcks, 1)
}

// tickTransfer keeps the snapshot going, and gives up in the end.
func (n *Node) tickTransfer(now time.Time) {
	t := &n.transfer
	if t.donor == nil {
		return
	}
	if t.donor.lost || n.peers.index[t.donor.id] != t.donor || now.Sub(t.heard) >= donorTimeout {
		if t.inspection == nil {
			n.counters.Troubles.Add(SnapshotsFailed, 1)
		}
		n.endTransfer(now, errSilent)
		return
	}
	n.wake(t.heard.Add(donorTimeout))
	if t.progress.high == 0 {
		if !now.Before(t.retry) {
			n.sendRequest(now)
		}
		n.wake(t.retry)
	}
	if t.ackDue.IsZero() {
		return
	}
	if !now.Before(t.ackDue) {
		n.acknowledge()
		return
	}
	n.wake(t.ackDue)
}

// endTransfer hands the outcome to who wanted it.
func (n *Node) endTransfer(now time.Time, err error) {
	t := n.transfer
	n.transfer = transfer{}
	if t.inspection != nil {
		n.inspected(now, &t, err)
		return
	}
	kind := SnapshotDone
	if err != nil {
		kind = SnapshotFailed
	} else {
		n.counters.Counts.Add(Snapshots, 1)
	}
	e := n.event(kind, t.donor)
	e.Err, e.Chunks, e.Took = err, t.progress.next, now.Sub(t.entered)
	n.Observer.Event(e)
	n.wake(now)
	for _, q := range n.peers.all {
		q.resync.wanted = q.resync.wanted || err != nil && q.resync.asked
		q.resync.asked = false
	}
	if n.join.state == block.StateJoining {
		n.joinTransferred(now, &t, err)
	} else {
		n.resyncTransferred(now, &t, err)
	}
}
