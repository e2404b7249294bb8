package peering

import (
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// Config is what a node is told.
type Config struct {
	Self        block.Peer // sender ID, and a start ID drawn for this start
	Name        string     // of the host, for people
	Classes     block.Classes
	Room        int           // bytes of the largest body, at least MinRoom
	Overhead    int           // bytes of a frame beside its body, for people
	Links       int           // of the network, 0 for one; at most 4
	Interval    time.Duration // of heartbeats, 0 for 1 s
	JoinTimeout time.Duration // without a peer, 0 for 5 s
	MaxPPS      int           // frames with entries a second, at least 1
	RingBytes   int           // of what is kept to be sent again, 0 for 4 MiB
	Counters    Counters      // that it goes on counting; none: its own
}

// MinRoom is the least that a body may take.
const MinRoom = 600

const (
	defaultInterval    = time.Second
	defaultJoinTimeout = 5 * time.Second
)

// Node is one start of a director. Its methods are called by one goroutine,
// with times that do not go back; its counters may be read by others.
type Node struct {
	Parts
	cfg      Config
	counters Counters

	number   uint64 // of the frame sent last
	sequence uint64 // of the adverts sent last
	buf      []byte // what is built
	room     int    // for it
	due      time.Time

	peers     table
	ring      *ring
	budget    budget
	heartbeat heartbeat
	donor     donor
	transfer  transfer
	join      join
	resync    resync
	announce  announce
	probe     prober
	lookups   []lookup   // of peers
	inquiries []*Inquiry // of ours
	turn      int        // of the three kinds of repairs
	cloned    bool
}

// New returns a node that has been joining since now.
func New(cfg Config, parts Parts, now time.Time) *Node {
	if cfg.Interval == 0 {
		cfg.Interval = defaultInterval
	}
	if cfg.JoinTimeout == 0 {
		cfg.JoinTimeout = defaultJoinTimeout
	}
	if cfg.RingBytes == 0 {
		cfg.RingBytes = defaultRingBytes
	}
	if len(cfg.Name) > block.MaxName {
		cfg.Name = cfg.Name[:block.MaxName]
	}
	cfg.Room = max(cfg.Room, MinRoom)
	cfg.Links = min(max(cfg.Links, 1), maxLinks)
	if cfg.Counters.Counts == nil {
		cfg.Counters = NewCounters()
	}
	n := &Node{Parts: parts, cfg: cfg, counters: cfg.Counters, ring: newRing(cfg.RingBytes), due: now}
	n.fit()
	n.buf = make([]byte, block.HeaderSize, cfg.Room)
	n.peers.index = make(map[block.Peer]*peer, maxPeers)
	n.heartbeat.due = now
	n.join = join{state: block.StateJoining, begun: now}
	n.budget.set(cfg.MaxPPS, now)
	return n
}

// Close ends the walks that are under way, and an inspection. The node is not to
// be used again.
func (n *Node) Close() {
	if t := n.transfer; t.inspection != nil {
		n.transfer = transfer{}
		t.inspection.done(ErrPeer)
	}
	for i := range n.donor.all {
		n.endServing(&n.donor.all[i])
	}
	if n.announce.walk != nil {
		n.announce.walk.Close()
		n.announce.walk = nil
	}
}

// SetPace changes MaxPPS.
func (n *Node) SetPace(pps int, now time.Time) { n.budget.set(pps, now) }

// SetRoom changes the size of the largest body. Whether the links take it is
// found out at once.
func (n *Node) SetRoom(room int) {
	n.cfg.Room = max(room, MinRoom)
	n.probe.probing, n.probe.due = false, time.Time{}
	n.fit()
	n.buf = make([]byte, block.HeaderSize, n.cfg.Room)
}

// Counters returns the node's counters.
func (n *Node) Counters() Counters { return n.counters }

// State returns what this director says of its completeness.
func (n *Node) State() block.State { return n.join.state }

// Ready returns how many frames of news may leave now.
func (n *Node) Ready(now time.Time) int { return n.budget.ready(now) }

// ReadyAt returns when a frame of news may leave.
func (n *Node) ReadyAt(now time.Time) time.Time { return now.Add(n.budget.all.wait(now)) }

// Advertise sends news to the group: a body with its ADVERT blocks, behind
// room for its header. What the entries say of their age is true for asOf.
func (n *Node) Advertise(now, asOf time.Time, body []byte) {
	n.budget.news()
	n.advertise(now, asOf, body)
	n.counters.Counts.Add(SentNews, 1)
}

func (n *Node) advertise(now, asOf time.Time, body []byte) {
	n.sequence++
	block.Stamp(body, n.sequence, now.Sub(asOf))
	n.ring.put(n.sequence, body, asOf)
	n.multicast(body)
}

// Receive takes a frame that was opened.
func (n *Node) Receive(now time.Time, from Origin, body *block.Body) {
	n.counters.Counts.Add(Received, 1)
	if body.Peer == n.cfg.Self {
		n.takeOwn(from, body.Number)
		return
	}
	p := n.peers.index[body.Peer]
	if p == nil {
		if p = n.meet(now, body.Peer); p == nil {
			n.counters.Troubles.Add(PeersFull, 1)
			return
		}
	}
	if !p.proven {
		n.examine(now, p, from, body)
		return
	}
	newOnLink, back := p.links.take(now, from.Link, body.Number)
	if back {
		n.tellOfLink(LinkBack, p, from.Link)
	}
	if !p.window.take(body.Number) {
		if newOnLink {
			n.counters.Counts.Add(Duplicates, 1)
		} else {
			n.counters.Troubles.Add(Replayed, 1)
		}
		return
	}
	p.origin = from
	n.take(now, p, body)
}

// take does what a fresh frame of a proven peer says.
func (n *Node) take(now time.Time, p *peer, body *block.Body) {
	n.heardFrom(now, p)
	var (
		b        block.Block
		sequence uint64
		adverts  bool
		chunk    block.SnapshotChunk
		chunks   bool
		adverted block.Block // the last LAST ADVERTS
	)
	for blocks := body.Blocks(); blocks.Next(&b); {
		// What is decoded was checked when the body was parsed.
		switch b.Type {
		case block.TypeAdvert:
			a, _ := b.Advert()
			sequence, adverts = a.Sequence, true
			if a.Class > 31 || !n.cfg.Classes.Has(a.Class) {
				n.counters.Troubles.Add(UnknownClass, 1)
			}
		case block.TypeHeartbeat:
			h, _ := b.Heartbeat()
			n.takeHeartbeat(now, p, &h)
		case block.TypeChallenge:
			c, _ := b.Challenge()
			n.takeChallenge(now, p, &c)
		case block.TypeEcho: // of a challenge that was echoed before, or another's
		case block.TypeNack:
			nack, _ := b.Nack()
			n.takeNack(now, p, &nack)
		case block.TypeGone:
			g, _ := b.Gone()
			n.takeGone(now, p, g)
		case block.TypeSnapshotRequest:
			r, _ := b.SnapshotRequest()
			n.takeRequest(now, p, &r)
		case block.TypeSnapshotChunk:
			chunk, _ = b.SnapshotChunk()
			chunks = true
		case block.TypeSnapshotAck:
			a, _ := b.SnapshotAck()
			n.takeAck(now, p, &a)
		case block.TypeProbe:
			n.takeProbe(now, p, body.Number)
		case block.TypeProbeAck:
			a, _ := b.ProbeAck()
			n.takeProbeAck(now, p, &a)
		case block.TypeQuery:
			q, _ := b.Query()
			n.takeQuery(now, p, &q)
		case block.TypeAnswer:
			n.takeAnswer(p, b, adverted)
		case block.TypeLastAdverts:
			adverted = b
		default:
			n.counters.Troubles.Add(UnknownBlock, 1)
		}
	}
	switch {
	case chunks:
		n.takeChunk(now, p, &chunk, body)
	case adverts:
		n.takeAdverts(now, p, sequence, body)
	}
}

// takeAdverts applies news, unless it was applied before.
func (n *Node) takeAdverts(now time.Time, p *peer, sequence uint64, body *block.Body) {
	if !p.gaps.known {
		p.gaps.begin(sequence)
	}
	var held time.Duration
	if p.gaps.inOrder(sequence) {
		p.gaps.top = sequence
	} else {
		arrival, noted := p.gaps.receive(sequence, now, now.Add(n.nackDelay()))
		if !noted.IsZero() {
			// Something that was sent later was here by then: without this,
			// a frame that was overtaken would pass for the fresher news.
			held = now.Sub(noted) + time.Millisecond
		}
		switch arrival {
		case repeated:
			n.counters.Counts.Add(Repeated, 1)
			return
		case overrun:
			n.abandonGaps(now, p)
		}
		n.wakeForGaps(p)
	}
	n.apply(body, held)
}

// apply hands entries to the sink, which were held at least so long.
func (n *Node) apply(body *block.Body, held time.Duration) {
	if err := n.Sink.Apply(body.Blocks(), held); err != nil {
		n.counters.Troubles.Add(BrokenEntries, 1)
		return
	}
	n.counters.Counts.Add(Applied, 1)
}

// Next returns when [Node.Tick] is to be called at the latest.
func (n *Node) Next() time.Time { return n.due }

// wake asks for a Tick at that time.
func (n *Node) wake(at time.Time) {
	if at.Before(n.due) {
		n.due = at
	}
}

// idle is the longest time between two calls of Tick.
const idle = time.Minute

// Tick does what is due.
func (n *Node) Tick(now time.Time) {
	n.due = now.Add(idle)
	n.tickPeers(now)
	n.tickTransfer(now)
	n.tickJoin(now)
	n.tickResync(now)
	n.tickHeartbeat(now)
	n.tickNacks(now)
	n.tickDonor(now)
	n.tickRepairs(now)
	n.tickProbe(now)
}

// begin returns the beginning of a body. It is valid until the next one.
func (n *Node) begin() []byte { return n.buf[:block.HeaderSize] }

// number the frame, as every one is.
func (n *Node) head(body []byte) {
	n.number++
	h := block.Header{Peer: n.cfg.Self, Number: n.number}
	h.Put(body)
}

func (n *Node) multicast(body []byte) {
	n.head(body)
	n.Network.Multicast(body)
}

func (n *Node) unicast(to *peer, body []byte) {
	n.head(body)
	n.Network.Unicast(to.origin, body)
}

// between returns a random duration between two.
func (n *Node) between(from, to time.Duration) time.Duration {
	return from + time.Duration(n.Random.Uint64()%uint64(to-from+1))
}
