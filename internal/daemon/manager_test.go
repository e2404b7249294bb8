package daemon

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// service plays a service manager, and a speaker that may hang.
type service struct {
	mu     sync.Mutex
	told   []string
	status string
	hangs  bool
	absent bool
	log    strings.Builder
}

// managed runs f while a manager with a watchdog of 30 s runs.
func managed(t *testing.T, s *service, f func(m *manager)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := &manager{
			alive: func(ctx context.Context) (string, error) {
				status, hangs := s.state()
				if hangs {
					<-ctx.Done()
					return "", ctx.Err()
				}
				return status, nil
			},
			notify: func(state string) (bool, error) {
				s.do(func() { s.told = append(s.told, state) })
				return !s.absent, nil
			},
			log:      slog.New(slog.NewTextHandler(&s.log, nil)),
			watchdog: 30 * time.Second,
		}
		stop := serve(t.Context(), m.run)
		synctest.Wait()
		f(m)
		stop()
	})
}

func (s *service) do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *service) state() (status string, hangs bool) {
	s.do(func() { status, hangs = s.status, s.hangs })
	return status, hangs
}

// pass lets time pass, until everybody waits again.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (s *service) count(what string) (n int) {
	for _, state := range s.told {
		n += strings.Count(state, what)
	}
	return n
}

func TestManagerIsToldOfTheLifeOfADaemon(t *testing.T) {
	s := &service{status: "joining, peers: 0"}
	managed(t, s, func(m *manager) {
		if len(s.told) != 1 || s.told[0] != "WATCHDOG=1\nREADY=1\nSTATUS=joining, peers: 0" {
			t.Errorf("first: %q", s.told)
		}
		pass(time.Minute)
		if n := s.count("WATCHDOG=1"); n < 12 || s.count("READY=1") != 1 || s.count("STATUS=") != 1 {
			t.Errorf("in a minute: %q", s.told)
		}
		s.do(func() { s.status = "synced, peers: 1" })
		pass(6 * time.Second)
		if s.count("STATUS=synced, peers: 1") != 1 {
			t.Errorf("a change: %q", s.told)
		}
		s.do(func() { s.told = nil })
		over := m.reloading()
		if len(s.told) != 1 || !strings.HasPrefix(s.told[0], "RELOADING=1\nMONOTONIC_USEC=") {
			t.Errorf("reload: %q", s.told)
		}
		if over(); len(s.told) != 2 || s.told[1] != "READY=1" {
			t.Errorf("after a reload: %q", s.told)
		}
	})
	if last := s.told[len(s.told)-1]; !strings.HasPrefix(last, "STOPPING=1\n") || s.count("STOPPING=1") != 1 {
		t.Errorf("at the end: %q", s.told)
	}
}

func TestDaemonIsReadyWhenItsLoopRuns(t *testing.T) {
	s := &service{hangs: true}
	managed(t, s, func(m *manager) {
		pass(time.Hour)
		m.reloading()()
		if len(s.told) != 0 {
			t.Errorf("told %q", s.told)
		}
	})
	if s.count("READY=1") != 0 || s.count("STOPPING=1") != 1 {
		t.Errorf("told %q", s.told)
	}
}

func TestLoopThatHangsLetsTheWatchdogBite(t *testing.T) {
	s := &service{status: "synced, peers: 1"}
	managed(t, s, func(*manager) {
		s.do(func() { s.hangs, s.told = true, nil })
		pass(time.Minute)
		if s.count("WATCHDOG=1") != 0 || s.count("STATUS=does not answer") != 1 {
			t.Errorf("told %q", s.told)
		}
		if n := strings.Count(s.log.String(), "does not answer"); n != 1 {
			t.Errorf("logged %d times: %s", n, s.log.String())
		}
		s.do(func() { s.hangs = false })
		pass(12 * time.Second)
		if s.count("WATCHDOG=1") == 0 || s.count("STATUS=synced, peers: 1") != 1 {
			t.Errorf("afterwards: %q", s.told)
		}
	})
}

func TestWithoutAManagerNobodyIsTold(t *testing.T) {
	s := &service{status: "synced, peers: 0", absent: true}
	managed(t, s, func(*manager) { pass(time.Minute) })
	if len(s.told) != 1 {
		t.Errorf("told %q", s.told)
	}
}
