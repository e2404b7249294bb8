package engine

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	checkEvery = time.Second // of the link

	reopenMin = 200 * time.Millisecond
	reopenMax = 5 * time.Second
)

// Settings may change while the engine runs.
type Settings struct {
	Period time.Duration // between two reads of the source
	MaxPPS int           // adverts a second, at least 1
}

// Engine runs sessions, one after the other.
type Engine struct {
	open     func() (Session, error)
	size     int
	log      *slog.Logger
	settings atomic.Pointer[Settings]
	counters Counters
}

// New returns an engine. open opens everything or nothing; advertSize is the
// longest advert that a source builds.
func New(open func() (Session, error), advertSize int, s Settings, log *slog.Logger) *Engine {
	e := &Engine{open: open, size: advertSize, log: log, counters: newCounters()}
	e.Set(s)
	return e
}

// Set changes the settings. A running engine has them from the next period on.
func (e *Engine) Set(s Settings) { e.settings.Store(&s) }

// Counters returns the engine's counters.
func (e *Engine) Counters() Counters { return e.counters }

// Run runs until ctx is done; then what is queued has been sent, and the error
// is nil. It fails only where the first session cannot be opened: later ones
// are tried until they can.
func (e *Engine) Run(ctx context.Context) error {
	s, err := e.open()
	if err != nil {
		return err
	}
	for {
		e.counters.Counts.Add(Sessions, 1)
		err := e.run(ctx, s)
		if closing := s.close(); closing != nil {
			e.log.Debug("close", "error", closing)
		}
		if ctx.Err() != nil {
			if err != nil {
				e.log.Error("stopped before everything was sent", "error", err)
			}
			return nil
		}
		e.log.Error("synchronization interrupted, opening device and interface again", "error", err)
		var ok bool
		if s, ok = e.reopen(ctx, err); !ok {
			return nil
		}
		e.log.Info("synchronization goes on")
	}
}

// reopen tries until a session is open or ctx is done. It says why it cannot
// once for every different reason.
func (e *Engine) reopen(ctx context.Context, reason error) (Session, bool) {
	said := reason.Error()
	for wait := reopenMin; ; wait = min(2*wait, reopenMax) {
		if !sleep(ctx, wait) {
			return Session{}, false
		}
		s, err := e.open()
		if err == nil {
			return s, true
		}
		if err.Error() != said {
			said = err.Error()
			e.log.Error("still interrupted, trying again", "error", err)
		}
	}
}

// run runs a session until stop is done or a part of it fails.
func (e *Engine) run(stop context.Context, s Session) error {
	ctx, cancel := context.WithCancel(stop)
	defer cancel()
	defer context.AfterFunc(ctx, s.Link.Unblock)()

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
	part(func() error { return e.apply(ctx, s) })
	part(func() error { return check(ctx, s.Link) })
	part(func() error { return newCapture(e, s).run(ctx, stop, sending) })
	parts.Wait()
	return failed
}

// apply hands peers' adverts to the sink.
func (e *Engine) apply(ctx context.Context, s Session) error {
	for {
		adverts, err := s.Link.Receive()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		e.counters.Counts.Add(AppliedBatches, 1)
		if err := s.Sink.Apply(adverts); err != nil {
			return err
		}
	}
}

// check looks after the link: without news to send, nothing else would notice
// that it went away.
func check(ctx context.Context, link Link) error {
	for sleep(ctx, checkEvery) {
		if err := link.Check(); err != nil {
			return err
		}
	}
	return nil
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
