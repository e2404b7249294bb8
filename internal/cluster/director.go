package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// Config is what a director is.
type Config struct {
	SyncID      uint8         // 1..255
	Sender      uint32        // not 0
	Name        string        // of the host, for people
	Interval    time.Duration // of heartbeats, 0 for 1 s
	JoinTimeout time.Duration // without a peer, 0 for 5 s
	RingBytes   int           // of frames kept to be sent again, 0 for 4 MiB
	Bilingual   bool          // version 1 is spoken beside: its messages are no trouble
}

// Settings may change while the director runs.
type Settings struct {
	Period time.Duration // between two looks for news
	MaxPPS int           // frames with entries a second, at least 1
	Keys   Keys
}

// drainLimit bounds the time for what is still queued at a stop.
const drainLimit = 5 * time.Second

// ErrStopped says that a director does not run.
var ErrStopped = errors.New("cluster: the director does not run")

// Director runs until it is stopped.
type Director struct {
	cfg      Config
	log      *slog.Logger
	suite    frame.Suite // for good
	settings atomic.Pointer[Settings]
	counters Counters

	inbox    chan batch
	requests chan func(now time.Time)
	ended    chan struct{}

	// Of the goroutine that runs:
	node     *peering.Node
	network  network
	links    []*way
	holdings holdings
	news     news
	observer observer
	finder   finder
	room     int       // of a body
	pace     int       // that the node was told
	checked  time.Time // the links
	looked   time.Time // for services
	blind    bool      // services cannot be looked for, and that was said
	cloned   bool      // another start ID is to be drawn
}

// New returns a director. The error says what cannot be with the settings.
func New(cfg Config, parts Parts, s Settings, log *slog.Logger) (*Director, error) {
	d := &Director{
		cfg: cfg, log: log, counters: newCounters(),
		inbox: make(chan batch), requests: make(chan func(time.Time)), ended: make(chan struct{}),
	}
	d.suite = s.Keys.Suite()
	if err := d.Check(s); err != nil {
		return nil, err
	}
	d.Set(s)
	d.network.director = d
	d.holdings.director = d
	d.observer.director = d
	d.finder = finder{director: d, tables: parts.Tables}
	for i, open := range parts.Links {
		d.links = append(d.links, &way{index: i, open: open})
	}
	for _, open := range parts.Objects {
		d.holdings.all = append(d.holdings.all, &holding{open: open})
	}
	d.news.sweeps = make([]sweep, len(parts.Objects))
	return d, nil
}

// Check says what cannot be with settings.
func (d *Director) Check(s Settings) error {
	if s.Keys.Suite() != d.suite {
		return fmt.Errorf("cluster: frames are %v since the start: %w", d.suite, frame.ErrSuite)
	}
	if _, err := s.Keys.sealer(d.cfg.SyncID); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	if _, err := s.Keys.opener(d.cfg.SyncID); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	return nil
}

// Set changes the settings, which Check has nothing against. A running director
// has them from the next frame on, the pace and the period from the next period
// on.
func (d *Director) Set(s Settings) { d.settings.Store(&s) }

// Period returns the time between two looks for news.
func (d *Director) Period() time.Duration { return d.settings.Load().Period }

// Counters returns the director's counters.
func (d *Director) Counters() Counters { return d.counters }

