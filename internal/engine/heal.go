package engine

import (
	"errors"
	"time"
)

const (
	healMin   = 200 * time.Millisecond
	healMax   = 5 * time.Second
	healCalm  = 2 * healMax           // without a loss, the back-off begins anew
	healSlice = 10 * time.Millisecond // between two portions of a snapshot
	healShare = 0.25                  // of the pace, so that news goes first
)

// heal decides when everything is advertised again, and walks through it.
type heal struct {
	due     time.Time // of the next snapshot; zero: none
	backoff time.Duration
	last    time.Time // that news was lost

	snapshot Snapshot // in flight
	began    time.Time
	adverts  int  // sent of it
	again    bool // lost during the snapshot: what it has passed may be wrong
	never    bool // there are no snapshots
	paused   bool // there is nothing to advertise
	pace     pace
}

// lost makes a snapshot due after the back-off, unless one is due already.
// first is the beginning of a streak.
func (h *heal) lost(now time.Time) (wait time.Duration, first bool) {
	first = h.last.IsZero() || now.Sub(h.last) > healCalm
	h.last = now
	switch {
	case h.snapshot != nil:
		h.again = true
	case h.due.IsZero():
		h.schedule(now, first)
	}
	return h.backoff, first
}

func (h *heal) schedule(now time.Time, first bool) {
	if h.backoff = min(2*h.backoff, healMax); first || h.backoff == 0 {
		h.backoff = healMin
	}
	h.due = now.Add(h.backoff)
}

// now makes a snapshot due at once, or after the one in flight.
func (h *heal) now() {
	if h.snapshot != nil {
		h.again = true
	} else {
		h.due = time.Now()
	}
}

// end closes the snapshot in flight.
func (h *heal) end() {
	if h.snapshot != nil {
		h.snapshot.Close() // it was only read from
		h.snapshot = nil
	}
}

// cancel ends it, and the plan for another one.
func (h *heal) cancel() {
	h.end()
	h.due, h.again = time.Time{}, false
}

// before returns when there is something to do, at latest t.
func (h *heal) before(t time.Time) time.Time {
	at := t
	switch now := time.Now(); {
	case h.snapshot != nil:
		at = now.Add(max(healSlice, h.pace.wait(now)))
	case !h.due.IsZero() && !h.paused:
		at = h.due
	}
	if at.Before(t) {
		return at
	}
	return t
}

// step begins the snapshot that is due, or sends the next portion of it.
func (c *capture) step() error {
	h := &c.heal
	now := time.Now()
	if h.snapshot == nil {
		if h.due.IsZero() || now.Before(h.due) || h.paused {
			return nil
		}
		h.due = time.Time{}
		if h.never {
			return nil
		}
		snapshot, err := c.source.Snapshot()
		if err != nil {
			c.failed(err)
			return nil
		}
		c.counters.Counts.Add(Snapshots, 1)
		h.snapshot, h.began, h.adverts, h.again = snapshot, now, 0, false
	}
	// What is read is sent at once, even if that is an advert more than
	// there is room for; the pace makes up for it.
	for h.pace.ready(now) >= 1 && c.pace.ready(now) >= 1 {
		more, err := h.snapshot.Read(c.out)
		if err != nil {
			c.discard()
			h.end()
			c.failed(err)
			return nil
		}
		for c.out.Len() > 0 {
			sent, err := c.transmit(c.out.Len())
			h.pace.take(sent)
			h.adverts += sent
			c.counters.Counts.Add(SentSnapshot, sent)
			if err != nil {
				return err
			}
		}
		if !more {
			h.end()
			c.log.Info("advertised what this director owns", "adverts", h.adverts, "took", time.Since(h.began).Round(time.Millisecond))
			if h.again {
				h.again = false
				h.schedule(now, false)
			}
			return nil
		}
	}
	return nil
}

// failed puts a snapshot off that could not be read.
func (c *capture) failed(err error) {
	c.counters.Troubles.Add(SnapshotsFailed, 1)
	if errors.Is(err, ErrNoSnapshot) {
		c.heal.never = true
		c.log.Warn("peers are not told of connections older than now, nor of what is lost", "error", err)
		return
	}
	c.heal.schedule(time.Now(), false)
	c.log.Warn("snapshot failed, trying again", "error", err, "in", c.heal.backoff)
}
