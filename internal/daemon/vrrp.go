package daemon

import (
	"context"
	"sync"

	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/vrrp"
)

// follow has the speaker follow VRRP, and VRRP follow the speaker, until ctx is
// done; ended waits for the end of it. The track file is 0 before the speaker
// runs.
func (d *daemon) follow(ctx context.Context, cfg config.VRRP) (ended func(), err error) {
	director := d.speaker.director()
	d.vrrp = vrrp.NewCounters()
	d.roles = vrrp.NewFollower(director, d.vrrp, d.log)
	runs := []func(){func() { d.roles.Run(ctx) }}

	var track *vrrp.Track
	if cfg.TrackFile != "" && director != nil {
		track, err = vrrp.OpenTrack(cfg.TrackFile, d.vrrp, d.log)
		switch {
		case err == nil:
			runs = append(runs, func() { track.Watch(ctx, director) })
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
