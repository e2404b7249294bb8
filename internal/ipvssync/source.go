package ipvssync

import (
	"errors"
	"fmt"
	"time"

	"github.com/ssyncp/ssyncp/internal/engine"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// Source is the news of this director's connections.
type Source struct {
	options Options
	capture *ipvsdevice.Capture
	packer  packer
}

// OpenSource attaches to the queue of this network namespace.
func OpenSource(o Options) (*Source, error) {
	packer, err := newPacker(o)
	if err != nil {
		return nil, err
	}
	capture, err := ipvsdevice.OpenCapture(o.Open, chardev.DefaultBatchSize, o.Linger)
	if err != nil {
		return nil, err
	}
	return &Source{options: o, capture: capture, packer: packer}, nil
}

// Read is engine.Source's.
func (s *Source) Read(out *engine.Outbox) (engine.Reading, error) {
	batch, err := s.capture.Read()
	r := engine.Reading{Pause: s.capture.Pause()}
	if batch == nil || err != nil {
		return r, err
	}
	r.Entries = s.packer.take(batch, out)
	r.More = batch.Full()
	r.Lost = batch.Events()&chardev.EventLost != 0
	if batch.Err() != nil {
		// What follows in the batch cannot be found any more.
		s.options.Counters.Skipped.Add(SkipMalformed, 1)
		r.Lost = true
	}
	return r, nil
}

// Flush is engine.Source's.
func (s *Source) Flush(out *engine.Outbox) { s.packer.flush(out) }

// Close leaves the queue to the next one, for the time of Options.Linger.
func (s *Source) Close() error { return s.capture.Close() }

// Snapshot is engine.Source's.
func (s *Source) Snapshot(kind engine.Kind) (engine.Snapshot, error) {
	packer, err := newPacker(s.options)
	if err != nil {
		return nil, err
	}
	device, err := s.options.Open.Attach(chardev.AttachOptions{
		Mode: chardev.ModeSnapshot, Owned: true, Due: kind == engine.Due,
	})
	if errors.Is(err, chardev.ErrUnsupported) {
		return nil, fmt.Errorf("%w: %w", engine.ErrNoSnapshot, err)
	} else if err != nil {
		return nil, err
	}
	return &snapshot{device: device, batch: chardev.NewBatch(snapshotBatch), packer: packer}, nil
}

// SweepEvery is engine.Source's.
func (s *Source) SweepEvery() (time.Duration, error) { return s.capture.SweepEvery() }
