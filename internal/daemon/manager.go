package daemon

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	sdnotify "github.com/coreos/go-systemd/v22/daemon"
)

// statusEvery is how often the manager is told how things are, where no
// watchdog wants to know it more often.
const statusEvery = 5 * time.Second

// manager tells the service manager, if there is one, when the daemon is ready,
// how it is, and that it lives: what proves it is an answer of the goroutine
// that does the work.
type manager struct {
	alive    func(ctx context.Context) (status string, err error)
	notify   func(state string) (told bool, err error)
	log      *slog.Logger
	watchdog time.Duration // 0: there is none
	ready    atomic.Bool
}

func newManager(s speaker, log *slog.Logger) *manager {
	m := &manager{
		alive:  s.alive,
		notify: func(state string) (bool, error) { return sdnotify.SdNotify(false, state) },
		log:    log,
	}
	var err error
	if m.watchdog, err = sdnotify.SdWatchdogEnabled(false); err != nil {
		log.Warn("the watchdog of the service manager cannot be understood: there is none", "error", err)
	}
	return m
}

// run tells until ctx is done.
func (m *manager) run(ctx context.Context) {
	every := statusEvery
	if m.watchdog > 0 {
		every = min(every, m.watchdog/3)
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	said, silent := "", false
	for {
		status, err := m.ask(ctx, every)
		switch {
		case ctx.Err() != nil:
			m.tell(sdnotify.SdNotifyStopping + "\nSTATUS=stops, and sends what is queued")
			return
		case err != nil && !silent && m.ready.Load():
			silent = true
			m.log.Error("the loop that does the work does not answer; the service manager's watchdog ends the daemon if it goes on", "error", err)
			m.tell("STATUS=does not answer")
		case err == nil:
			text := ""
			if m.watchdog > 0 {
				text = sdnotify.SdNotifyWatchdog + "\n"
			}
			if !m.ready.Swap(true) {
				text += sdnotify.SdNotifyReady + "\n"
			}
			if status != said || silent {
				text += "STATUS=" + status
			}
			said, silent = status, false
			if text != "" && !m.tell(text) {
				return // there is no manager
			}
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// ask waits for an answer: until the first one as long as it takes, since the
// manager bounds the time of a start.
func (m *manager) ask(ctx context.Context, limit time.Duration) (string, error) {
	if !m.ready.Load() {
		return m.alive(ctx)
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return m.alive(limited)
}

// tell reports whether there is a manager.
func (m *manager) tell(state string) bool {
	told, err := m.notify(state)
	if err != nil {
		m.log.Warn("the service manager cannot be told", "state", state, "error", err)
	}
	return told || err != nil
}

// reloading tells of a reload that begins. The manager waits until it is over.
func (m *manager) reloading() (over func()) {
	if !m.ready.Load() {
		return func() {}
	}
	m.tell(sdnotify.SdNotifyReloading + "\n" + sdnotify.SdNotifyMonotonicUsec())
	return func() { m.tell(sdnotify.SdNotifyReady) }
}
