package ipvsclass

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ssyncp/ssyncp/internal/cluster"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// behind is how much older than it is a walk tells what it read. News of the same
// connection may have been read later and told before: a peer must not take what
// a walk says for fresher, although its message may have taken longer by so
// much. The slack that the module gives to a state that is further on is larger.
const behind = 500 * time.Millisecond

// readsPerBody bounds how long one Read takes where a filter lets little pass.
const readsPerBody = 4

// reader is what a walk reads into. It is used again: sweeps are frequent.
type reader struct {
	batch  *chardev.Batch
	packer *packer
}

// walk goes over a snapshot of the table.
type walk struct {
	objects *Objects
	device  ipvsdevice.Device
	*reader
	read  time.Time // when what is left was read
	ended bool      // there is nothing behind that
}

// Walk is cluster.Objects'. Nothing of the table is kept but what one read of
// the device brings, until it is in a body.
func (o *Objects) Walk(kind cluster.Kind) (peering.Walk, error) {
	device, err := o.open.Attach(chardev.AttachOptions{
		Mode: chardev.ModeSnapshot, Owned: kind != cluster.All, Due: kind == cluster.Due,
	})
	if err != nil {
		return nil, err
	}
	w := &walk{objects: o, device: device}
	if n := len(o.idle); n > 0 {
		w.reader, o.idle = o.idle[n-1], o.idle[:n-1]
	} else {
		w.reader = &reader{batch: chardev.NewBatch(batchSize), packer: newPacker(o.filter, o.counters)}
	}
	return w, nil
}

// Read is peering.Walk's. What it appends may be nothing before the end, where
// a filter lets little pass.
func (w *walk) Read(body []byte, limit int) (read []byte, more bool, err error) {
	p := w.packer
	if err := p.begin(body, limit); err != nil {
		return body, false, err
	}
	for range readsPerBody {
		if !p.pending() && !w.ended {
			if err := w.load(); err != nil {
				return body, false, err
			}
		}
		// Its age goes on while it is kept.
		p.fill(time.Since(w.read) + behind)
		if p.pending() || w.ended {
			break
		}
	}
	if blocks := p.finish(); blocks != nil {
		body = blocks
	}
	return body, p.pending() || !w.ended, nil
}

// load reads the next part of the table.
func (w *walk) load() error {
	// Before, not behind: what is told may pass for older, never for fresher
	// news than it is.
	w.read = time.Now()
	ok, err := w.device.ReadBatch(w.batch)
	switch {
	case errors.Is(err, io.EOF):
		w.ended = true
		return nil
	case err != nil:
		return err
	case !ok: // a snapshot is never without something to read
		return fmt.Errorf("ipvsclass: %w", chardev.ErrNoEnd)
	}
	if _, err := w.packer.load(w.batch); err != nil {
		w.objects.counters.Skipped.Add(SkipMalformed, 1)
		return err
	}
	return nil
}

// Close is peering.Walk's.
func (w *walk) Close() {
	if w.reader == nil {
		return
	}
	w.packer.drop()
	w.objects.idle = append(w.objects.idle, w.reader)
	w.reader = nil
	w.device.Close()
}
