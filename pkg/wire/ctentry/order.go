package ctentry

import (
	"cmp"
	"slices"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/compact"
)

// Order finds the order in which the entries of a batch take few bytes: those
// of one path behind each other, of these those of one destination, and of
// these those of one profile. The zero value is ready for use; it is not for
// concurrent use.
type Order struct {
	seed  compact.Seed
	keys  []orderKey
	order []int32
}

// orderKey sorts what is alike together. That two which are not have the same
// hash costs bytes, and nothing else.
type orderKey struct {
	path, dest uint32
	profile    uint32
	entry      int32
}

// Of returns the indexes of the entries in that order. The slice is valid until
// the next call.
func (o *Order) Of(entries []conntrack.Entry) []int32 {
	if o.seed == 0 {
		o.seed = compact.NewSeed()
	}
	o.keys, o.order = o.keys[:0], o.order[:0]
	for i := range entries {
		e := &entries[i]
		way := pathOf(e)
		d := dest{dest: e.Original.Destination}
		if way.shape&pathDestination != 0 {
			d.translated = e.Reply.Source
		}
		f := profileOf(e, fieldsSize(e))
		o.keys = append(o.keys, orderKey{
			uint32(way.hash(o.seed)), uint32(d.hash(o.seed)), uint32(f.hash(o.seed)), int32(i),
		})
	}
	slices.SortFunc(o.keys, func(a, b orderKey) int {
		return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.dest, b.dest),
			cmp.Compare(a.profile, b.profile), cmp.Compare(a.entry, b.entry))
	})
	for i := range o.keys {
		o.order = append(o.order, o.keys[i].entry)
	}
	return o.order
}
