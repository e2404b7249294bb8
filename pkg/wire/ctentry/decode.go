package ctentry

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/advert"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/compact"
)

// Decoder takes the entries out of the ADVERT blocks of one frame after the
// other. The zero value is ready for [Decoder.Reset]. It is not for concurrent
// use.
type Decoder struct {
	reader  advert.Reader
	tables  tables
	refused Refusals
	helper  string // the last one seen: they hardly ever change
}

// Refusals are the entries of a frame that were refused alone, by reason.
type Refusals struct {
	UnknownField   int // mandatory, and not known here
	DuplicateField int // a type that came twice
	Field          int // one that is known, out of its bounds
	Protocol       int // what another protocol has, or lacks; a state that it does not have; a window scale of 15
}

// Total returns how many they are.
func (r Refusals) Total() int { return r.UnknownField + r.DuplicateField + r.Field + r.Protocol }

// Reset checks all ADVERT blocks of class 2 among those of a frame, which it
// refers to: they must not change while entries are taken. Where one is
// broken, the error is one of the sentinel values of this package, and there
// is no entry to be taken of any.
func (d *Decoder) Reset(blocks block.Blocks) error {
	d.refused = Refusals{}
	return d.reader.Reset(block.ClassConntrack, blocks, &d.tables)
}

// HeldAtLeast says how long the entries of the frame were held at least, where
// that is more than the sender says: a frame that was overtaken on its way does
// not pass for fresher news than the one that overtook it. It comes after
// Reset, and before the first entry is taken.
func (d *Decoder) HeldAtLeast(held time.Duration) { d.reader.HeldAtLeast(held) }

// Count returns the number of entries in the frame, also those that are refused
// alone.
func (d *Decoder) Count() int { return d.reader.Count() }

// Refusals returns how many entries were refused alone so far, since Reset.
func (d *Decoder) Refusals() Refusals { return d.refused }

// Next decodes the next entry into c, all of whose fields it sets. Its age has
// the time that it was held in it: see also [Decoder.HeldAtLeast]. It returns
// false when there is none. An entry that is refused alone is counted, and the
// next one taken.
func (d *Decoder) Next(c *conntrack.Entry) bool {
	for d.reader.Next(&d.tables) {
		if d.take(c) {
			return true
		}
	}
	return false
}

// take decodes one entry, and reports whether it is not refused.
func (d *Decoder) take(c *conntrack.Entry) bool {
	dest, profile, p := d.reader.Rows()
	t := &d.tables.dests[dest]
	way := &d.tables.paths[t.path]
	f := &d.tables.profiles[profile]

	source, n := addrPort(p, way.shape&pathIPv6 != 0)
	p = p[n:]
	back := source
	if way.shape&pathSource != 0 {
		back = netip.AddrPortFrom(way.source, binary.BigEndian.Uint16(p))
		p = p[portSize:]
	}
	age, n := uint32(p[0]), 1
	if age >= 0x80 {
		age, n = compact.Varint(p)
	}
	p = p[n:]
	*c = conntrack.Entry{
		Protocol: way.protocol,
		Zones:    way.zones,
		Original: conntrack.Tuple{Source: source, Destination: t.dest},
		Reply:    conntrack.Tuple{Source: t.translated, Destination: back},
		Status:   f.status,
		State:    f.state,
		Timeout:  f.timeout,
		Age:      time.Duration(age)*time.Millisecond + d.reader.Held,
		Mark:     f.mark,
		TCP:      f.tcp,
	}
	if f.options&optionAdjustments != 0 {
		c.Adjust = [2]conntrack.Adjustment{adjustment(p), adjustment(p[adjustmentSize:])}
		p = p[adjustmentsSize:]
	}
	if f.options&optionTags != 0 {
		c.SCTP.Tags = [2]uint32{binary.BigEndian.Uint32(p), binary.BigEndian.Uint32(p[4:])}
		p = p[tagsSize:]
	}
	ok := true
	if f.options&optionFields != 0 {
		var fields advert.Fields
		fields, p = advert.TakeFields(p)
		ok = d.takeFields(&fields, c)
	}
	d.reader.Entries = p
	if ok && ((f.options&optionTCP != 0) != (c.Protocol == conntrack.TCP) || (f.options&optionTags != 0) != (c.Protocol == conntrack.SCTP) ||
		!hasState(c.Protocol, c.State) || f.tcp.Scale[0] > conntrack.MaxScale || f.tcp.Scale[1] > conntrack.MaxScale) {
		d.refused.Protocol++
		return false
	}
	return ok
}

// takeFields decodes the fields, and reports whether the entry is not refused
// for them.
func (d *Decoder) takeFields(f *advert.Fields, c *conntrack.Entry) bool {
	for f.Next() {
		if f.Twice {
			d.refused.DuplicateField++
			return false
		}
		typ, value := f.Type, f.Value
		switch {
		case typ == fieldLabels && len(value) == labelsSize:
			c.Labels = [labelsSize]byte(value)
		case typ == fieldHelper && validHelper(value):
			if string(value) != d.helper {
				d.helper = string(value)
			}
			c.Helper = d.helper
		case typ == fieldProxy && len(value) == proxySize:
			c.Proxy = conntrack.Proxy{
				ISN:    binary.BigEndian.Uint32(value),
				ITS:    binary.BigEndian.Uint32(value[4:]),
				Offset: binary.BigEndian.Uint32(value[8:]),
			}
		case typ == fieldLabels || typ == fieldHelper || typ == fieldProxy:
			d.refused.Field++
			return false
		case typ&advert.Mandatory != 0:
			d.refused.UnknownField++
			return false
		}
	}
	return true
}
