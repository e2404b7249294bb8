package conntrackclass

import (
	"errors"
	"time"

	"github.com/ssyncp/ssyncp/internal/cluster"
	"github.com/ssyncp/ssyncp/internal/ctnetlink"
	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

const (
	// behind is how much older than it is a walk tells what it read. News of the
	// same connection, read later and told before, is told as if it had happened at
	// the period's beginning: a peer must not take what a walk says for fresher.
	behind = 500 * time.Millisecond
	// readsPerBody bounds how long one Read takes where little is told.
	readsPerBody = 4
	// portion is how many entries are told in one order, or looked at before
	// that is begun: what shares a destination takes less.
	portion = 1024
)

// reader is what a walk reads into. It is used again: sweeps are frequent.
type reader struct {
	table   *ctnetlink.Socket
	parser  ctnetlink.Parser
	message ctnetlink.Message
	packer  packer
}

// walk goes over the table.
type walk struct {
	objects *Objects
	kind    cluster.Kind
	number  uint64 // of walks over what is due
	*reader
	read  time.Time // when what is left was read
	ended bool      // there is nothing behind that
}

// Walk is cluster.Objects'.
func (o *Objects) Walk(kind cluster.Kind) (peering.Walk, error) {
	w := &walk{objects: o, kind: kind}
	if n := len(o.idle); n > 0 {
		w.reader, o.idle = o.idle[n-1], o.idle[:n-1]
	} else {
		table, err := ctnetlink.Open()
		if err != nil {
			return nil, err
		}
		w.reader = &reader{table: table, packer: o.packer()}
	}
	if kind == cluster.Due {
		o.sweeps++
		w.number = o.sweeps
	}
	if err := w.table.Dump(); err != nil {
		w.table.Close()
		return nil, err
	}
	return w, nil
}

// Read is peering.Walk's. What it appends may be nothing before the end, where
// little is told.
func (w *walk) Read(body []byte, limit int) (read []byte, more bool, err error) {
	p := &w.packer
	if err := p.begin(body, limit); err != nil {
		return body, false, err
	}
	for range readsPerBody {
		if !p.pending() && !w.ended {
			if err := w.load(); err != nil {
				return body, false, err
			}
		}
		// Its age goes on while it is kept.
		p.fill(time.Since(w.read) + behind)
		if p.pending() || w.ended {
			break
		}
	}
	if blocks := p.finish(); blocks != nil {
		body = blocks
	}
	return body, p.pending() || !w.ended, nil
}

// load reads the next part of the table.
func (w *walk) load() error {
	w.packer.reset()
	// Before, not behind: what is told may pass for older, never for fresher
	// news than it is.
	w.read = time.Now()
	for seen := 0; seen < portion && !w.ended; {
		p, err := w.table.Receive()
		if errors.Is(err, ctnetlink.ErrNothing) {
			return ctnetlink.ErrNoEnd
		}
		if err != nil {
			return err
		}
		for w.parser.Load(p); w.parser.Next(&w.message); {
			switch m := &w.message; m.Kind {
			case ctnetlink.Changed:
				seen++
				w.take(m)
			case ctnetlink.Done, ctnetlink.Failed:
				w.ended = true
				if m.Errno != 0 {
					return m.Errno
				}
			}
		}
	}
	w.packer.sort()
	return nil
}

// take adds an entry, if it is one of those that the walk is for.
func (w *walk) take(m *ctnetlink.Message) {
	o, e := w.objects, &m.Entry
	if e.Labels != ([16]byte{}) {
		o.news.labels = true
	}
	hash := o.copies.hash(e)
	c, isCopy := o.copies.all[hash]
	now := o.copies.milliseconds(w.read)
	if isCopy && c.untouched(m.TimeLeft, now) {
		if w.kind != cluster.All {
			return
		}
		c.put(e, now)
		w.packer.add(e)
		return
	}
	if isCopy {
		// It had packets here: from now on it is told as our own.
		delete(o.copies.all, hash)
		o.counters.Counts.Add(Claimed, 1)
	}
	o.timeouts.put(e, m.TimeLeft)
	if w.kind != cluster.Due || isCopy || w.due(e, hash) {
		w.packer.add(e)
	}
}

// due reports whether peers' copies are to be told that they live on. Nobody
// remembers when they were told: each entry has its turn in one of the sweeps
// of a third of its timeout, and is told then if it had a packet in that time.
func (w *walk) due(e *conntrack.Entry, hash uint64) bool {
	life := e.Timeout
	if short := w.objects.timeouts.short(); e.Protocol == conntrack.TCP && short > 0 {
		life = min(life, short) // a copy may have been told of that alone
	}
	turns := max(life/3/sweepEvery, 1)
	return (hash+w.number)%uint64(turns) == 0 && e.Age <= turns*sweepEvery+slack
}

// Close is peering.Walk's.
func (w *walk) Close() {
	if w.reader == nil {
		return
	}
	w.packer.reset()
	if w.ended {
		w.objects.idle = append(w.objects.idle, w.reader)
	} else {
		w.table.Close() // the kernel is in the middle of it
	}
	w.reader = nil
}
