package conntrackclass

import (
	"errors"
	"time"

	"github.com/ssyncp/ssyncp/internal/cluster"
	"github.com/ssyncp/ssyncp/internal/ctnetlink"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

const (
	// maxEvents bounds one look for news, and with it what is kept of it.
	maxEvents = 8192
	// tick is what ages are told in.
	tick = time.Millisecond
)

// news is what happened since the last look, merged: a connection is told as it
// is now.
type news struct {
	events  *ctnetlink.Socket
	parser  ctnetlink.Parser
	message ctnetlink.Message
	packer  packer

	changes []change
	index   map[uint64]int32 // of changes, by the hash of the key
	request []byte
	drained time.Time // nothing was left in the socket
	since   time.Time // and when that was before the changes
	lost    bool      // events, since the last look
	labels  bool      // have been seen: events may be without those of their entry
}

// change is what happened to a connection.
type change struct {
	entry    conntrack.Entry
	left     time.Duration
	hash     uint64
	created  bool // since the last look
	gone     bool
	early    bool // before its time
	asked    bool // for all of it, as events did not say all
	complete bool // nothing is missing any more
}

func newNews(events *ctnetlink.Socket, p packer) news {
	now := time.Now()
	return news{events: events, packer: p, index: make(map[uint64]int32), drained: now, since: now}
}

// News is cluster.Objects'.
func (o *Objects) News(out *cluster.Outbox) (r cluster.Reading, err error) {
	n := &o.news
	r, err = o.collect()
	r.Lost, n.lost = n.lost, false
	if err != nil {
		return r, err
	}
	if err := o.complete(); err != nil {
		return r, err
	}
	n.packer.reset()
	now := time.Now()
	for i := range n.changes {
		if c := &n.changes[i]; o.worthTelling(c) {
			// When in that time it happened is not known. What is left of
			// the lifetime of one that was asked for may say that it was
			// later, but not that it was before: it is known to a second. And not
			// as late as what the next look finds may be told to be.
			age := now.Sub(n.since)
			if c.asked {
				age = min(age, max(c.entry.Age, now.Sub(n.drained)+tick))
			}
			c.entry.Timeout, c.entry.Age = c.left, age
			if c.gone {
				c.entry.Timeout = 0
			}
			n.packer.add(&c.entry)
		}
	}
	n.changes, n.since = n.changes[:0], n.drained
	clear(n.index)
	n.packer.sort()
	for n.packer.pending() {
		body := out.Body()
		if err := n.packer.begin(body, out.Room()); err != nil {
			out.Return(body)
			return r, err
		}
		n.packer.fill(0)
		if blocks := n.packer.finish(); blocks != nil {
			out.Add(blocks)
		} else {
			out.Return(body)
		}
	}
	return r, nil
}

// collect takes events, and merges them.
func (o *Objects) collect() (r cluster.Reading, err error) {
	n := &o.news
	for r.Entries < maxEvents {
		at := time.Now()
		p, err := n.events.Receive()
		switch {
		case errors.Is(err, ctnetlink.ErrNothing):
			n.drained = at
			return r, nil
		case errors.Is(err, ctnetlink.ErrOverrun):
			o.counters.Troubles.Add(Overrun, 1)
			n.lost = true
			continue
		case err != nil:
			return r, err
		}
		for n.parser.Load(p); n.parser.Next(&n.message); {
			r.Entries++
			o.counters.Counts.Add(Events, 1)
			o.merge(&n.message)
		}
	}
	r.More = true
	return r, nil
}

// merge takes note of an event.
func (o *Objects) merge(m *ctnetlink.Message) {
	n := &o.news
	hash := o.copies.hash(&m.Entry)
	n.labels = n.labels || m.HasLabels && m.Entry.Labels != ([16]byte{})
	_, isCopy := o.copies.all[hash]
	switch {
	case m.Port == o.requests.Port(): // our own doing
		return
	case isCopy && m.Kind == ctnetlink.Destroyed:
		// It expired, or somebody deleted it here: its owner knows.
		delete(o.copies.all, hash)
		return
	case isCopy && m.Port != 0: // not a packet
		return
	case isCopy:
		delete(o.copies.all, hash)
		o.counters.Counts.Add(Claimed, 1)
	}
	i, ok := n.index[hash]
	if !ok {
		i = int32(len(n.changes))
		n.index[hash] = i
		n.changes = append(n.changes, change{hash: hash})
	}
	c := &n.changes[i]
	if m.Kind == ctnetlink.Expected {
		// What its helper put into a packet may have moved the sequence numbers
		// behind it, of which there is no event.
		if !ok {
			c.entry = m.Entry
		}
		c.complete = false
		return
	}
	before := c.entry
	hadProtocol := c.complete
	c.entry, c.left = m.Entry, m.TimeLeft
	switch m.Kind {
	case ctnetlink.New:
		c.created, c.gone, c.early = !ok || c.created, false, false
	case ctnetlink.Destroyed:
		c.gone, c.early = true, m.TimeLeft > 0 || m.Port != 0
		// What it was when it was seen last.
		if ok && !m.HasProtocol {
			c.entry.State, c.entry.TCP, c.entry.SCTP = before.State, before.TCP, before.SCTP
		}
		return
	}
	stateful := conntrack.States(m.Entry.Protocol) != nil
	c.complete = !stateful || m.HasProtocol
	if stateful && !m.HasProtocol && hadProtocol {
		c.entry.State, c.entry.TCP, c.entry.SCTP = before.State, before.TCP, before.SCTP
		c.complete = true
	}
	if m.Entry.Status&conntrack.SeqAdjusted != 0 && !m.HasAdjust || n.labels && !m.HasLabels {
		c.complete = false
	}
}

// complete asks for entries of which events did not say all.
func (o *Objects) complete() error {
	n := &o.news
	for start := 0; start < len(n.changes); {
		n.request = n.request[:0]
		asked := 0
		at := start
		for ; at < len(n.changes) && asked < ctnetlink.BatchMax; at++ {
			if c := &n.changes[at]; !c.gone && !c.complete {
				n.request = ctnetlink.AppendGet(n.request, uint32(at), &c.entry)
				c.asked = true
				asked++
			}
		}
		start = at
		if asked == 0 {
			continue
		}
		err := o.ask(n.request, func(m *ctnetlink.Message) {
			if m.Kind != ctnetlink.Changed || int(m.Request) >= len(n.changes) {
				return
			}
			c := &n.changes[m.Request]
			c.entry, c.left, c.complete = m.Entry, m.TimeLeft, true
			o.timeouts.put(&c.entry, m.TimeLeft)
		})
		if err != nil {
			return err
		}
		o.counters.Counts.Add(Completed, asked)
	}
	return nil
}

// worthTelling reports whether peers are to hear of a change.
func (o *Objects) worthTelling(c *change) bool {
	switch {
	case c.gone && !c.early:
		return false // copies expire as it did
	case c.gone && c.entry.Protocol == conntrack.TCP && c.entry.Status&conntrack.Assured == 0:
		o.counters.Skipped.Add(SkipHandshake, 1) // nor was it told before
		return false
	case c.created && (c.gone || conntrack.Closing(c.entry.Protocol, c.entry.State)):
		o.counters.Skipped.Add(SkipBrief, 1)
		return false
	case !c.gone && !c.complete:
		o.counters.Skipped.Add(SkipGone, 1)
		return false
	}
	return true
}

// ask sends requests, and calls take with each answer. Where answers are lost, those
// that are left are taken still: they would pass for the next requests'.
func (o *Objects) ask(requests []byte, take func(*ctnetlink.Message)) error {
	if err := o.requests.Send(requests); err != nil {
		return err
	}
	n := &o.news
	var lost error
	for {
		p, err := o.requests.Receive()
		switch {
		case errors.Is(err, ctnetlink.ErrNothing):
			return lost
		case errors.Is(err, ctnetlink.ErrOverrun):
			lost = err
			continue
		case err != nil:
			return err
		}
		for n.parser.Load(p); n.parser.Next(&n.message); {
			take(&n.message)
		}
	}
}
