package vrrp

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// follow runs a follower of a director until the test ends.
func follow(t *testing.T, d Director) (*Follower, *output) {
	t.Helper()
	log, out := logger()
	f := NewFollower(d, NewCounters(), log)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { f.Run(ctx); close(ended) }()
	t.Cleanup(func() { stop(); <-ended })
	return f, out
}

func (f *Follower) mustSet(t *testing.T, name string, r Role) {
	t.Helper()
	if err := f.Set(name, r); err != nil {
		t.Error(err)
	}
}

func TestDirectorIsAskedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &director{status: peering.Status{State: block.StateSynced}}
		f, log := follow(t, d)
		time.Sleep(time.Hour)
		d.did(t, 0, 0)
		for range 30 { // keepalived flaps for a minute
			f.mustSet(t, "VI_1", Master)
			f.mustSet(t, "VI_2", Backup)
			time.Sleep(time.Second)
			f.mustSet(t, "VI_1", Backup)
			f.mustSet(t, "VI_2", Master)
			time.Sleep(time.Second)
		}
		d.did(t, 1, 1)
		time.Sleep(time.Minute)
		d.did(t, 2, 2)
		time.Sleep(time.Hour)
		d.did(t, 2, 2)
		if !strings.Contains(log.String(), `msg="a VRRP instance has another role" instance=VI_1 role=master before=stop`) {
			t.Errorf("log: %s", log)
		}
	})
}

func TestResyncIsNotAskedForWhileItGoesOn(t *testing.T) {
	waiting := peering.PeerStatus{Proven: true, Resync: true}
	lost := waiting
	lost.Lost = true
	for _, tt := range []struct {
		name          string
		status        peering.Status
		during, after int // resyncs
	}{
		{"joining does the same", peering.Status{State: block.StateJoining}, 0, 0},
		{"a snapshot is being taken", peering.Status{State: block.StateSynced, Taking: &waiting}, 0, 1},
		{"a snapshot waits for its turn", peering.Status{State: block.StateSynced, Peers: []peering.PeerStatus{waiting}}, 0, 1},
		{"one that nobody is there for", peering.Status{State: block.StateSynced, Peers: []peering.PeerStatus{lost}}, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &director{status: tt.status}
				f, _ := follow(t, d)
				f.mustSet(t, "VI_1", Backup)
				time.Sleep(20 * time.Second)
				d.did(t, 0, tt.during)
				d.do(func() { d.status = peering.Status{State: block.StateSynced} })
				time.Sleep(2 * time.Second)
				d.did(t, 0, tt.after)
			})
		})
	}
}

func TestDirectorThatDoesNotAnswerIsAskedAgain(t *testing.T) {
	for name, broken := range map[string]*director{
		"it hangs": {hangs: true}, "it is stopped": {err: errors.New("the director does not run")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				broken.status.State = block.StateSynced
				f, log := follow(t, broken)
				f.mustSet(t, "VI_1", Master)
				f.mustSet(t, "VI_2", Backup)
				time.Sleep(time.Second)
				f.mustSet(t, "VI_3", Master) // while the director is asked, where it hangs
				time.Sleep(29 * time.Second)
				broken.did(t, 0, 0)
				broken.do(func() { broken.hangs, broken.err = false, nil })
				time.Sleep(15 * time.Second)
				broken.did(t, 1, 1)
				for _, trouble := range []Trouble{AnnounceFailed, ResyncFailed} {
					if n := f.counters.Troubles.Value(trouble); n == 0 || n > 5 {
						t.Errorf("%d of trouble %d", n, trouble)
					}
				}
				if !strings.Contains(log.String(), "level=WARN") {
					t.Errorf("log: %s", log)
				}
			})
		})
	}
}

func TestDirectorIsNotAskedAgainForARoleThatIsOver(t *testing.T) {
	for _, role := range []Role{Master, Backup} {
		t.Run(role.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &director{hangs: true}
				d.status.State = block.StateSynced
				f, _ := follow(t, d)
				f.mustSet(t, "VI_1", role)
				time.Sleep(time.Second) // it is being asked
				f.mustSet(t, "VI_1", Fault)
				time.Sleep(5 * time.Second)
				d.do(func() { d.hangs = false })
				time.Sleep(20 * time.Second)
				d.did(t, 0, 0)
				// Nothing was done, so there is nothing to wait a minute for.
				f.mustSet(t, "VI_1", role)
				time.Sleep(time.Second)
				if role == Master {
					d.did(t, 1, 0)
				} else {
					d.did(t, 0, 1)
				}
			})
		})
	}
}

func TestRolesWithoutADirectorAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := follow(t, nil)
		f.mustSet(t, "VI_1", Master)
		time.Sleep(time.Minute)
		if got := f.Instances(); len(got) != 1 || got[0].Role != Master || time.Since(got[0].Since) != time.Minute {
			t.Errorf("got %v", got)
		}
	})
}

func TestRefusedRolesAreCounted(t *testing.T) {
	log, _ := logger()
	f := NewFollower(nil, NewCounters(), log)
	if err := f.Set("", Master); !errors.Is(err, ErrName) || f.counters.Troubles.Value(RefusedRoles) != 1 {
		t.Errorf("%v, counted %d", err, f.counters.Troubles.Value(RefusedRoles))
	}
}
