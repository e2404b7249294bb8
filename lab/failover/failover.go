package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ssyncp/ssyncp/lab/failover/verdict"
)

// When what happens.
const (
	opening   = 10 * time.Second       // streams are opened at least that long
	surprise  = 2 * time.Second        // and up to that much longer, at random
	detection = 700 * time.Millisecond // until director B takes over
	prepare   = 3 * time.Second        // before the cut, to read clocks and counters
	patience  = 3 * time.Minute        // with a whole run
)

// A result is one director that lost its power, and what that did.
type result struct {
	tally       verdict.Tally
	opened      time.Duration // how long streams were opened before the cut
	uncertainty time.Duration // of the cut on the clients' clock
	period      time.Duration // of ssyncpd, as it really was; or 0
	dropped     uint64        // frames, by the switches
}

// late is how late a cut may come. Later means that the guests had too little
// of the machine for their times to mean anything.
const late = 3 * time.Second

var errBusy = errors.New("this machine is too busy with other things")

// failover boots all guests and takes director A's power while streams are
// opened through it. It fails where the run could not be carried out, or a
// kernel complained; whether enough streams survived is for the caller.
func (s *stage) failover(ctx context.Context, c contestant, directory string) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	begun := time.Now()
	guests, err := s.boot(ctx, directory)
	if err != nil {
		return result{}, err
	}
	defer guests.end()
	s.progress("  %d guests booted in %.0f s", len(guests.all()), time.Since(begun).Seconds())
	if err := guests.setUp(ctx, c); err != nil {
		return result{}, errors.Join(err, guests.check())
	}
	s.progress("  opening %d streams a second through director A", 3*s.rate)
	r, err := s.cut(ctx, c, guests)
	if err == nil {
		err = errors.Join(c.check(ctx, guests.b), guests.keepEvidence(ctx, directory))
	}
	return r, errors.Join(err, guests.check())
}

// cut runs the traffic, the power-off and the takeover.
func (s *stage) cut(ctx context.Context, c contestant, guests *cast) (result, error) {
	streams, err := startTraffic(ctx, guests.clients, s.rate)
	if err != nil {
		return result{}, err
	}
	var readings []reading
	read := func(times int) error {
		for range times {
			r, err := streams.readClock(ctx)
			if err != nil {
				return err
			}
			readings = append(readings, r)
		}
		return nil
	}
	if err := read(1); err != nil {
		return result{}, err
	}
	begun := readings[0]
	if c.ours {
		if err := logCounters(ctx, guests.a); err != nil {
			return result{}, err
		}
	}
	alive := opening + rand.N(surprise)
	if err := sleep(ctx, time.Until(begun.answered.Add(alive-begun.clock-prepare))); err != nil {
		return result{}, err
	}
	var period time.Duration
	if c.ours {
		if err := logCounters(ctx, guests.a); err != nil {
			return result{}, err
		}
		if period, err = actualPeriod(ctx, guests.a); err != nil {
			return result{}, err
		}
	}
	readings = readings[:0]
	if err := read(4); err != nil {
		return result{}, err
	}
	if err := sleep(ctx, time.Until(begun.answered.Add(alive-begun.clock))); err != nil {
		return result{}, err
	}
	// Before anything is at stake, so that no loss can be explained away.
	if behind := time.Since(begun.answered.Add(alive - begun.clock)); behind > late {
		return result{}, fmt.Errorf("%w: the power-off would come %.0f s late", errBusy, behind.Seconds())
	}

	guests.a.PowerOff()
	dead := time.Now()
	if err := streams.stopOpening(ctx); err != nil {
		return result{}, err
	}
	s.progress("  director A lost its power")
	if err := read(8); err != nil {
		return result{}, err
	}
	if err := sleep(ctx, time.Until(dead.Add(detection))); err != nil {
		return result{}, err
	}
	if err := guests.takeOver(ctx); err != nil {
		return result{}, err
	}
	s.progress("  director B took over after %.1f s; every stream is asked for one more exchange", time.Since(dead).Seconds())
	records, err := streams.probe(ctx)
	if err != nil {
		return result{}, err
	}

	// The cut is the latest that the clients' clock can have shown when
	// director A was surely dead. That is strict: no stream is excused that
	// was old enough while the director lived.
	earliest, latest, err := onClientsClock(dead, readings)
	if err != nil {
		return result{}, err
	}
	r := result{
		tally:       rule.Count(records, latest),
		opened:      latest,
		uncertainty: latest - earliest,
		period:      period,
	}
	for _, segment := range guests.switches {
		r.dropped += segment.Dropped()
	}
	return r, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the run took more than %v: %w", patience, ctx.Err())
	}
}
