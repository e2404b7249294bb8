package guest

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/keyring"
	"github.com/ssyncp/ssyncp/lab/director"
)

// A happening is what can happen to the directors of a soak. It says more exactly
// what it was.
type happening struct {
	name string
	of   func(*soak, *testing.T) string
	anew bool // ssyncpd is another process behind it
}

var happenings = []happening{
	{"a configuration is reloaded", (*soak).reload, false},
	{"ssyncpd is restarted in order", (*soak).restartDaemon, true},
	{"ssyncpd is killed", (*soak).killDaemon, true},
	{"ssyncpd is killed on both directors of the pair", (*soak).killDaemons, true},
	{"keepalived is restarted in order", (*soak).restartKeepalived, false},
	{"keepalived is killed", (*soak).killKeepalived, false},
	{"the sync link flaps", (*soak).flapSync, false},
	{"the link to the clients flaps", (*soak).flapFront, false},
	{"a director loses its power and boots", (*soak).reboot, true},
	{"the key is changed", (*soak).rotateKey, false},
	{"an operator asks for a resync", (*soak).resync, false},
	{"tables are read", (*soak).readTables, false},
}

// keyFiles are what the daemons are configured with at the moment.
type keyFiles struct {
	seals, accepted string
	made            int
}

func (k keyFiles) text() string {
	return fmt.Sprintf("[wire]\nkey_file = %q\nkey_file_accepted = %q\n", k.seals, k.accepted)
}

// one is a director of the pair, any is any director.
func (s *soak) one() int { return s.random.IntN(third) }
func (s *soak) any() int { return s.random.IntN(soakDirectors) }

// pauses for up to a time.
func (s *soak) pause(limit time.Duration) {
	time.Sleep(time.Duration(s.random.Int64N(int64(limit))))
}

// absent is how long something is away: for a moment, or for longer than
// keepalived and ssyncpd wait for anybody.
const (
	moment = 500 * time.Millisecond
	absent = 8 * time.Second
)

func (s *soak) away() {
	limit := moment
	if s.random.IntN(2) == 0 {
		limit = absent
	}
	s.pause(limit)
}

// takesOver waits until the other director of the pair is master: until then,
// from a moment on, streams that begin may be lost.
func (s *soak) takesOver(t *testing.T, from int, since time.Time) {
	t.Helper()
	s.keepalived[1-from].Becomes(t, "MASTER")
	s.unrest.add(since.Add(-twoPeriods), time.Now().Add(twoPeriods))
}

func (s *soak) reload(t *testing.T) string {
	i := s.any()
	name, daemon := s.Directors[i].Name, s.daemons[i]
	text, says := s.config(i).Text(), "configuration reloaded"
	what := name + " is reloaded"
	if s.random.IntN(4) == 0 {
		text, says = text+"[unheard]\nof = 1\n", "configuration refused"
		what = name + " is reloaded with a bad configuration"
	}
	s.reloads(t, daemon, text, says)
	return what
}

func (s *soak) reloads(t *testing.T, daemon *director.Daemon, text, says string) {
	t.Helper()
	said := strings.Count(daemon.Log(), says)
	daemon.Reload(t, text)
	eventually(t, 10*time.Second, func() bool { return strings.Count(daemon.Log(), says) > said }, "it does not say: "+says)
}

// A daemon that is stopped in order on a master tells what begins until it is no
// master any more. Nothing but the change of masters excuses a loss.
func (s *soak) restartDaemon(t *testing.T) string {
	i := s.one()
	s.daemons[i].Stop(t)
	s.away()
	s.startDaemon(t, i)
	return "ssyncpd is restarted on " + s.Directors[i].Name
}

// Between two daemons on a master there is nobody who tells what begins.
func (s *soak) killDaemon(t *testing.T) string {
	i := s.one()
	began := time.Now()
	s.killed(t, i)
	s.away()
	s.startDaemon(t, i)
	s.unrest.add(began.Add(-twoPeriods), time.Now().Add(twoPeriods))
	return "ssyncpd is killed on " + s.Directors[i].Name
}

func (s *soak) killDaemons(t *testing.T) string {
	began := time.Now()
	for i := range third {
		s.killed(t, i)
	}
	s.away()
	for i := range third {
		s.startDaemon(t, i)
	}
	s.unrest.add(began.Add(-twoPeriods), time.Now().Add(twoPeriods))
	return "ssyncpd is killed on both"
}

func (s *soak) restartKeepalived(t *testing.T) string {
	i := s.one()
	began := time.Now()
	s.keepalived[i].Stop(t)
	s.takesOver(t, i, began)
	s.away()
	s.startKeepalived(t, i)
	return "keepalived is restarted on " + s.Directors[i].Name
}

// killKeepalived leaves the addresses and the services where they are.
func (s *soak) killKeepalived(t *testing.T) string {
	i := s.one()
	began := time.Now()
	s.keepalived[i].Kill()
	if s.random.IntN(2) == 0 {
		s.takesOver(t, i, began)
	}
	s.away()
	s.startKeepalived(t, i)
	return "keepalived is killed on " + s.Directors[i].Name
}

func (s *soak) flapSync(t *testing.T) string {
	i := s.any()
	d := s.Directors[i]
	s.CutSync(t, d)
	s.away()
	s.RestoreSync(t, d)
	return "the sync link flaps on " + d.Name
}

func (s *soak) flapFront(t *testing.T) string {
	i := s.one()
	d := s.Directors[i]
	began := time.Now()
	s.CutFront(t, d)
	s.takesOver(t, i, began)
	s.away()
	s.RestoreFront(t, d)
	return "the link to the clients flaps on " + d.Name
}

func (s *soak) reboot(t *testing.T) string {
	i := s.one()
	d := s.Directors[i]
	began := time.Now()
	s.off(t, i)
	s.takesOver(t, i, began)
	s.away()
	s.Reboot(t, d)
	d.ClearRun(t)
	first := "ssyncpd"
	start := []func(*testing.T, int){s.startDaemon, s.startKeepalived}
	if s.random.IntN(2) == 0 {
		first = "keepalived"
		start[0], start[1] = start[1], start[0]
	}
	start[0](t, i)
	s.away()
	start[1](t, i)
	return d.Name + " loses its power and boots, first with " + first
}

// rotateKey takes three steps, each of them on all directors before the next.
func (s *soak) rotateKey(t *testing.T) string {
	s.keys.made++
	fresh := filepath.Join(t.TempDir(), fmt.Sprintf("key-%d", s.keys.made))
	if _, err := keyring.Create(fresh); err != nil {
		t.Fatal(err)
	}
	for _, step := range [][2]string{{s.keys.seals, fresh}, {fresh, s.keys.seals}, {fresh, ""}} {
		s.keys.seals, s.keys.accepted = step[0], step[1]
		for i, daemon := range s.daemons {
			s.reloads(t, daemon, s.config(i).Text(), "configuration reloaded")
		}
	}
	return "the key is changed"
}

func (s *soak) resync(t *testing.T) string {
	i := s.any()
	s.daemons[i].Resync(t)
	return s.Directors[i].Name + " takes a snapshot of all"
}

func (s *soak) readTables(t *testing.T) string {
	for _, d := range s.Directors {
		snapshot(t, d, false)
		snapshot(t, d, true)
	}
	return "tables are read"
}
