package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// drainLimit bounds the time for what is still queued at a stop.
const drainLimit = 5 * time.Second

// errUnsent says that adverts stayed behind.
var errUnsent = errors.New("not everything was sent")

// capture sends what the source has: news every period, and snapshots when
// their time has come. It is one goroutine, so that what was read earlier leaves
// earlier: version 1 has no other order.
type capture struct {
	link     Link
	source   Source
	log      *slog.Logger
	settings func() Settings
	counters Counters
	rejoined <-chan struct{} // peers can be reached again
	probes   <-chan struct{} // whether the loop lives

	out    *Outbox
	pace   pace
	share  pace // of it: what snapshots may take
	heal   heal
	sweep  sweep
	paused bool // there is nothing to advertise
	never  bool // there are no snapshots
}

func newCapture(e *Engine, s session, rejoined <-chan struct{}) *capture {
	return &capture{
		link:     s.link,
		source:   s.source,
		log:      e.log,
		settings: func() Settings { return *e.settings.Load() },
		counters: e.counters,
		rejoined: rejoined,
		probes:   e.probes,
		out:      NewOutbox(e.size),
	}
}

// run sends until ctx is done. What it has read may be sent until sending is
// done. At a stop it reads the queue to its end first; a session that failed
// is not drained: what it cannot send is better kept by the kernel.
func (c *capture) run(ctx, stop, sending context.Context) error {
	defer c.heal.end()
	defer c.sweep.end()
	next := time.Now()
	c.heal.due = next // connections that are older than we are
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			if stop.Err() == nil || sending.Err() != nil {
				return nil
			}
			return c.news(sending, time.Now().Add(drainLimit))
		case <-c.rejoined:
			c.heal.now()
		case <-c.probes:
		case <-timer.C:
		}
		settings := c.settings()
		now := time.Now()
		c.pace.set(float64(settings.MaxPPS), now)
		c.share.set(float64(settings.MaxPPS)*walkShare, now)

		if !now.Before(next) {
			if next = next.Add(settings.Period); next.Before(now) {
				next = now.Add(settings.Period) // late: do not catch up in a burst
			}
			if err := c.news(sending, next); err != nil {
				return err
			}
		}
		if err := c.advertise(); err != nil {
			return err
		}
		if err := c.tellDue(); err != nil {
			return err
		}
		timer.Reset(time.Until(c.wake(next)))
	}
}

// wake returns when there is something to do, at latest t.
func (c *capture) wake(t time.Time) time.Time {
	at := t
	switch now := time.Now(); {
	case c.heal.inFlight() || c.sweep.inFlight():
		at = now.Add(max(walkSlice, c.share.wait(now)))
	case c.paused:
	case !c.heal.due.IsZero():
		at = c.heal.due
	case !c.never:
		at = c.sweep.next
	}
	if at.Before(t) {
		return at
	}
	return t
}

// news reads what is queued, at most until the end of the period, and sends
// all of it.
func (c *capture) news(sending context.Context, end time.Time) error {
	for more := true; more; {
		r, err := c.source.Read(c.out)
		if err != nil {
			c.discard()
			return err
		}
		c.counters.Counts.Add(Reads, 1)
		c.counters.Counts.Add(ReadEntries, r.Entries)
		c.note(r)
		if more = r.More && time.Now().Before(end); !more {
			c.source.Flush(c.out)
		}
		if err := c.send(sending); err != nil {
			return err
		}
	}
	return nil
}

// note takes up what a reading said beside news.
func (c *capture) note(r Reading) {
	switch {
	case r.Pause != nil && !c.paused:
		c.paused = true
		c.heal.cancel()
		c.log.Error("capture paused", "error", r.Pause)
	case r.Pause == nil && c.paused:
		c.paused = false
		c.log.Info("capture goes on: advertising what this director owns")
		c.heal.now()
		return // what the pause lost is what that makes up for
	}
	if r.Lost && !c.paused {
		c.counters.Troubles.Add(Lost, 1)
		if wait, first := c.heal.lost(time.Now()); first {
			c.log.Warn("news was lost: the kernel's queue was full; advertising again what this director owns",
				"in", wait)
		}
	}
}

// send sends everything in the outbox at the pace that is allowed.
func (c *capture) send(sending context.Context) error {
	for c.out.Len() > 0 {
		if sending.Err() != nil {
			return c.discard()
		}
		now := time.Now()
		n := c.pace.ready(now)
		if n < 1 {
			c.counters.Counts.Add(Paced, 1)
			rest(sending, c.probes, c.pace.wait(now))
			continue
		}
		if _, err := c.transmit(n); err != nil {
			return err
		}
	}
	return nil
}

// transmit sends up to n adverts now.
func (c *capture) transmit(n int) (sent int, err error) {
	batch := c.out.Next(n)
	sent, err = c.link.Send(batch)
	size := 0
	for _, advert := range batch[:sent] {
		size += len(advert)
	}
	c.counters.Counts.Add(SentAdverts, sent)
	c.counters.Counts.Add(SentBytes, size)
	c.pace.take(sent)
	c.out.Release(sent)
	if err != nil {
		c.discard()
		err = linkError{err}
	}
	return sent, err
}

// discard gives up what was not sent. The next session's snapshot makes up
// for it.
func (c *capture) discard() error {
	n := c.out.Len()
	c.counters.Troubles.Add(Unsent, n)
	c.out.Release(n)
	return fmt.Errorf("%w: %d adverts stayed behind", errUnsent, n)
}
