package ipvsclass

import (
	"errors"
	"fmt"
	"time"

	"github.com/ssyncp/ssyncp/internal/cluster"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// Options of Open.
type Options struct {
	Device   ipvsdevice.Opener
	Linger   time.Duration // how long the queue waits for the next daemon
	Filter   Filter        // what is sent
	Counters *Counters
	// ServiceTable is where the kernel shows the virtual services of the
	// network namespace: "" for [ServiceTable].
	ServiceTable string
}

// countEvery is how often the kernel is asked how many connections there are.
const countEvery = 500 * time.Millisecond

// Objects are the IPVS connections of a network namespace.
type Objects struct {
	open     ipvsdevice.Opener
	filter   *filter
	counters *Counters
	services serviceTable

	capture *ipvsdevice.Capture
	news    *packer
	idle    []*reader // of walks that are over
	sink    sink

	entries int
	counted time.Time
}

var _ cluster.Objects = (*Objects)(nil)

// Open attaches to the queue of the network namespace of the calling thread.
func Open(o Options) (*Objects, error) {
	filter, err := o.Filter.compile()
	if err != nil {
		return nil, fmt.Errorf("ipvsclass: %w", err)
	}
	capture, err := ipvsdevice.OpenCapture(o.Device, batchSize, o.Linger)
	if err != nil {
		return nil, err
	}
	// Of its own: the queue may be another's, see ipvsdevice.Share.
	inject, err := o.Device.Attach(chardev.AttachOptions{Mode: chardev.ModeInject})
	if err != nil {
		capture.Close()
		return nil, err
	}
	path := o.ServiceTable
	if path == "" {
		path = ServiceTable
	}
	return &Objects{
		open:     o.Device,
		filter:   filter,
		counters: o.Counters,
		services: serviceTable{path: path},
		capture:  capture,
		news:     newPacker(filter, o.Counters),
		sink:     newSink(inject, o.Counters),
	}, nil
}

// Class is cluster.Objects'.
func (o *Objects) Class() block.Class { return block.ClassIPVS }

// News is cluster.Objects'.
func (o *Objects) News(out *cluster.Outbox) (cluster.Reading, error) {
	batch, err := o.capture.Read()
	r := cluster.Reading{Pause: o.capture.Pause()}
	if batch == nil || err != nil {
		return r, err
	}
	r.Entries, err = o.news.load(batch)
	r.More = batch.Full()
	r.Lost = batch.Events()&chardev.EventLost != 0
	if err != nil {
		// What follows in the batch cannot be found any more.
		o.counters.Skipped.Add(SkipMalformed, 1)
		r.Lost = true
	}
	for o.news.pending() {
		body := out.Body()
		if err := o.news.begin(body, out.Room()); err != nil {
			out.Return(body)
			return r, err
		}
		o.news.fill(0)
		if blocks := o.news.finish(); blocks != nil {
			out.Add(blocks)
		} else {
			out.Return(body)
		}
	}
	return r, nil
}

// SweepEvery is cluster.Objects'.
func (o *Objects) SweepEvery() (time.Duration, error) { return o.capture.SweepEvery() }

// Entries is cluster.Objects'. Where the kernel does not say, it is what it
// said before.
func (o *Objects) Entries() int {
	now := time.Now()
	if o.counted.IsZero() || now.Sub(o.counted) >= countEvery {
		var stats chardev.Stats
		if o.capture.Stats(&stats) == nil {
			o.entries = int(stats.ConnCount)
		}
		o.counted = now
	}
	return o.entries
}

// Close leaves the queue to the next one, for the time of Options.Linger.
func (o *Objects) Close() error { return errors.Join(o.capture.Close(), o.sink.device.Close()) }
