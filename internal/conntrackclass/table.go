package conntrackclass

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/ssyncp/ssyncp/internal/cluster"
	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/ctentry"
)

// TableOptions are those of NewTable.
type TableOptions struct {
	Filter Filter // that of [Options]
	// Objects has whoever uses the [Objects] do something with them: they
	// alone know which entries are copies. Where they are not open, it fails.
	Objects func(ctx context.Context, do func(*Objects)) error
	// Settings is where the timeouts are: "" for [Settings].
	Settings string
}

// Table reads the conntrack entries of a network namespace beside [Objects], by
// sockets of its own: it may be used by several goroutines.
type Table struct {
	filter   *filter
	objects  func(ctx context.Context, do func(*Objects)) error
	settings string
}

var _ cluster.Table = (*Table)(nil)

// NewTable returns the table of the network namespace of who reads it.
func NewTable(o TableOptions) (*Table, error) {
	f, err := o.Filter.compile()
	if err != nil {
		return nil, fmt.Errorf("conntrackclass: %w", err)
	}
	return &Table{f, o.Objects, o.Settings}, nil
}

// Held is an entry, and what its director knows of it.
type Held struct {
	conntrack.Entry
	Owned bool // no copy
	Told  bool // peers hear of such entries
	// Advert is how long ago a peer spoke of it last, -1 where none did, or
	// that is not known.
	Advert time.Duration
}

// Class is cluster.Table's.
func (t *Table) Class() block.Class { return block.ClassConntrack }

// All returns every entry, as [All] does.
func (t *Table) All(ctx context.Context) iter.Seq2[*conntrack.Entry, error] {
	return All(ctx, t.settings)
}

// Told reports whether peers hear of such an entry: whether the filter lets it
// pass, and it is none that is of no use to them.
func (t *Table) Told(e *conntrack.Entry) bool {
	_, withheld := t.filter.withheld(e)
	return !withheld && t.filter.passes(e)
}

// Matching returns the entries that a selector means, block.MaxObjects at most,
// and whether there are more.
func (t *Table) Matching(ctx context.Context, s *block.Selector) (found []Held, more bool, err error) {
	for e, err := range t.All(ctx) {
		if err != nil {
			return nil, false, err
		}
		if !s.Matches(uint8(e.Protocol), e.Original.Source, e.Original.Destination) {
			continue
		}
		if len(found) == block.MaxObjects {
			more = true
			break
		}
		found = append(found, Held{Entry: *e, Told: t.Told(e)})
	}
	if len(found) == 0 {
		return nil, false, nil
	}
	err = t.objects(ctx, func(o *Objects) { o.know(found) })
	return found, more, err
}

// know says what is a copy of entries that were read just now.
func (o *Objects) know(list []Held) {
	now := o.copies.milliseconds(time.Now())
	for i := range list {
		h := &list[i]
		c, isCopy := o.copies.all[o.copies.hash(&h.Entry)]
		if isCopy && c.untouched(h.Remaining(), now) {
			c.put(&h.Entry, now)
			h.Advert = max(time.Duration(now-c.heard())*time.Millisecond, 0)
		} else {
			h.Owned, h.Advert = true, -1
		}
	}
}

// Find is cluster.Table's.
func (t *Table) Find(ctx context.Context, selector []byte, room int) (f peering.Findings, err error) {
	s, err := block.ParseSelector(selector)
	if err != nil {
		return f, err
	}
	found, more, err := t.Matching(ctx, &s)
	if err != nil {
		return f, err
	}
	var e ctentry.Encoder
	f, err = cluster.FindingsOf(&e, room, len(found), func(i int) (block.Marks, time.Duration, error) {
		return found[i].marks(), found[i].Advert, e.Append(&found[i].Entry)
	}, ctentry.ErrFull)
	if err != nil {
		return f, fmt.Errorf("conntrackclass: an answer of %d bytes: %w", room, err)
	}
	f.More = f.More || more
	return f, nil
}

func (h *Held) marks() (m block.Marks) {
	if h.Owned {
		m |= block.MarkOwned
	}
	if h.Told {
		m |= block.MarkTold
	}
	return m
}

// ErrObjects says that an answer has entries that this version does not
// understand.
var ErrObjects = errors.New("conntrackclass: the answer has entries that this version does not understand: is the peer newer?")

// Answered returns the entries of an answer.
func Answered(a *block.Answer) ([]Held, error) {
	var d ctentry.Decoder
	if err := d.Reset(a.Objects); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrObjects, err)
	}
	var list []Held
	for h := (Held{Advert: -1}); d.Next(&h.Entry); {
		list = append(list, h)
	}
	if len(list) != len(a.Marks) {
		return nil, ErrObjects
	}
	for i, m := range a.Marks {
		list[i].Owned, list[i].Told = m&block.MarkOwned != 0, m&block.MarkTold != 0
		if len(a.Adverts) == len(list) {
			list[i].Advert = a.Adverts[i]
		}
	}
	return list, nil
}
