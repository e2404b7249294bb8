package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/ssyncp/ssyncp/lab/failover/verdict"
	"github.com/ssyncp/ssyncp/lab/lan"
	"github.com/ssyncp/ssyncp/lab/vm"
)

// When what happens.
const (
	opening   = 10 * time.Second       // streams are opened at least that long
	surprise  = 2 * time.Second        // and up to that much longer, at random
	detection = 700 * time.Millisecond // until director B takes over
	patience  = 3 * time.Minute        // with a whole run
)

// A result is one director that lost its power, and what that did.
type result struct {
	tally       verdict.Tally
	opened      time.Duration // how long streams were opened before the cut
	planned     time.Duration // how long they should have been
	uncertainty time.Duration // of the cut on the clients' clock
	dropped     uint64        // frames, by the switches
}

// late is how late a cut may come; later means that the guests had too little of
// the machine for their times to mean much.
const late = 3 * time.Second

// busy says that the machine was, or nothing.
func (r result) busy() string {
	if r.opened < r.planned+late {
		return ""
	}
	return fmt.Sprintf("this machine is too busy: the power-off came %.0f s late", (r.opened - r.planned).Seconds())
}

// cast is the guests of one run.
type cast struct {
	clients, servers, a, b *vm.Guest
	switches               []*lan.Switch
}

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
	r, err := s.cut(ctx, guests)
	if err == nil {
		err = errors.Join(c.check(ctx, guests.b), guests.keepEvidence(ctx, directory))
	}
	return r, errors.Join(err, guests.check())
}

// cut runs the traffic, the power-off and the takeover.
func (s *stage) cut(ctx context.Context, guests *cast) (result, error) {
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
	alive := opening + rand.N(surprise)
	if err := sleep(ctx, alive-time.Second-time.Since(begun.answered)-begun.clock); err != nil {
		return result{}, err
	}
	readings = readings[:0]
	if err := read(8); err != nil {
		return result{}, err
	}
	if err := sleep(ctx, time.Until(begun.answered.Add(alive-begun.clock))); err != nil {
		return result{}, err
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
	r := result{tally: rule.Count(records, latest), opened: latest, planned: alive, uncertainty: latest - earliest}
	for _, segment := range guests.switches {
		r.dropped += segment.Dropped()
	}
	return r, nil
}

// boot starts the switches and the guests, side by side.
func (s *stage) boot(ctx context.Context, directory string) (*cast, error) {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return nil, err
	}
	guests := &cast{}
	path := make(map[string]string)
	for _, name := range []string{frontSegment, syncSegment, backSegment} {
		segment, err := lan.Listen(filepath.Join(directory, name))
		if err != nil {
			guests.end()
			return nil, err
		}
		guests.switches = append(guests.switches, segment)
		path[name] = segment.Path()
	}
	front, sync, back := path[frontSegment], path[syncSegment], path[backSegment]
	start := func(name string, memory int, segments ...string) func() (*vm.Guest, error) {
		return func() (*vm.Guest, error) {
			return vm.Start(ctx, vm.Config{
				Name: name, Kernel: s.kernel.Image, Initrd: s.initrd, Memory: memory, Directory: directory,
				Segments: segments,
				// A guest has one thread of the host anyway.
				Append: fmt.Sprintf("maxcpus=1 tsc_early_khz=%d", s.tsc),
			})
		}
	}
	err := sideBySide(
		into(&guests.clients, start("clients", 768, front)),
		into(&guests.servers, start("servers", 768, front, back)),
		into(&guests.a, start("director-a", 512, front, sync, back)),
		into(&guests.b, start("director-b", 512, front, sync, back)),
	)
	if err != nil {
		guests.end()
		return nil, err
	}
	return guests, nil
}

func (g *cast) setUp(ctx context.Context, c contestant) error {
	err := sideBySide(
		func() error { return setUpClients(ctx, g.clients) },
		func() error { return setUpServers(ctx, g.servers) },
		func() error { return setUpDirector(ctx, g.a, directorA) },
		func() error { return setUpDirector(ctx, g.b, directorB) },
	)
	if err != nil {
		return err
	}
	if err := c.start(ctx, g.a, g.b); err != nil {
		return err
	}
	return takeVirtualAddresses(ctx, g.a)
}

// takeOver makes director B the active one.
func (g *cast) takeOver(ctx context.Context) error {
	return sideBySide(
		func() error { return takeVirtualAddresses(ctx, g.b) },
		func() error {
			s := newScript()
			routeClients(s, directorB)
			return s.run(ctx, g.clients, "move the clients' routes")
		},
		func() error {
			s := newScript()
			routeServers(s, directorB)
			return s.run(ctx, g.servers, "move the real servers' routes")
		},
	)
}

func (g *cast) all() []*vm.Guest { return []*vm.Guest{g.clients, g.servers, g.a, g.b} }

// check fails where a kernel had something to say.
func (g *cast) check() error {
	var all error
	for _, guest := range g.all() {
		all = errors.Join(all, guest.Check())
	}
	return all
}

func (g *cast) end() {
	for _, guest := range g.all() {
		if guest != nil {
			guest.PowerOff()
		}
	}
	for _, segment := range g.switches {
		// Nobody is plugged in any more.
		_ = segment.Close()
	}
}

func into[T any](to *T, make func() (T, error)) func() error {
	return func() (err error) {
		*to, err = make()
		return err
	}
}

// sideBySide runs all and returns all errors.
func sideBySide(run ...func() error) error {
	errs := make(chan error)
	for _, f := range run {
		go func() { errs <- f() }()
	}
	var all error
	for range run {
		all = errors.Join(all, <-errs)
	}
	return all
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the run took more than %v: %w", patience, ctx.Err())
	}
}
