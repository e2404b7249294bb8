package engine

import (
	"errors"
	"time"
)

// sweep decides when what is due is told again: what has no news, but had
// packets since it was told. It is told often enough that no copy expires
// before its owner.
type sweep struct {
	walk
	next    time.Time
	failing bool // since the last one that did not, and that was said
}

// planSweep plans the next sweep, from a walk that begins now.
func (c *capture) planSweep() error {
	every, err := c.source.SweepEvery()
	if err != nil {
		return err
	}
	c.sweep.next = time.Now().Add(every)
	return nil
}

// tellDue begins the sweep whose time has come, or sends the next portion of
// it. While everything is advertised, or is going to be, there is none; what
// one that is cut short took for told, that tells.
func (c *capture) tellDue() error {
	s := &c.sweep
	if c.heal.pending() || c.paused || c.never {
		s.end()
		return nil
	}
	if !s.inFlight() {
		if time.Now().Before(s.next) {
			return nil
		}
		if err := c.planSweep(); err != nil {
			return err
		}
		if err := c.begin(&s.walk, Due); err != nil {
			c.sweepFailed(err)
			return nil
		}
		c.counters.Counts.Add(Sweeps, 1)
	}
	more, err := c.advance(&s.walk, SentSweep)
	switch {
	case errors.As(err, new(linkError)):
		return err
	case err != nil:
		c.sweepFailed(err)
	case !more:
		s.failing = false
		c.log.Debug("told again what was due", "adverts", s.adverts, "took", s.took())
	}
	return nil
}

// sweepFailed counts every failure, and says the first one of a streak. The
// next sweep is planned already.
func (c *capture) sweepFailed(err error) {
	c.counters.Troubles.Add(SweepsFailed, 1)
	if !c.sweep.failing {
		c.sweep.failing = true
		c.log.Warn("sweep failed, trying again: copies at peers may expire before their owner",
			"error", err, "in", time.Until(c.sweep.next).Round(time.Millisecond))
	}
}
