package engine

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const checkEvery = time.Second // of the link

// Settings may change while the engine runs.
type Settings struct {
	Period time.Duration // between two reads of the source
	MaxPPS int           // adverts a second, at least 1
}

// Engine runs sessions, one after the other.
type Engine struct {
	parts    Parts
	size     int
	log      *slog.Logger
	settings atomic.Pointer[Settings]
	counters Counters
	probes   chan struct{} // taken by who lives
}

// New returns an engine. advertSize is the longest advert that a source builds.
func New(p Parts, advertSize int, s Settings, log *slog.Logger) *Engine {
	e := &Engine{parts: p, size: advertSize, log: log, counters: newCounters(), probes: make(chan struct{})}
	e.Set(s)
	return e
}

// Set changes the settings. A running engine has them from the next period on.
func (e *Engine) Set(s Settings) { e.settings.Store(&s) }

// Counters returns the engine's counters.
func (e *Engine) Counters() Counters { return e.counters }

// Alive waits until the engine's loop takes notice, which has device and link
// open or waits to open them again, or until ctx is done.
func (e *Engine) Alive(ctx context.Context) error {
	select {
	case e.probes <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run runs until ctx is done; then what is queued has been sent, and the error
// is nil. It fails only where the first session cannot be opened: later ones
// are tried until they can.
func (e *Engine) Run(ctx context.Context) error {
	var s session
	defer func() {
		if err := s.close(); err != nil {
			e.log.Debug("stopping", "error", err)
		}
	}()
	if err := s.open(e.parts); err != nil {
		return err
	}
	o := outage{log: e.log}
	for {
		e.counters.Counts.Add(Sessions, 1)
		calm := time.AfterFunc(reopenCalm, o.over)
		err := e.run(ctx, s)
		calm.Stop()
		if ctx.Err() != nil {
			if err != nil {
				e.log.Error("stopped before everything was sent", "error", err)
			}
			return nil
		}
		o.failed("synchronization interrupted, opening again what failed", err)
		if err := s.closeFailed(err); err != nil {
			e.log.Debug("after a failure", "error", err)
		}
		if !e.reopen(ctx, &s, &o) {
			return nil
		}
	}
}

// reopen tries until the session is whole again, or ctx is done.
func (e *Engine) reopen(ctx context.Context, s *session, o *outage) bool {
	for {
		if !rest(ctx, e.probes, o.wait()) {
			return false
		}
		err := s.open(e.parts)
		if err == nil {
			o.opened()
			return true
		}
		o.failed("still interrupted, trying again", err)
	}
}

// run runs a session until stop is done or a part of it fails.
func (e *Engine) run(stop context.Context, s session) error {
	ctx, cancel := context.WithCancel(stop)
	defer cancel()
	defer context.AfterFunc(ctx, s.link.Unblock)()

	// What was read may still be sent for a while after a stop, but not
	// after a failure.
	sending, abandon := context.WithCancel(context.WithoutCancel(stop))
	defer abandon()
	defer context.AfterFunc(stop, func() {
		sleep(sending, drainLimit)
		abandon()
	})()

	var (
		parts  sync.WaitGroup
		first  sync.Once
		failed error
	)
	part := func(f func() error) {
		parts.Go(func() {
			if err := f(); err != nil {
				first.Do(func() { failed = err })
				abandon()
				cancel()
			}
		})
	}
	rejoined := make(chan struct{}, 1)
	part(func() error { return e.apply(ctx, s) })
	part(func() error { return e.check(ctx, s.link, rejoined) })
	part(func() error { return newCapture(e, s, rejoined).run(ctx, stop, sending) })
	parts.Wait()
	return failed
}

// apply hands peers' adverts to the sink.
func (e *Engine) apply(ctx context.Context, s session) error {
	for {
		adverts, err := s.link.Receive()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return linkError{err}
		}
		e.counters.Counts.Add(AppliedBatches, 1)
		if err := s.sink.Apply(adverts); err != nil {
			return err
		}
	}
}

// check looks after the link: without news to send, nothing else would notice
// that it went away. What is sent without a carrier reaches nobody, so
// rejoined is told when it is back.
func (e *Engine) check(ctx context.Context, link Link, rejoined chan<- struct{}) error {
	carrier := true
	for sleep(ctx, checkEvery) {
		is, err := link.Check()
		switch {
		case err != nil:
			return linkError{err}
		case carrier && !is:
			e.log.Warn("the interface has no carrier: peers are not reached")
		case !carrier && is:
			e.log.Info("the interface has a carrier again: advertising what this director owns")
			select {
			case rejoined <- struct{}{}:
			default:
			}
		}
		carrier = is
	}
	return nil
}

// rest is sleep of an engine that shows that it lives.
func rest(ctx context.Context, probes <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
			return true
		case <-probes:
		}
	}
}

// sleep reports whether it slept to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
