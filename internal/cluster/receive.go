package cluster

import (
	"context"

	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// received is a good frame.
type received struct {
	from peering.Origin
	body block.Body
}

// batch is what a receiver hands over. Its memory is the receiver's again
// when done was told.
type batch struct {
	frames []received
	failed error // of the link, which is closed by then
	link   int
	done   chan<- struct{}
}

// receiver takes the frames of one link.
type receiver struct {
	link     Link
	index    int
	director *Director
	keys     *Keys // that the opener is for
	opener   *frame.Opener
	frames   []received
}

// run hands over what comes until the link fails or is told to stop.
func (r *receiver) run(ctx context.Context, inbox chan<- batch) {
	done := make(chan struct{}, 1)
	hand := func(b batch) bool {
		b.link, b.done = r.index, done
		select {
		case inbox <- b:
		case <-ctx.Done():
			return false
		}
		select {
		case <-done:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for {
		datagrams, err := r.link.Receive()
		if err == nil {
			err = r.open(datagrams)
		}
		if err != nil {
			hand(batch{failed: err})
			return
		}
		if len(r.frames) > 0 && !hand(batch{frames: r.frames}) {
			return
		}
	}
}

// open collects the good frames among datagrams.
func (r *receiver) open(datagrams []Datagram) (err error) {
	d := r.director
	if keys := &d.settings.Load().Keys; keys != r.keys {
		if r.opener, err = keys.opener(d.cfg.SyncID); err != nil {
			return err
		}
		r.keys = keys
	}
	r.frames = r.frames[:0]
	for i := range datagrams {
		body, err := r.opener.Open(datagrams[i].Payload)
		var parsed block.Body
		if err == nil {
			parsed, err = block.Parse(body)
		}
		switch {
		case err == nil:
			r.frames = append(r.frames, received{peering.Origin{Addr: datagrams[i].From, Link: r.index}, parsed})
		case d.cfg.Bilingual && frame.VersionOf(datagrams[i].Payload) == 1:
			d.counters.Counts.Add(OtherTongue, 1)
		default:
			d.counters.Refused.Add(refusal(err), 1)
		}
	}
	d.counters.Counts.Add(Opened, len(r.frames))
	return nil
}
