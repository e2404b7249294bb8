package conntrackclass

import (
	"context"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/ctnetlink"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

// Flushed is what became of copies.
type Flushed struct {
	Copies  int // that there were
	Expired int // of them, those that are gone
	Refused map[string]int
}

// flushPortion is how many copies are flushed before whoever uses the [Objects]
// goes on with its own work.
const flushPortion = ctnetlink.BatchMax

// Flush deletes the copies of what others own: entries that this daemon made,
// and that had no packet here since.
func (t *Table) Flush(ctx context.Context) (*Flushed, error) {
	done := &Flushed{Refused: map[string]int{}}
	portion := make([]conntrack.Entry, 0, flushPortion)
	flush := func() error {
		var failed error
		err := t.objects(ctx, func(o *Objects) { failed = o.flush(portion, done) })
		portion = portion[:0]
		if err == nil {
			err = failed
		}
		return err
	}
	for e, err := range t.All(ctx) {
		if err != nil {
			return nil, err
		}
		if portion = append(portion, *e); len(portion) == flushPortion {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	return done, flush()
}

// flush deletes those of the entries that are copies. Each is looked at again
// right before: one that had a packet meanwhile stays. What the kernel tells of
// it is this director's own doing, of which no peer hears.
func (o *Objects) flush(portion []conntrack.Entry, done *Flushed) error {
	// Packets that came since the last look for news claim what they are of.
	r, err := o.collect()
	if err != nil {
		return err
	}
	if r.More { // and some are left to be seen
		done.Refused["events"] += len(portion)
		return nil
	}
	request, copies := o.news.request[:0], 0
	for i := range portion {
		if _, isCopy := o.copies.all[o.copies.hash(&portion[i])]; isCopy {
			request = ctnetlink.AppendGet(request, uint32(i), &portion[i])
			copies++
		}
	}
	if copies == 0 {
		return nil
	}
	now := o.copies.milliseconds(time.Now())
	deletion := make([]byte, 0, len(request))
	var asked [flushPortion]bool
	err = o.ask(request, func(m *ctnetlink.Message) {
		if m.Kind != ctnetlink.Changed || int(m.Request) >= len(portion) {
			return
		}
		e := &portion[m.Request]
		if c, isCopy := o.copies.all[o.copies.hash(e)]; isCopy && c.untouched(m.TimeLeft, now) {
			deletion = ctnetlink.AppendDelete(deletion, m.Request, e)
			asked[m.Request] = true
		}
	})
	o.news.request = request
	if err != nil || len(deletion) == 0 {
		return err
	}
	err = o.ask(deletion, func(m *ctnetlink.Message) {
		if m.Kind != ctnetlink.Failed || m.Errno == 0 || int(m.Request) >= len(portion) {
			return
		}
		asked[m.Request] = false
		if m.Errno != unix.ENOENT { // it has just expired
			done.Copies++
			done.Refused[m.Errno.Error()]++
		}
	})
	for i := range portion {
		if asked[i] {
			done.Copies++
			done.Expired++
			delete(o.copies.all, o.copies.hash(&portion[i]))
		}
	}
	return err
}
