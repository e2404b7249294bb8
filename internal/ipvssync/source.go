package ipvssync

import (
	"errors"
	"fmt"
	"time"

	"github.com/ssyncp/ssyncp/internal/engine"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// Source is the news of this director's connections.
type Source struct {
	options Options
	device  Device
	batch   *chardev.Batch
	packer  packer
	pause   error // as long as the master runs
}

// OpenSource attaches to the queue of this network namespace.
func OpenSource(o Options) (*Source, error) {
	packer, err := newPacker(o)
	if err != nil {
		return nil, err
	}
	device, err := attach(o, chardev.AttachOptions{Mode: chardev.ModeCapture, Linger: Linger})
	if err != nil {
		return nil, err
	}
	s := &Source{
		options: o,
		device:  device,
		batch:   chardev.NewBatch(chardev.DefaultBatchSize),
		packer:  packer,
	}
	// The event would say it at the next packet: too late on a quiet
	// director.
	if err := s.lookForMaster(); err != nil {
		device.Close()
		return nil, err
	}
	return s, nil
}

// attach opens the device in a mode.
func attach(o Options, a chardev.AttachOptions) (Device, error) {
	device, err := o.Open()
	if err != nil {
		return nil, err
	}
	if err := device.Attach(a); err != nil {
		device.Close()
		return nil, err
	}
	return device, nil
}

// Read is engine.Source's.
func (s *Source) Read(out *engine.Outbox) (engine.Reading, error) {
	r := engine.Reading{Pause: s.pause}
	ok, err := s.device.ReadBatch(s.batch)
	if !ok || err != nil {
		return r, err
	}
	r.Entries = s.packer.take(s.batch, out)
	events := s.batch.Events()
	r.More = s.batch.Full()
	r.Lost = events&chardev.EventLost != 0
	if err := s.batch.Err(); err != nil {
		// What follows in the batch cannot be found any more.
		s.options.Counters.Skipped.Add(SkipMalformed, 1)
		r.Lost = true
	}
	// Both may be in one batch, and the order is not told: the state is.
	if events&(chardev.EventMasterRunning|chardev.EventMasterStopped) != 0 {
		if err := s.lookForMaster(); err != nil {
			return r, err
		}
		r.Pause = s.pause
	}
	return r, nil
}

// lookForMaster asks whether the in-kernel sync master runs.
func (s *Source) lookForMaster() error {
	var stats chardev.Stats
	if err := s.device.Stats(&stats); err != nil {
		return err
	}
	s.pause = nil
	if stats.State&chardev.StateMasterRunning != 0 {
		s.pause = ErrMasterRunning
	}
	return nil
}

// Flush is engine.Source's.
func (s *Source) Flush(out *engine.Outbox) { s.packer.flush(out) }

// Close leaves the queue to the next one, for the time of Linger.
func (s *Source) Close() error { return s.device.Close() }

// Snapshot is engine.Source's.
func (s *Source) Snapshot(kind engine.Kind) (engine.Snapshot, error) {
	packer, err := newPacker(s.options)
	if err != nil {
		return nil, err
	}
	device, err := attach(s.options, chardev.AttachOptions{
		Mode: chardev.ModeSnapshot, Owned: true, Due: kind == engine.Due,
	})
	if errors.Is(err, chardev.ErrUnsupported) {
		return nil, fmt.Errorf("%w: %w", engine.ErrNoSnapshot, err)
	} else if err != nil {
		return nil, err
	}
	return &snapshot{device: device, batch: chardev.NewBatch(snapshotBatch), packer: packer}, nil
}

// What is due was not told for 5/16 of its timeout, and must be before the
// timeout is over: an eighth leaves room for sweeps that fail or are put off.
const (
	sweepsPerTimeout = 8
	sweepMin         = 500 * time.Millisecond // a walk over the table costs, too
	sweepMax         = 10 * time.Second
)

// SweepEvery is engine.Source's.
func (s *Source) SweepEvery() (time.Duration, error) {
	var stats chardev.Stats
	if err := s.device.Stats(&stats); err != nil {
		return 0, err
	}
	return min(max(stats.ShortestTimeout/sweepsPerTimeout, sweepMin), sweepMax), nil
}
