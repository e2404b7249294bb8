package entry

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/advert"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/compact"
)

// Decoder takes the connections out of the ADVERT blocks of one frame after the
// other. The zero value is ready for [Decoder.Reset]. It is not for concurrent
// use.
type Decoder struct {
	reader  advert.Reader
	tables  tables
	refused Refusals
	peName  string // the last one seen: they hardly ever change
}

// Refusals are the connections of a frame that were refused alone, by reason.
type Refusals struct {
	UnknownField      int // mandatory, and not known here
	DuplicateField    int // a type that came twice
	PersistenceEngine int // a name or data out of bounds or alone, or in a connection that is no template
}

// Reset checks all ADVERT blocks of class 1 among those of a frame, which it
// refers to: they must not change while connections are taken. Where one is
// broken, the error is one of the sentinel values of this package, and there
// is no connection to be taken of any.
func (d *Decoder) Reset(blocks block.Blocks) error {
	d.refused = Refusals{}
	return d.reader.Reset(block.ClassIPVS, blocks, &d.tables)
}

// HeldAtLeast says how long the connections of the frame were held at least,
// where that is more than the sender says: a frame that was overtaken on its
// way does not pass for fresher news than the one that overtook it. It comes
// after Reset, and before the first connection is taken.
func (d *Decoder) HeldAtLeast(held time.Duration) { d.reader.HeldAtLeast(held) }

// Count returns the number of connections in the frame, also those that are
// refused alone.
func (d *Decoder) Count() int { return d.reader.Count() }

// Refusals returns how many connections were refused alone so far, since
// Reset.
func (d *Decoder) Refusals() Refusals { return d.refused }

// Next decodes the next connection into c, all of whose fields it sets; it
// reuses the memory of c.PEData (use [ipvs.Conn.Clone] to keep one). Its age
// has the time that it was held in it: see also [Decoder.HeldAtLeast]. It returns false when there is
// none. A connection that is refused alone is counted, and the next one taken.
func (d *Decoder) Next(c *ipvs.Conn) bool {
	for d.reader.Next(&d.tables) {
		if d.take(c) {
			return true
		}
	}
	return false
}

// take decodes one connection, and reports whether it is not refused.
func (d *Decoder) take(c *ipvs.Conn) bool {
	dest, profile, p := d.reader.Rows()
	t := &d.tables.dests[dest]
	s := &d.tables.services[t.service]
	f := &d.tables.profiles[profile]

	port := binary.BigEndian.Uint16(p)
	if t.ipv6 {
		c.Client = netip.AddrPortFrom(netip.AddrFrom16([ipv6Size]byte(p[portSize:])), port)
		p = p[portSize+ipv6Size:]
	} else {
		c.Client = netip.AddrPortFrom(netip.AddrFrom4([ipv4Size]byte(p[portSize:])), port)
		p = p[portSize+ipv4Size:]
	}
	age, n := uint32(p[0]), 1
	if age >= 0x80 {
		age, n = compact.Varint(p)
	}
	p = p[n:]
	c.Virtual, c.Dest = s.virtual, t.dest
	c.Protocol = s.protocol
	c.Marks = 0
	c.State = ipvs.State(f.state)
	c.Flags = f.flags
	c.Fwmark = s.fwmark
	c.Timeout = f.timeout
	c.Age = time.Duration(age)*time.Millisecond + d.reader.Held
	if f.flags&ipvs.FlagSeqMask != 0 {
		c.In, c.Out = sequence(p), sequence(p[sequenceSize:])
		p = p[sequencesSize:]
	} else {
		c.In, c.Out = ipvs.Sequence{}, ipvs.Sequence{}
	}
	if c.PEName != "" {
		c.PEName = ""
	}
	c.PEData = c.PEData[:0]
	ok := true
	if f.fields {
		var fields advert.Fields
		fields, p = advert.TakeFields(p)
		ok = d.takeFields(&fields, c)
	}
	d.reader.Entries = p
	return ok
}

// takeFields decodes the fields, and reports whether the connection is not
// refused for them.
func (d *Decoder) takeFields(f *advert.Fields, c *ipvs.Conn) bool {
	var name []byte
	for f.Next() {
		if f.Twice {
			d.refused.DuplicateField++
			return false
		}
		typ, value := f.Type, f.Value
		switch {
		case typ == fieldPEName && validPEName(value):
			name = value
		case typ == fieldPEData && validPEData(value):
			c.PEData = append(c.PEData, value...)
		case typ == fieldPEName || typ == fieldPEData:
			d.refused.PersistenceEngine++
			return false
		case typ&advert.Mandatory != 0:
			d.refused.UnknownField++
			return false
		}
	}
	if (len(name) > 0) != (len(c.PEData) > 0) || len(name) > 0 && !c.Template() {
		d.refused.PersistenceEngine++
		return false
	}
	if string(name) != d.peName && len(name) > 0 {
		d.peName = string(name)
	}
	if len(name) > 0 {
		c.PEName = d.peName
	}
	return true
}
