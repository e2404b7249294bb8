package daemon

import (
	"log/slog"
	"time"

	"github.com/ssyncp/ssyncp/internal/counters"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

const (
	troublesEvery = 10 * time.Second // a new kind of trouble is told within
	repeatEvery   = time.Minute      // one that goes on is summed up
)

// report logs counters. Whatever a peer can cause is only counted where it
// happens and told from here, so that nobody can flood the log.
type report struct {
	log      *slog.Logger
	device   func() (chardev.Stats, error)
	groups   []counters.Group // all
	troubled []*trouble
	ticker   *time.Ticker
}

// trouble is a group of counters that ought to stay where they are.
type trouble struct {
	counters.Group
	said map[string]uint64 // values at the last line
	at   time.Time         // of it
}

func newReport(log *slog.Logger, device func() (chardev.Stats, error), groups func() (all, troubles []counters.Group)) *report {
	r := &report{log: log, device: device, ticker: time.NewTicker(troublesEvery)}
	var troubled []counters.Group
	r.groups, troubled = groups()
	for _, g := range troubled {
		r.troubled = append(r.troubled, &trouble{Group: g, said: map[string]uint64{}})
	}
	return r
}

func (r *report) tick() <-chan time.Time { return r.ticker.C }

// troubles logs what was dropped, refused or lost since it last did: a kind
// that was not seen before at once, the others once a minute.
func (r *report) troubles() {
	now := time.Now()
	for _, t := range r.troubled {
		var attrs []any
		fresh := false
		for name, value := range t.All() {
			if value > t.said[name] {
				attrs = append(attrs, name, value-t.said[name])
				fresh = fresh || t.said[name] == 0
			}
		}
		if attrs == nil || !fresh && now.Sub(t.at) < repeatEvery {
			continue
		}
		r.log.Warn("counted since the last such line", append([]any{"group", t.Group.Group()}, attrs...)...)
		for name, value := range t.All() {
			t.said[name] = value
		}
		t.at = now
	}
}

// summary logs every counter that is not zero, the module's too.
func (r *report) summary() {
	for _, g := range r.groups {
		attrs := []any{"group", g.Group()}
		for name, value := range g.All() {
			if value > 0 {
				attrs = append(attrs, name, value)
			}
		}
		if len(attrs) > 2 {
			r.log.Info("counters", attrs...)
		}
	}
	stats, err := r.device()
	if err != nil {
		r.log.Warn("no counters of the kernel module", "error", err)
		return
	}
	attrs := []any{"group", "module", "state", stats.State, "connections", stats.ConnCount}
	for counter, value := range stats.All() {
		if value > 0 {
			attrs = append(attrs, counter.String(), value)
		}
	}
	r.log.Info("counters", attrs...)
}
