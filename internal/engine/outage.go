package engine

import (
	"log/slog"
	"sync"
	"time"
)

const (
	reopenMin  = 200 * time.Millisecond
	reopenMax  = 5 * time.Second
	reopenCalm = 10 * time.Second // a session that lasts so long has recovered
)

// outage is the time from a session's failure until one lasts. A link can open
// and fail at its first advert, again and again: the back-off goes on through
// that, and every reason is logged once.
type outage struct {
	log *slog.Logger

	mu       sync.Mutex
	backoff  time.Duration
	said     map[string]bool
	failures int  // of sessions, not of attempts to open one
	silent   bool // that a session is open again was not said
}

// failed takes note of a failure, and logs a reason that is new.
func (o *outage) failed(what string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.said[err.Error()] {
		return
	}
	if o.said == nil {
		o.said = make(map[string]bool)
	}
	o.said[err.Error()] = true
	o.log.Error(what, "error", err)
}

// wait returns the time until the next attempt.
func (o *outage) wait() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.backoff = min(max(2*o.backoff, reopenMin), reopenMax)
	return o.backoff
}

// opened says so the first time; after that a session has to last.
func (o *outage) opened() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failures++
	o.silent = o.failures > 1
	if !o.silent {
		o.log.Info("synchronization goes on")
	}
}

// over ends the outage: what fails from now on is another one.
func (o *outage) over() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.silent {
		o.log.Info("synchronization goes on")
	}
	o.backoff, o.said, o.failures, o.silent = 0, nil, 0, false
}
