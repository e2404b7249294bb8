package ipvsclass

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/ssyncp/ssyncp/internal/cluster"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
)

// Table reads the IPVS connections of a network namespace beside [Objects], with
// descriptors of its own: it may be used by several goroutines.
type Table struct {
	open   ipvsdevice.Opener
	filter *filter
}

var _ cluster.Table = (*Table)(nil)

// NewTable returns the table that the device shows. The filter is that of
// [Options].
func NewTable(open ipvsdevice.Opener, f Filter) (*Table, error) {
	filter, err := f.compile()
	if err != nil {
		return nil, fmt.Errorf("ipvsclass: %w", err)
	}
	return &Table{open, filter}, nil
}

// Class is cluster.Table's.
func (t *Table) Class() block.Class { return block.ClassIPVS }

// All returns every connection, the same variable each time, as
// [chardev.Snapshot] does.
func (t *Table) All(ctx context.Context) iter.Seq2[*ipvs.Conn, error] {
	return func(yield func(*ipvs.Conn, error) bool) {
		device, err := t.open.Attach(chardev.AttachOptions{Mode: chardev.ModeSnapshot})
		if err != nil {
			yield(nil, err)
			return
		}
		defer device.Close()
		for c, err := range chardev.Snapshot(ctx, device, chardev.NewBatch(chardev.DefaultBatchSize)) {
			if !yield(c, err) {
				return
			}
		}
	}
}

// Told reports whether peers are told of a connection: whether the filter lets
// it pass.
func (t *Table) Told(c *ipvs.Conn) bool { return t.filter.passes(c) }

// Matching returns the connections that a selector means, block.MaxObjects at
// most, and whether there are more.
func (t *Table) Matching(ctx context.Context, s *block.Selector) (found []ipvs.Conn, more bool, err error) {
	for c, err := range t.All(ctx) {
		switch {
		case err != nil:
			return nil, false, err
		case !s.Matches(uint8(c.Protocol), c.Client, c.Virtual):
		case len(found) == block.MaxObjects:
			return found, true, nil
		default:
			found = append(found, c.Clone())
		}
	}
	return found, false, nil
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
	var e entry.Encoder
	f, err = cluster.FindingsOf(&e, room, len(found), func(i int) (block.Marks, time.Duration, error) {
		return marksOf(&found[i]), advertOf(&found[i]), e.Append(&found[i])
	}, entry.ErrFull)
	if err != nil {
		return f, fmt.Errorf("ipvsclass: an answer of %d bytes: %w", room, err)
	}
	f.More = f.More || more
	return f, nil
}

func marksOf(c *ipvs.Conn) (m block.Marks) {
	if c.Owned() {
		m |= block.MarkOwned
	}
	if c.Marks&ipvs.MarkKnown != 0 {
		m |= block.MarkTold
	}
	if c.Marks&ipvs.MarkBound != 0 {
		m |= block.MarkBound
	}
	return m
}

// advertOf returns how long ago it was told of last, as block.Answer has it.
func advertOf(c *ipvs.Conn) time.Duration {
	if c.Advert == 0 {
		return -1
	}
	return c.Advert
}

// ErrObjects says that an answer has connections that this version does not
// understand.
var ErrObjects = errors.New("ipvsclass: the answer has connections that this version does not understand: is the peer newer?")

// Answered returns the connections of an answer, with their marks, and when they
// were told of last.
func Answered(a *block.Answer) ([]ipvs.Conn, error) {
	var d entry.Decoder
	if err := d.Reset(a.Objects); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrObjects, err)
	}
	var list []ipvs.Conn
	var c ipvs.Conn
	for d.Next(&c) {
		list = append(list, c.Clone())
	}
	if len(list) != len(a.Marks) {
		return nil, ErrObjects
	}
	for i := range list {
		m := a.Marks[i]
		list[i].Marks = 0
		if len(a.Adverts) == len(list) {
			list[i].Advert = max(a.Adverts[i], 0)
		}
		if m&block.MarkOwned != 0 {
			list[i].Marks |= ipvs.MarkLocal
		}
		if m&block.MarkTold != 0 {
			list[i].Marks |= ipvs.MarkKnown
		}
		if m&block.MarkBound != 0 {
			list[i].Marks |= ipvs.MarkBound
		}
	}
	return list, nil
}
