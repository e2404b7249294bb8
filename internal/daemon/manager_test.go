package daemon

import (
	"context"
	"log/slog"
	"slices"
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
	log    logText
}

// logText is written by the manager while a test reads it.
type logText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// alive answers as a speaker does.
func (s *service) alive(ctx context.Context) (string, error) {
	s.mu.Lock()
	hangs, status := s.hangs, s.status
	s.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return "", ctx.Err()
	}
	return status, nil
}

// notify hears what the manager is told.
func (s *service) notify(state string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, state)
	return !s.absent, nil
}

// becomes sets how the speaker is from now on, and forgets what was told.
func (s *service) becomes(status string, hangs bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.hangs, s.told = status, hangs, nil
}

// heard returns what was told.
func (s *service) heard() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.told)
}

// managed runs f while a manager with a watchdog of 30 s runs.
func managed(t *testing.T, s *service, f func(m *manager)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := &manager{
			alive:    s.alive,
			notify:   s.notify,
			log:      slog.New(slog.NewTextHandler(&s.log, nil)),
			watchdog: 30 * time.Second,
		}
		stop := serve(t.Context(), m.run)
		synctest.Wait()
		f(m)
		stop()
	})
}

func (s *service) count(what string) (n int) {
	for _, state := range s.heard() {
		n += strings.Count(state, what)
	}
	return n
}

func TestManagerIsToldOfTheLifeOfADaemon(t *testing.T) {
	s := &service{status: "joining, peers: 0"}
	managed(t, s, func(m *manager) {
		if told := s.heard(); len(told) != 1 || told[0] != "WATCHDOG=1\nREADY=1\nSTATUS=joining, peers: 0" {
			t.Errorf("first: %q", s.heard())
		}
		time.Sleep(time.Minute)
		if n := s.count("WATCHDOG=1"); n < 12 || s.count("READY=1") != 1 || s.count("STATUS=") != 1 {
			t.Errorf("in a minute: %q", s.heard())
		}
		s.becomes("synced, peers: 1", false)
		time.Sleep(6 * time.Second)
		if s.count("STATUS=synced, peers: 1") != 1 {
			t.Errorf("a change: %q", s.heard())
		}
		s.becomes("synced, peers: 1", false)
		over := m.reloading()
		if told := s.heard(); len(told) != 1 || !strings.HasPrefix(told[0], "RELOADING=1\nMONOTONIC_USEC=") {
			t.Errorf("reload: %q", s.heard())
		}
		over()
		if told := s.heard(); len(told) != 2 || told[1] != "READY=1" {
			t.Errorf("after a reload: %q", s.heard())
		}
	})
	if told := s.heard(); !strings.HasPrefix(told[len(told)-1], "STOPPING=1\n") || s.count("STOPPING=1") != 1 {
		t.Errorf("at the end: %q", s.heard())
	}
}

func TestDaemonIsReadyWhenItsLoopRuns(t *testing.T) {
	s := &service{hangs: true}
	managed(t, s, func(m *manager) {
		time.Sleep(time.Hour)
		m.reloading()()
		if len(s.heard()) != 0 {
			t.Errorf("told %q", s.heard())
		}
	})
	if s.count("READY=1") != 0 || s.count("STOPPING=1") != 1 {
		t.Errorf("told %q", s.heard())
	}
}

func TestLoopThatHangsLetsTheWatchdogBite(t *testing.T) {
	s := &service{status: "synced, peers: 1"}
	managed(t, s, func(*manager) {
		s.becomes("synced, peers: 1", true)
		time.Sleep(time.Minute)
		if s.count("WATCHDOG=1") != 0 || s.count("STATUS=does not answer") != 1 {
			t.Errorf("told %q", s.heard())
		}
		if n := strings.Count(s.log.String(), "does not answer"); n != 1 {
			t.Errorf("logged %d times: %s", n, s.log.String())
		}
		s.becomes("synced, peers: 1", false)
		time.Sleep(12 * time.Second)
		if s.count("WATCHDOG=1") == 0 || s.count("STATUS=synced, peers: 1") != 1 {
			t.Errorf("afterwards: %q", s.heard())
		}
	})
}

func TestWithoutAManagerNobodyIsTold(t *testing.T) {
	s := &service{status: "synced, peers: 0", absent: true}
	managed(t, s, func(*manager) { time.Sleep(time.Minute) })
	if len(s.heard()) != 1 {
		t.Errorf("told %q", s.heard())
	}
}
