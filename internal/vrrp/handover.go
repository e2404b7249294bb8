package vrrp

import (
	"context"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

const (
	// handOverWithin is more than a backup waits for a better master, where
	// adverts are a second apart: three of them, and up to one more.
	handOverWithin = 5 * time.Second
	handOverLook   = 20 * time.Millisecond
)

// HandOver returns when this host is master of nothing any more: what begins until
// then is told to the others, who would not know it otherwise. It is for a daemon
// that stops, whose track file has gone. Where no peer is synced nobody takes the
// addresses, and it returns at once.
func (f *Follower) HandOver(ctx context.Context) {
	if !f.isMaster() || !f.hasHeir(ctx) {
		return
	}
	f.log.Info("still telling peers what begins, until this director is master no more", "within", handOverWithin)
	limited, cancel := context.WithTimeout(ctx, handOverWithin)
	defer cancel()
	ticker := time.NewTicker(handOverLook)
	defer ticker.Stop()
	for f.isMaster() {
		select {
		case <-ticker.C:
		case <-limited.Done():
			if ctx.Err() == nil {
				f.counters.Troubles.Add(NotHandedOver, 1)
				f.log.Warn("this director is master still: of what begins from now on peers are not told", "after", handOverWithin)
			}
			return
		}
	}
}

func (f *Follower) isMaster() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.roles.any(Master)
}

// hasHeir reports whether a peer can be in this director's place.
func (f *Follower) hasHeir(ctx context.Context) bool {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	status, err := f.director.Status(limited)
	if err != nil {
		f.counters.Troubles.Add(Unanswered, 1)
		return false
	}
	for i := range status.Peers {
		if p := &status.Peers[i]; p.Proven && !p.Lost && (p.State == block.StateSynced || p.State == block.StateDegraded) {
			return true
		}
	}
	return false
}