// do has the director's goroutine do something.
func (d *Director) do(ctx context.Context, what func(now time.Time)) error {
	done := make(chan struct{})
	select {
	case d.requests <- func(now time.Time) { what(now); close(done) }:
		<-done
		return nil
	case <-d.ended:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Resync asks a peer for what it owns, or all peers where the sender ID is 0.
// It returns how many were asked.
func (d *Director) Resync(ctx context.Context, sender uint32) (asked int, err error) {
	err = d.do(ctx, func(now time.Time) { asked = d.node.Resync(now, sender) })
	return asked, err
}

// Announce tells all peers of everything that this director owns.
func (d *Director) Announce(ctx context.Context) error {
	return d.do(ctx, func(now time.Time) { d.node.Announce(now) })
}

// Status returns what the director knows of its peers and of itself.
func (d *Director) Status(ctx context.Context) (s peering.Status, err error) {
	err = d.do(ctx, func(time.Time) {
		s = d.node.Status()
		s.Failing = d.holdings.failing()
	})
	return s, err
}

// Run runs until ctx is done; then what is queued has been sent, and the error
// is nil. It fails only where it cannot begin: where the objects cannot be
// opened, or none of the links.
func (d *Director) Run(ctx context.Context) error {
	defer close(d.ended)
	receiving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer d.closeWays()
	if err := d.openWays(ctx, receiving); err != nil {
		return err
	}
	now := time.Now()
	if err := d.holdings.openAll(now); err != nil {
		return err
	}
	defer d.holdings.close()
	d.finder.ctx = receiving
	d.start(now)
	defer func() { d.node.Close() }()
	d.loop(ctx, receiving)
	return nil
}

// start begins as a director that nobody knows.
func (d *Director) start(now time.Time) {
	s := d.settings.Load()
	self := block.Peer{Sender: d.cfg.Sender}
	rand.Read(self.Start[:]) // never fails; it ends the program where it cannot
	var classes []block.Class
	for _, k := range d.holdings.all {
		classes = append(classes, k.class)
	}
	d.pace, d.cloned = s.MaxPPS, false
	d.news.next = now
	d.node = peering.New(peering.Config{
		Self: self, Name: d.cfg.Name, Classes: block.ClassesOf(classes...), Room: d.room, Overhead: d.suite.Overhead(), Links: len(d.links), Interval: d.cfg.Interval,
		JoinTimeout: d.cfg.JoinTimeout, MaxPPS: s.MaxPPS, RingBytes: d.cfg.RingBytes,
		Counters: d.counters.Peering,
	}, peering.Parts{
		Network: &d.network, Sink: &d.holdings, Source: &d.holdings, Observer: &d.observer, Random: system{}, Finder: &d.finder,
	}, now)
	d.counters.Troubles.Add(TooLong, d.news.fit(d.node.Room()))
	d.log.Info("joining", "self", self, "name", d.cfg.Name, "suite", d.suite)
}

// loop is the life of the goroutine that owns everything.
func (d *Director) loop(ctx, receiving context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var b batch
		select {
		case <-ctx.Done():
			d.drain()
			return
		case b = <-d.inbox:
			d.take(b)
		case request := <-d.requests:
			request(time.Now())
		case <-timer.C:
		}
		now := time.Now()
		d.adjust(now)
		d.tendWays(receiving, now)
		d.tendHoldings(now)
		d.checkWays(now)
		d.tell(now)
		d.network.flush() // what follows takes time, which news does not say
		now = time.Now()
		d.sweep(now)
		d.lookForServices(now)
		now = time.Now()
		d.node.Tick(now)
		d.refit(now)
		d.network.flush()
		d.holdings.flush()
		if d.cloned {
			d.node.Close()
			d.start(now)
		}
		timer.Reset(time.Until(d.wake(now)))
	}
}

// take does what the frames of a batch say.
func (d *Director) take(b batch) {
	if b.failed != nil {
		d.linkFailed(d.links[b.link], b.failed)
	}
	now := time.Now() // not when it came: the node may have been told a later time since
	for i := range b.frames {
		d.node.Receive(now, b.frames[i].from, &b.frames[i].body)
	}
	d.holdings.flush()
	b.done <- struct{}{}
}

// adjust takes over settings that changed.
func (d *Director) adjust(now time.Time) {
	if pps := d.settings.Load().MaxPPS; pps != d.pace {
		d.pace = pps
		d.node.SetPace(pps, now)
	}
}

// wake returns when there is something to do, if nothing comes.
func (d *Director) wake(now time.Time) time.Time {
	at := earlier(d.node.Next(), d.checked.Add(checkEvery))
	for _, w := range d.links {
		if w.failure != nil {
			return now
		}
		if w.link == nil && !w.retry.at.IsZero() {
			at = earlier(at, w.retry.at)
		}
	}
	for _, k := range d.holdings.all {
		if k.failure != nil {
			return now
		}
		if k.objects == nil {
			at = earlier(at, k.retry.at)
		}
	}
	return d.wakeForNews(now, at)
}

// drain sends what is queued, at a stop.
func (d *Director) drain() {
	for end := time.Now().Add(drainLimit); ; {
		now := time.Now()
		d.send(now)
		if d.news.out.Len() == 0 && !d.read(now) && d.news.out.Len() == 0 {
			break
		}
		d.network.flush()
		if now.After(end) {
			d.counters.Troubles.Add(Unsent, d.news.out.Len())
			d.log.Error("stopped before everything was sent", "frames", d.news.out.Len())
			break
		}
		if d.node.Ready(now) == 0 {
			time.Sleep(time.Until(d.node.ReadyAt(now)))
		}
	}
	d.network.flush()
	for i := range d.news.sweeps {
		d.news.sweeps[i].end()
	}
}

// bodyRoom is how long a body may be in a frame of so many bytes.
func bodyRoom(room int, s frame.Suite) int {
	return min(room, frame.MaxSize) - s.Overhead()
}
