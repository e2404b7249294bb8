package engine

import "time"

const (
	walkSlice = 10 * time.Millisecond // between two portions of a snapshot
	walkShare = 0.25                  // of the pace, so that news goes first
)

// walk is a snapshot on its way to the peers.
type walk struct {
	snapshot Snapshot // nil: none is in flight
	began    time.Time
	adverts  int // sent of it
}

func (w *walk) inFlight() bool { return w.snapshot != nil }

// end closes the snapshot, where there is one.
func (w *walk) end() {
	if w.snapshot != nil {
		w.snapshot.Close() // it was only read from
		w.snapshot = nil
	}
}

// took returns how long the walk lasted, for messages.
func (w *walk) took() time.Duration { return time.Since(w.began).Round(time.Millisecond) }

// begin begins a walk.
func (c *capture) begin(w *walk, kind Kind) error {
	snapshot, err := c.source.Snapshot(kind)
	if err != nil {
		return err
	}
	*w = walk{snapshot: snapshot, began: time.Now()}
	return nil
}

// advance sends as much of a walk as the pace allows, and counts the adverts.
// It returns false at the end. The walk is over, too, where it fails: by a
// linkError, or because the snapshot could not be read.
func (c *capture) advance(w *walk, adverts Count) (more bool, err error) {
	now := time.Now()
	// What is read is sent at once, even if that is an advert more than
	// there is room for; the pace makes up for it.
	for c.share.ready(now) >= 1 && c.pace.ready(now) >= 1 {
		more, err := w.snapshot.Read(c.out)
		if err != nil {
			c.discard()
			w.end()
			return false, err
		}
		for c.out.Len() > 0 {
			sent, err := c.transmit(c.out.Len())
			c.share.take(sent)
			w.adverts += sent
			c.counters.Counts.Add(adverts, sent)
			if err != nil {
				w.end()
				return false, err
			}
		}
		if !more {
			w.end()
			return false, nil
		}
	}
	return true, nil
}
