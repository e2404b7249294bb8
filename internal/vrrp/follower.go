package vrrp

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// Director is who is asked: *cluster.Director.
type Director interface {
	Status(ctx context.Context) (peering.Status, error)
	// Announce tells peers of everything that this director owns.
	Announce(ctx context.Context) error
	// Resync asks peers for what they own; sender ID 0 is all.
	Resync(ctx context.Context, sender uint32) (asked int, err error)
}

const (
	patience   = 3 * time.Second // with a director
	busyAgain  = time.Second     // until a director that takes a snapshot is asked again
	retryAgain = 10 * time.Second
)

// Follower has the director do what roles ask for.
type Follower struct {
	director Director // nil: roles are only remembered
	counters Counters
	log      *slog.Logger
	woken    chan struct{}

	mu    sync.Mutex
	roles instances
}

// NewFollower returns one that knows of no roles. The director is nil with
// version 1 of the protocol.
func NewFollower(d Director, c Counters, log *slog.Logger) *Follower {
	return &Follower{director: d, counters: c, log: log, woken: make(chan struct{}, 1)}
}

// Set gives an instance a role, and returns at once. None is for one that is
// gone.
func (f *Follower) Set(name string, role Role) error {
	f.mu.Lock()
	before, err := f.roles.set(time.Now(), name, role)
	f.mu.Unlock()
	switch {
	case err != nil:
		f.counters.Troubles.Add(RefusedRoles, 1)
		return err
	case before == role:
		return nil
	}
	f.counters.Counts.Add(Changes, 1)
	f.log.Info("a VRRP instance has another role", "instance", name, "role", role, "before", before)
	select {
	case f.woken <- struct{}{}:
	default:
	}
	return nil
}

// Instances returns those that have a role, by name.
func (f *Follower) Instances() []Instance {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.roles.list()
}

// Run does what roles ask for, one thing at a time, until ctx is done.
func (f *Follower) Run(ctx context.Context) {
	if f.director == nil {
		<-ctx.Done()
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.woken:
		case <-timer.C:
		}
		f.mu.Lock()
		now := time.Now()
		announce, resync := f.roles.announce.due(now), f.roles.resync.due(now)
		f.mu.Unlock()
		if announce {
			f.announce(ctx)
		}
		if resync {
			f.resync(ctx)
		}
		f.mu.Lock()
		next := f.roles.next()
		f.mu.Unlock()
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(time.Until(next))
		}
	}
}

func (f *Follower) announce(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := f.director.Announce(limited); err != nil {
		f.failed(ctx, AnnounceFailed, &f.roles.announce, "peers are not told what this master has, trying again", err)
		return
	}
	f.counters.Counts.Add(Announcements, 1)
	f.log.Info("as the new master, peers are told of what this director has")
}

// resync asks for what this director may have missed, unless that is going on.
func (f *Follower) resync(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	const failed = "peers are not asked for what this backup missed, trying again"
	status, err := f.director.Status(limited)
	switch {
	case err != nil:
		f.failed(ctx, ResyncFailed, &f.roles.resync, failed, err)
		return
	case status.State == block.StateJoining:
		f.counters.Counts.Add(Covered, 1)
		return
	case taking(status):
		f.later(&f.roles.resync, busyAgain)
		return
	}
	asked, err := f.director.Resync(limited, 0)
	if err != nil {
		f.failed(ctx, ResyncFailed, &f.roles.resync, failed, err)
		return
	}
	f.counters.Counts.Add(Resyncs, 1)
	f.log.Info("as a new backup, peers are asked for what they have", "asked", asked)
}

// taking reports whether snapshots are being taken, or wait for their turn.
func taking(s peering.Status) bool {
	if s.Taking != nil {
		return true
	}
	for i := range s.Peers {
		if p := &s.Peers[i]; p.Resync && p.Proven && !p.Lost {
			return true
		}
	}
	return false
}

func (f *Follower) failed(ctx context.Context, t Trouble, e *errand, what string, err error) {
	if ctx.Err() != nil {
		return // a stop
	}
	f.counters.Troubles.Add(t, 1)
	f.log.Warn(what, "error", err, "in", retryAgain)
	f.later(e, retryAgain)
}

func (f *Follower) later(e *errand, wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e.again(time.Now().Add(wait))
	f.roles.forget()
}
