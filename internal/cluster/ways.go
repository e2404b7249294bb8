package cluster

import (
	"context"
	"errors"
	"time"
)

const (
	checkEvery = time.Second
	reopenMin  = 200 * time.Millisecond
	reopenMax  = 5 * time.Second
	reopenCalm = 10 * time.Second // what was open for so long has recovered
	notYetMax  = 5 * time.Second  // at the start
)

// retry is when something that failed is opened again.
type retry struct {
	at      time.Time // zero: it is open
	because error     // it is not
	opened  time.Time
	backoff time.Duration
	said    map[string]bool // reasons, each of which is logged once
}

// failed plans the next attempt. It reports whether the reason is a new one.
func (r *retry) failed(now time.Time, err error) (news bool) {
	if !r.opened.IsZero() && now.Sub(r.opened) >= reopenCalm {
		r.backoff, r.said = 0, nil
	}
	r.opened, r.because = time.Time{}, err
	r.backoff = min(max(2*r.backoff, reopenMin), reopenMax)
	r.at = now.Add(r.backoff)
	if r.said[err.Error()] {
		return false
	}
	if r.said == nil {
		r.said = make(map[string]bool)
	}
	r.said[err.Error()] = true
	return true
}

func (r *retry) succeeded(now time.Time) { r.at, r.because, r.opened = time.Time{}, nil, now }

// due reports whether it is time.
func (r *retry) due(now time.Time) bool { return !r.at.IsZero() && !now.Before(r.at) }

// way is a link that is opened again where it fails.
type way struct {
	index   int
	open    func() (Link, error)
	link    Link // nil: it is not open
	retry   retry
	failure error // it is to be closed
	carrier bool
	stop    context.CancelFunc // of the receiver
	ended   chan struct{}      // closed by it
}

// number is how operators know it: by the order in the configuration, from 1.
func (w *way) number() int { return w.index + 1 }

// openWays opens the links. One is enough to begin with.
func (d *Director) openWays(ctx, receiving context.Context) error {
	began := time.Now()
	for {
		now := time.Now()
		err := d.tryWays(receiving, now)
		switch {
		case d.open() > 0 && err != nil:
			d.log.Error("not all links can be opened, trying again", "error", err, "links_open", d.open())
			return nil
		case err == nil:
			return nil
		case !errors.Is(err, ErrNotYet) || now.Sub(began) >= notYetMax:
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(reopenMin):
		}
	}
}

// tryWays opens each of the links.
func (d *Director) tryWays(ctx context.Context, now time.Time) (all error) {
	for _, w := range d.links {
		if err := d.openWay(ctx, w, now); err != nil {
			w.retry.failed(now, err)
			all = errors.Join(all, err)
		}
	}
	return all
}

func (d *Director) closeWays() {
	for _, w := range d.links {
		d.closeWay(w)
	}
}

// openWay opens a link and starts its receiver.
func (d *Director) openWay(ctx context.Context, w *way, now time.Time) error {
	link, err := w.open()
	if err != nil {
		return err
	}
	receiving, stop := context.WithCancel(ctx)
	w.link, w.stop, w.ended, w.failure, w.carrier = link, stop, make(chan struct{}), nil, true
	w.retry.succeeded(now)
	r := &receiver{link: link, index: w.index, director: d}
	go func() {
		defer close(w.ended)
		r.run(receiving, d.inbox)
	}()
	d.fit(now)
	return nil
}

// closeWay closes a link, and waits for its receiver.
func (d *Director) closeWay(w *way) {
	if w.link == nil {
		return
	}
	w.stop()
	w.link.Unblock()
	<-w.ended
	if err := w.link.Close(); err != nil {
		d.log.Debug("closing a link", "link", w.number(), "error", err)
	}
	w.link = nil
}

// linkFailed notes that a link is to be closed: the caller may be in the midst
// of something.
func (d *Director) linkFailed(w *way, err error) {
	if w.failure == nil {
		w.failure = err
	}
}

// tendWays closes links that failed and opens those whose time has come.
func (d *Director) tendWays(ctx context.Context, now time.Time) {
	for _, w := range d.links {
		if w.failure != nil {
			err := w.failure
			w.failure = nil
			d.closeWay(w)
			d.counters.Troubles.Add(LinkFailed, 1)
			if w.retry.failed(now, err) {
				d.log.Error("link failed, opening it again", "link", w.number(), "error", err, "links_left", d.open())
			}
			d.fit(now)
		}
		if w.link == nil && w.retry.due(now) {
			if err := d.openWay(ctx, w, now); err != nil {
				if w.retry.failed(now, err) {
					d.log.Error("link cannot be opened, trying again", "link", w.number(), "error", err)
				}
				continue
			}
			d.counters.Counts.Add(Reopened, 1)
			d.log.Info("link is open again", "link", w.number())
		}
	}
}

// checkWays looks after the links: without news to send, nothing else would
// notice that one went away.
func (d *Director) checkWays(now time.Time) {
	if now.Before(d.checked.Add(checkEvery)) {
		return
	}
	d.checked = now
	for _, w := range d.links {
		if w.link == nil {
			continue
		}
		carrier, err := w.link.Check()
		switch {
		case err != nil:
			d.linkFailed(w, err)
			continue
		case w.carrier && !carrier:
			d.log.Warn("a link has no carrier: peers are not reached over it", "link", w.number())
		case !w.carrier && carrier:
			d.log.Info("a link has a carrier again", "link", w.number())
		}
		w.carrier = carrier
	}
	d.fit(now)
}

// open returns how many links are.
func (d *Director) open() (n int) {
	for _, w := range d.links {
		if w.link != nil {
			n++
		}
	}
	return n
}

// fit makes bodies as long as the smallest of the links takes.
func (d *Director) fit(now time.Time) {
	room := 0
	for _, w := range d.links {
		if w.link != nil && (room == 0 || w.link.Room() < room) {
			room = w.link.Room()
		}
	}
	if room == 0 {
		return
	}
	room = bodyRoom(room, d.suite)
	if room == d.room {
		return
	}
	if d.room != 0 {
		d.log.Info("frames have another size", "body", room, "before", d.room)
	}
	d.room = room
	if d.node == nil {
		return
	}
	d.node.SetRoom(room)
	d.refit(now)
}

// refit makes news as long as the node takes it, which may have found out that
// a link takes less than it claims.
func (d *Director) refit(now time.Time) {
	if room := d.node.Room(); room != d.news.out.Room() {
		if lost := d.news.fit(room); lost > 0 {
			d.counters.Troubles.Add(TooLong, lost)
			d.node.Announce(now)
		}
	}
}
