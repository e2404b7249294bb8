package cluster

import (
	"time"

	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

const (
	// sweepSlice is the time between two portions of a sweep.
	sweepSlice = 10 * time.Millisecond
	// sweepShare is the part of the pace that sweeps may take: one in so many
	// frames.
	sweepShare = 4
)

// news is what this director has to tell.
type news struct {
	out  *Outbox
	asOf time.Time // of what is in out
	next time.Time // when it is looked for
	more bool      // there is more to read at once

	sweeps []sweep // of each class
}

// sweep is when what is due is told again.
type sweep struct {
	next    time.Time    // the next one begins
	walk    peering.Walk // nil: none
	portion time.Time    // the next one of the walk
	failing bool         // since the last one that did not, and that was said
}

// fit begins a new outbox, with what waited in the old one. It returns how much of
// that is too long, and lost: the caller makes up for it.
func (n *news) fit(room int) (lost int) {
	old := n.out
	n.out = NewOutbox(room)
	if old == nil {
		return 0
	}
	for _, body := range old.Next(old.Len()) {
		if len(body) > room {
			lost++
			continue
		}
		n.out.Add(body)
	}
	return lost
}

// tell sends news as far as the pace allows, and looks for more when it is time
// and what there was is sent.
func (d *Director) tell(now time.Time) {
	n := &d.news
	if !now.Before(n.next) {
		period := d.settings.Load().Period
		if n.next = n.next.Add(period); n.next.Before(now) {
			n.next = now.Add(period) // late: do not catch up in a burst
		}
		if n.out.Len() > 0 {
			d.counters.Counts.Add(Paced, 1)
		}
		n.more = true
	}
	for {
		d.send(now)
		if n.out.Len() > 0 || !n.more {
			return
		}
		now = time.Now()
		n.more = d.read(now) && now.Before(n.next)
		now = time.Now() // what was read was held since
	}
}

// send sends what waits, as much as the pace allows.
func (d *Director) send(now time.Time) {
	n := &d.news
	sent := min(n.out.Len(), d.node.Ready(now))
	for _, body := range n.out.Next(sent) {
		d.node.Advertise(now, n.asOf, body)
	}
	n.out.Release(sent)
}

// read looks for news of every class. It reports whether there is more.
func (d *Director) read(now time.Time) (more bool) {
	n := &d.news
	n.asOf = now
	for _, k := range d.holdings.all {
		if !k.usable() {
			continue
		}
		reading, err := k.objects.News(n.out)
		if err != nil {
			k.failure = err
			continue
		}
		d.counters.Counts.Add(Reads, 1)
		d.counters.Counts.Add(ReadEntries, reading.Entries)
		d.note(now, k, reading)
		more = more || reading.More
	}
	return more
}

// note takes up what a reading said beside news.
func (d *Director) note(now time.Time, k *holding, r Reading) {
	switch {
	case r.Pause != nil && k.paused == nil:
		d.log.Error("capture paused", "error", r.Pause)
	case r.Pause == nil && k.paused != nil:
		d.log.Info("capture goes on: announcing what this director owns")
		d.node.Announce(now)
	}
	if k.paused = r.Pause; k.paused == nil && r.Lost {
		d.counters.Troubles.Add(Lost, 1)
		d.log.Warn("news was lost: the kernel's queue was full; announcing what this director owns")
		d.node.Announce(now)
	}
}

// sweep tells again what is due, a portion at a time, behind news.
func (d *Director) sweep(now time.Time) {
	for i := range d.news.sweeps {
		s, k := &d.news.sweeps[i], d.holdings.all[i]
		if !k.tells() {
			s.end()
			continue
		}
		switch {
		case s.walk != nil && now.Before(s.portion), s.walk == nil && now.Before(s.next):
		case s.walk != nil || d.beginSweep(now, s, k):
			d.advanceSweep(now, s)
		}
	}
}

func (s *sweep) end() {
	if s.walk != nil {
		s.walk.Close()
		s.walk = nil
	}
}

func (d *Director) beginSweep(now time.Time, s *sweep, k *holding) bool {
	every, err := k.objects.SweepEvery()
	if err != nil {
		k.failure = err
		return false
	}
	s.next = now.Add(every)
	walk, err := k.objects.Walk(Due)
	if err != nil {
		d.sweepFailed(s, err)
		return false
	}
	s.walk = walk
	d.counters.Counts.Add(Sweeps, 1)
	return true
}

// advanceSweep sends a portion.
func (d *Director) advanceSweep(now time.Time, s *sweep) {
	s.portion = now.Add(sweepSlice)
	if d.news.out.Len() > 0 {
		return // news goes first
	}
	for range (d.node.Ready(now) + sweepShare - 1) / sweepShare {
		body, more, err := s.walk.Read(d.news.out.Body(), d.news.out.Room())
		if err == nil && len(body) > block.HeaderSize {
			d.node.Advertise(now, now, body)
			d.counters.Counts.Add(SentSwept, 1)
		}
		d.news.out.Return(body)
		switch {
		case err != nil:
			s.end()
			d.sweepFailed(s, err)
			return
		case !more:
			s.end()
			s.failing = false
			return
		}
	}
}

// wakeForNews returns when news or a sweep has something to do, at latest t.
func (d *Director) wakeForNews(now, t time.Time) time.Time {
	n := &d.news
	t = earlier(t, n.next)
	if n.out.Len() > 0 {
		t = earlier(t, d.node.ReadyAt(now))
	} else if n.more {
		t = now
	}
	for i := range n.sweeps {
		s, k := &n.sweeps[i], d.holdings.all[i]
		switch {
		case !k.tells():
		case s.walk != nil:
			t = earlier(t, s.portion)
		default:
			t = earlier(t, s.next)
		}
	}
	return t
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func (d *Director) sweepFailed(s *sweep, err error) {
	d.counters.Troubles.Add(SweepFailed, 1)
	if !s.failing {
		s.failing = true
		d.log.Warn("sweep failed, trying again: copies at peers may expire before their owner", "error", err)
	}
}
