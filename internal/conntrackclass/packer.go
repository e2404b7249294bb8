package conntrackclass

import (
	"errors"
	"fmt"
	"time"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/wire/ctentry"
)

// packer puts entries into ADVERT blocks, in an order that takes few bytes.
type packer struct {
	filter   *filter
	counters *Counters
	entries  []conntrack.Entry
	order    ctentry.Order
	left     []int32 // of entries, not yet in a body
	encoder  ctentry.Encoder
}

// add takes an entry that is to be told, unless there is something against it.
func (p *packer) add(e *conntrack.Entry) {
	if !p.filter.passes(e) {
		p.counters.Counts.Add(Filtered, 1)
	} else if why, withheld := p.filter.withheld(e); withheld {
		p.counters.Skipped.Add(why, 1)
	} else {
		p.entries = append(p.entries, *e)
	}
}

// reset forgets everything.
func (p *packer) reset() { p.entries, p.left = p.entries[:0], nil }

// sort begins to put what was added into bodies.
func (p *packer) sort() { p.left = p.order.Of(p.entries) }

// pending reports whether entries are left.
func (p *packer) pending() bool { return len(p.left) > 0 }

// begin begins a body: blocks are appended, up to limit bytes in all.
func (p *packer) begin(body []byte, limit int) error {
	if err := p.encoder.Reset(body, limit); err != nil {
		return fmt.Errorf("conntrackclass: %d bytes, of which %d are taken: %w", limit, len(body), err)
	}
	return nil
}

// fill puts what is left into the body that was begun, as far as it fits. It
// was read so long ago.
func (p *packer) fill(ago time.Duration) {
	for len(p.left) > 0 {
		e := &p.entries[p.left[0]]
		read := e.Age
		e.Age += ago
		err := p.encoder.Append(e)
		e.Age = read // it may come again, in the next body
		if err != nil {
			if errors.Is(err, ctentry.ErrFull) {
				return
			}
			p.counters.Skipped.Add(SkipOther, 1)
		}
		p.left = p.left[1:]
	}
}

// finish returns the body, nil where it has got no entries.
func (p *packer) finish() []byte {
	n := p.encoder.Count()
	if n == 0 {
		return nil
	}
	p.counters.Counts.Add(Encoded, n)
	p.counters.Counts.Add(Bodies, 1)
	return p.encoder.Finish()
}
