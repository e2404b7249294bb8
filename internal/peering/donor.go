package peering

import (
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// How snapshots are served.
const (
	maxServed      = 2  // at a time, and one to a peer
	chunkWindow    = 64 // chunks that are not acknowledged
	chunkResendMin = 500 * time.Millisecond
	chunkResendMax = 2 * time.Second // doubling
	chunkAgain     = 100 * time.Millisecond
	servingTimeout = 5 * time.Second // without an ACK
	refuseInterval = 100 * time.Millisecond

	chunkBlock = block.HeadSize + 20 + 12
)

// chunk is one that may have to be sent again.
type chunk struct {
	body   []byte
	asOf   time.Time
	sent   time.Time
	wanted bool
}

// serving is one snapshot that is read as it is sent.
type serving struct {
	peer    *peer // nil: free
	request uint32
	walk    Walk // nil behind the end

	base, next uint32 // first one that is not acknowledged, first one not read
	chunks     [chunkWindow]chunk
	again      int // how many are to be sent again

	progress time.Time     // of the last ACK
	resendAt time.Time     // of all that is under way, unless an ACK comes
	resend   time.Duration // the time until then
	entered  time.Time
}

func (s *serving) slot(number uint32) *chunk { return &s.chunks[number%chunkWindow] }

// pending reports whether a chunk can be sent.
func (s *serving) pending() bool {
	return s.peer != nil && (s.again > 0 || s.walk != nil && s.next-s.base < chunkWindow)
}

// want marks chunks to be sent again, those that were sent before a time.
func (s *serving) want(first, behind uint32, before time.Time) {
	for c := max(first, s.base); c < min(behind, s.next); c++ {
		if k := s.slot(c); !k.wanted && !k.sent.After(before) {
			k.wanted = true
			s.again++
		}
	}
}

// acknowledge takes chunks out up to next.
func (s *serving) acknowledge(next uint32) {
	for ; s.base < next; s.base++ {
		if k := s.slot(s.base); k.wanted {
			k.wanted = false
			s.again--
		}
	}
}

// donor serves snapshots.
type donor struct {
	all  [maxServed]serving
	last int // that had its turn
}

func (d *donor) pending() bool {
	for i := range d.all {
		if d.all[i].pending() {
			return true
		}
	}
	return false
}

func (d *donor) of(p *peer) *serving {
	for i := range d.all {
		if d.all[i].peer == p {
			return &d.all[i]
		}
	}
	return nil
}

// takeRequest begins to serve a snapshot, or refuses it.
func (n *Node) takeRequest(now time.Time, p *peer, r *block.SnapshotRequest) {
	switch {
	case r.Peer.Sender != n.cfg.Self.Sender:
		return
	case r.Peer.Start != n.cfg.Self.Start:
		n.counters.Troubles.Add(RequestStale, 1)
		return
	}
	s := n.donor.of(p)
	switch {
	case s != nil && s.request == r.Request, p.servedRequest == r.Request && p.servedRequest != 0:
		return // it came again
	case s != nil: // it has begun anew
		n.endServing(s)
	default:
		s = n.donor.of(nil)
	}
	if s == nil || !r.Owned && n.join.state == block.StateJoining {
		n.refuse(now, p, r.Request, 0)
		return
	}
	walk, err := n.Source.Walk(r.Classes, r.Owned)
	if err != nil {
		n.servingFailed(p, err)
		n.refuse(now, p, r.Request, 0)
		return
	}
	s.begin(now, p, r.Request, walk)
	n.tell(ServingBegun, p)
	n.wakeForRepairs(now)
}

func (s *serving) begin(now time.Time, p *peer, request uint32, walk Walk) {
	chunks := s.chunks
	*s = serving{peer: p, request: request, walk: walk, progress: now, resend: chunkResendMin, entered: now, chunks: chunks}
	for i := range s.chunks {
		s.chunks[i] = chunk{body: chunks[i].body[:0]}
	}
	s.resendAt = now.Add(s.resend)
}

// refuse tells a peer to ask somebody else.
func (n *Node) refuse(now time.Time, p *peer, request, number uint32) {
	if !p.refused.IsZero() && now.Sub(p.refused) < refuseInterval {
		return
	}
	p.refused = now
	body, _ := block.AppendSnapshotChunk(n.begin(), &block.SnapshotChunk{
		Peer: p.id, Request: request, Number: number, Refused: true,
	})
	n.unicast(p, body)
	n.counters.Counts.Add(SentRefusals, 1)
}

// endServing frees a place.
func (n *Node) endServing(s *serving) {
	if s.walk != nil {
		s.walk.Close()
	}
	s.peer, s.walk, s.again = nil, nil, 0
}

// stopServing ends what a peer is served that is not there any more.
func (n *Node) stopServing(p *peer) {
	if s := n.donor.of(p); s != nil {
		n.servingFailed(p, errSilent)
		n.endServing(s)
	}
}

func (n *Node) servingFailed(p *peer, err error) {
	n.counters.Troubles.Add(ServingFailed, 1)
	e := n.event(ServingFailedEvent, p)
	e.Err = err
	n.Observer.Event(e)
}

// sendChunk sends the next chunk of the peer whose turn it is.
func (n *Node) sendChunk(now time.Time) {
	d := &n.donor
	for range d.all {
		d.last = (d.last + 1) % len(d.all)
		if s := &d.all[d.last]; s.pending() {
			s.send(now, n)
			return
		}
	}
}

func (s *serving) send(now time.Time, n *Node) {
	if s.again > 0 {
		for c := s.base; c < s.next; c++ {
			if k := s.slot(c); k.wanted {
				k.wanted = false
				s.again--
				block.Stamp(k.body, 0, now.Sub(k.asOf))
				n.sendOf(now, s, k)
				n.counters.Counts.Add(SentChunkAgain, 1)
				return
			}
		}
	}
	k := s.slot(s.next)
	k.body = append(k.body[:0], n.begin()...)
	body, more, err := s.walk.Read(k.body, n.room-chunkBlock)
	if err != nil {
		n.servingFailed(s.peer, err)
		n.refuse(now, s.peer, s.request, s.next)
		n.endServing(s)
		return
	}
	k.body, _ = block.AppendSnapshotChunk(body, &block.SnapshotChunk{
		Peer: s.peer.id, Request: s.request, Number: s.next, Last: !more,
	})
	k.asOf, k.wanted = now, false
	if s.next == s.base {
		// Nothing was under way, so nobody had anything to acknowledge.
		s.progress = now
	}
	s.next++
	if !more {
		s.walk.Close()
		s.walk = nil
	}
	n.sendOf(now, s, k)
}

func (n *Node) sendOf(now time.Time, s *serving, k *chunk) {
	k.sent = now
	s.resendAt = now.Add(s.resend)
	n.wake(s.resendAt)
	n.unicast(s.peer, k.body)
	n.counters.Counts.Add(SentChunks, 1)
}

// takeAck makes room for further chunks, and sends again what is missing.
func (n *Node) takeAck(now time.Time, p *peer, a *block.SnapshotAck) {
	if a.Peer != n.cfg.Self {
		return
	}
	s := n.donor.of(p)
	if s == nil || s.request != a.Request || a.Next > s.next {
		if a.Request != p.servedRequest {
			n.counters.Troubles.Add(AckUnknown, 1)
		}
		return
	}
	s.acknowledge(a.Next)
	s.progress, s.resend = now, chunkResendMin
	s.resendAt = now.Add(s.resend)
	var r block.ChunkRange
	for a.NextMissing(&r) {
		s.want(r.First, uint32(min(uint64(r.First)+uint64(r.Count), uint64(s.next))), now.Add(-chunkAgain))
	}
	if s.walk == nil && s.base == s.next {
		p.servedRequest = s.request
		n.counters.Counts.Add(SnapshotsServed, 1)
		e := n.event(ServingDone, p)
		e.Chunks, e.Took = s.next, now.Sub(s.entered)
		n.Observer.Event(e)
		n.endServing(s)
	}
	n.wakeForRepairs(now)
}

// tickDonor sends again what nobody acknowledged, and gives up in the end.
func (n *Node) tickDonor(now time.Time) {
	for i := range n.donor.all {
		s := &n.donor.all[i]
		if s.peer == nil || s.base == s.next {
			continue // all is acknowledged: it is the budget that it waits for
		}
		if now.Sub(s.progress) >= servingTimeout {
			n.stopServing(s.peer)
			continue
		}
		if !now.Before(s.resendAt) {
			s.want(s.base, s.next, now)
			s.resend = min(2*s.resend, chunkResendMax)
			s.resendAt = now.Add(s.resend)
		}
		n.wake(s.resendAt)
		n.wake(s.progress.Add(servingTimeout))
	}
}
