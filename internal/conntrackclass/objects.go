package conntrackclass

import (
	"errors"
	"fmt"
	"time"

	"github.com/ssyncp/ssyncp/internal/cluster"
	"github.com/ssyncp/ssyncp/internal/ctnetlink"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// Options of Open.
type Options struct {
	Filter   Filter // what is sent
	Counters *Counters
	// Buffer is how many bytes of events the kernel keeps between two looks
	// for news, 0 for 8 MiB: some 8,000 events.
	Buffer int
	// MaxCopies bounds the table of copies, 0 for 1,048,576: 40 MiB.
	MaxCopies int
	// Settings is where the timeouts are: "" for [Settings].
	Settings string
}

const (
	defaultBuffer    = 8 << 20
	defaultMaxCopies = 1 << 20

	// countEvery is how often the kernel is asked how many entries there are.
	countEvery = 500 * time.Millisecond
	// sweepEvery is a third of the shortest timeout of what is alive, which
	// is that of UDP without an answer.
	sweepEvery = 10 * time.Second
)

// Objects are the conntrack entries of a network namespace.
type Objects struct {
	filter   *filter
	counters *Counters
	settings string
	timeouts timeouts
	copies   copies

	requests *ctnetlink.Socket
	news     news
	sink     sink
	idle     []*reader // of walks that are over
	sweeps   uint64    // walks over what is due, so far

	entries int
	counted time.Time
}

var _ cluster.Objects = (*Objects)(nil)

// Check says whether the connection tracking of the network namespace of the
// calling thread can be used, by all that Open needs:
// [ctnetlink.ErrNotSupported] and [ctnetlink.ErrNotPermitted] say what is
// missing.
func Check() error {
	if err := new(timeouts).load(Settings); err != nil {
		return err
	}
	s, err := ctnetlink.OpenEvents(defaultBuffer)
	if err != nil {
		return err
	}
	_, err = s.Entries()
	return errors.Join(err, s.Close())
}

// Open opens the entries of the network namespace of the calling thread.
func Open(o Options) (*Objects, error) {
	f, err := o.Filter.compile()
	if err != nil {
		return nil, fmt.Errorf("conntrackclass: %w", err)
	}
	if o.Settings == "" {
		o.Settings = Settings
	}
	if o.Buffer == 0 {
		o.Buffer = defaultBuffer
	}
	if o.MaxCopies == 0 {
		o.MaxCopies = defaultMaxCopies
	}
	t := &Objects{filter: f, counters: o.Counters, settings: o.Settings, copies: newCopies(o.MaxCopies)}
	if err := t.timeouts.load(t.settings); err != nil {
		return nil, err
	}
	if t.requests, err = ctnetlink.Open(); err != nil {
		return nil, err
	}
	events, err := ctnetlink.OpenEvents(o.Buffer)
	if err != nil {
		t.requests.Close()
		return nil, err
	}
	t.news = newNews(events, t.packer())
	t.sink = newSink()
	if t.entries, err = t.requests.Entries(); err != nil {
		t.Close()
		return nil, err
	}
	t.counted = time.Now()
	return t, nil
}

func (o *Objects) packer() packer { return packer{filter: o.filter, counters: o.counters} }

// Class is cluster.Objects'.
func (o *Objects) Class() block.Class { return block.ClassConntrack }

// SweepEvery is cluster.Objects'.
func (o *Objects) SweepEvery() (time.Duration, error) {
	o.copies.sweep(time.Now())
	return sweepEvery, o.timeouts.load(o.settings)
}

// Entries is cluster.Objects'. Where the kernel does not say, it is what it
// said before.
func (o *Objects) Entries() int {
	if now := time.Now(); now.Sub(o.counted) >= countEvery {
		if n, err := o.requests.Entries(); err == nil {
			o.entries = n
		}
		o.counted = now
	}
	return o.entries
}

// Missing is cluster.Objects': an entry needs no service.
func (o *Objects) Missing() int { return 0 }

// Services is cluster.Objects': there are none.
func (o *Objects) Services() (uint64, error) { return 0, nil }

// Close is cluster.Objects'.
func (o *Objects) Close() error {
	err := errors.Join(o.news.events.Close(), o.requests.Close())
	for _, r := range o.idle {
		err = errors.Join(err, r.table.Close())
	}
	o.idle = nil
	return err
}
