package daemon

import (
	"context"
	"sync"

	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/vrrp"
)

// follow has the speaker follow VRRP until ctx is done, and VRRP follow the speaker
// until leaving is done, or ctx; ended waits for the end of it. The track file is 0
// before the speaker runs.
func (d *daemon) follow(ctx, leaving context.Context, cfg config.VRRP) (ended func(), err error) {
	director := d.speaker.director()
	d.vrrp = vrrp.NewCounters()
	d.roles = vrrp.NewFollower(director, d.vrrp, d.log)
	runs := []func(){func() { d.roles.Run(ctx) }}

	var track *vrrp.Track
	if cfg.TrackFile != "" && director != nil {
		track, err = vrrp.OpenTrack(cfg.TrackFile, d.vrrp, d.log)
		switch {
		case err == nil:
			d.untracked = make(chan bool, 1)
			tracking, untrack := context.WithCancel(ctx)
			context.AfterFunc(leaving, untrack)
			runs = append(runs, func() {
				track.Watch(tracking, director)
				d.untracked <- track.Said()
			})
		case cfg.TrackFileRequired():
			return nil, err
		default:
			d.log.Warn("keepalived cannot know whether this director is synced", "error", err)
		}
	}
	if cfg.FIFO != "" {
		fifo, err := vrrp.OpenFIFO(cfg.FIFO, d.vrrp, d.log)
		if err != nil {
			if track != nil {
				track.Close()
			}
			return nil, err
		}
		runs = append(runs, func() { fifo.Run(ctx, d.roles.Set) })
	}
	var all sync.WaitGroup
	for _, run := range runs {
		all.Go(run)
	}
	return all.Wait, nil
}

// leave stops the daemon when leaving is done, but not before another director
// has the addresses: the track file, which goes first, gives them away.
func (d *daemon) leave(ctx, leaving context.Context, stop func()) {
	select {
	case <-ctx.Done():
		return
	case <-leaving.Done():
	}
	defer stop()
	if d.untracked != nil && <-d.untracked {
		d.roles.HandOver(ctx)
	}
}
