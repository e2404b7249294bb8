package engine

import (
	"errors"
	"time"
)

const (
	healMin  = 200 * time.Millisecond
	healMax  = 5 * time.Second
	healCalm = 2 * healMax // without a loss, the back-off begins anew
)

// heal decides when everything is advertised again.
type heal struct {
	walk
	due     time.Time // of the next one; zero: none
	backoff time.Duration
	last    time.Time // that news was lost
	again   bool      // lost during the walk: what it has passed may be wrong
}

// pending reports whether everything is advertised, or is going to be.
func (h *heal) pending() bool { return h.inFlight() || !h.due.IsZero() }

// lost makes a snapshot due after the back-off, unless one is due already.
// first is the beginning of a streak.
func (h *heal) lost(now time.Time) (wait time.Duration, first bool) {
	first = h.last.IsZero() || now.Sub(h.last) > healCalm
	h.last = now
	switch {
	case h.inFlight():
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
	if h.inFlight() {
		h.again = true
	} else {
		h.due = time.Now()
	}
}

// cancel ends the snapshot, and the plan for another one.
func (h *heal) cancel() {
	h.end()
	h.due, h.again = time.Time{}, false
}

// advertise begins the snapshot that is due, or sends the next portion of it.
func (c *capture) advertise() error {
	h := &c.heal
	if !h.inFlight() {
		now := time.Now()
		if h.due.IsZero() || now.Before(h.due) || c.paused {
			return nil
		}
		h.due = time.Time{}
		if c.never {
			return nil
		}
		if err := c.begin(&h.walk, Owned); err != nil {
			c.healFailed(err)
			return nil
		}
		c.counters.Counts.Add(Snapshots, 1)
		h.again = false
		if err := c.planSweep(); err != nil {
			return err
		}
	}
	more, err := c.advance(&h.walk, SentSnapshot)
	switch {
	case errors.As(err, new(linkError)):
		return err
	case err != nil:
		c.healFailed(err)
	case !more:
		c.log.Info("advertised what this director owns", "adverts", h.adverts, "took", h.took())
		if h.again {
			h.again = false
			h.schedule(time.Now(), false)
		}
	}
	return nil
}

// healFailed puts a snapshot off that could not be read.
func (c *capture) healFailed(err error) {
	c.counters.Troubles.Add(SnapshotsFailed, 1)
	if errors.Is(err, ErrNoSnapshot) {
		c.never = true
		c.log.Warn("peers are not told of connections older than now, nor of what is lost", "error", err)
		return
	}
	c.heal.schedule(time.Now(), false)
	c.log.Warn("snapshot failed, trying again", "error", err, "in", c.heal.backoff)
}
