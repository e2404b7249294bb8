package ctentry

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/compact"
)

// Decoder takes the entries out of the ADVERT blocks of one frame after the
// other. The zero value is ready for [Decoder.Reset]. It is not for concurrent
// use.
type Decoder struct {
	adverts block.Blocks // behind the one that entries are taken from
	entries []byte       // of that one, not yet taken
	left    int          // how many they are
	held    time.Duration
	atLeast time.Duration // that held is
	total   int
	refused Refusals
	helper  string // the last one seen: they hardly ever change

	// The tables of that ADVERT, complete; and how many rows of them the
	// entries that were taken have defined. Those of paths are behind what
	// the entries say, and need no count.
	paths    [compact.MaxRows]decodedPath
	dests    [compact.MaxRows]decodedDest
	profiles [compact.MaxRows]decodedProfile

	nextDest, nextProfile int
}

type decodedPath struct {
	source   netip.Addr // translated
	zones    conntrack.Zones
	protocol conntrack.Protocol
	shape    uint8
}

type decodedDest struct {
	dest       netip.AddrPort
	translated netip.AddrPort // the answers' source
	path       uint8
	size       uint8 // of the definition, with that of its path
}

type decodedProfile struct {
	timeout time.Duration
	status  conntrack.Status
	mark    uint32
	tcp     conntrack.TCPInfo
	state   conntrack.State
	options uint8
}

// Refusals are the entries of a frame that were refused alone, by reason.
type Refusals struct {
	UnknownField   int // mandatory, and not known here
	DuplicateField int // a type that came twice
	Field          int // one that is known, out of its bounds
	Protocol       int // what another protocol has, or lacks; a window scale of 15
}

// Total returns how many they are.
func (r Refusals) Total() int { return r.UnknownField + r.DuplicateField + r.Field + r.Protocol }

// Reset checks all ADVERT blocks of class 2 among those of a frame, which it
// refers to: they must not change while entries are taken. Where one is
// broken, the error is one of the sentinel values of this package, and there
// is no entry to be taken of any.
func (d *Decoder) Reset(blocks block.Blocks) error {
	d.adverts = block.Blocks{}
	d.entries, d.left, d.total, d.refused = nil, 0, 0, Refusals{}
	d.atLeast = 0
	var first, a block.Advert
	var behind block.Blocks
	total := 0
	for blocks.NextAdvert(block.ClassConntrack, &a) {
		if first.Count == 0 {
			first, behind = a, blocks
		} else if err := d.load(&a); err != nil {
			return err
		}
		total += a.Count
	}
	if first.Count == 0 {
		return nil
	}
	// Last, because the tables of the ADVERT that was loaded last are those
	// that stay: of one that comes later they are made again.
	if err := d.load(&first); err != nil {
		return err
	}
	d.begin(&first)
	d.adverts, d.total = behind, total
	return nil
}

// HeldAtLeast says how long the entries of the frame were held at least, where
// that is more than the sender says: a frame that was overtaken on its way does
// not pass for fresher news than the one that overtook it. It comes after
// Reset, and before the first entry is taken.
func (d *Decoder) HeldAtLeast(held time.Duration) {
	d.atLeast = held
	d.held = max(d.held, held)
}

// begin takes entries from an ADVERT that was loaded.
func (d *Decoder) begin(a *block.Advert) {
	d.entries, d.left, d.held = a.Entries, a.Count, max(a.Held, d.atLeast)
	d.nextDest, d.nextProfile = 0, 0
}

// load proves that there are Count entries and nothing else, and makes the
// tables.
func (d *Decoder) load(a *block.Advert) error {
	p := a.Entries
	paths, dests, profiles := 0, 0, 0
	for range a.Count {
		// The shortest entry: what follows an index is checked there.
		if len(p) < minEntrySize {
			if len(p) == 0 {
				return ErrCount
			}
			return ErrTruncated
		}
		row := int(p[0])
		p = p[indexSize:]
		if row >= dests {
			if row > dests {
				return ErrIndex
			}
			n, err := d.defineDest(row, &paths, p)
			if err != nil {
				return err
			}
			p = p[n:]
			dests++
		}
		shape := d.paths[d.dests[row].path].shape
		size := portSize + compact.IPv4Size
		if shape&pathIPv6 != 0 {
			size = portSize + compact.IPv6Size
		}
		if shape&pathSource != 0 {
			size += portSize
		}

		if len(p) < indexSize {
			return ErrTruncated
		}
		row = int(p[0])
		p = p[indexSize:]
		if row >= profiles {
			if row > profiles {
				return ErrIndex
			}
			n, err := d.defineProfile(row, p)
			if err != nil {
				return err
			}
			p = p[n:]
			profiles++
		}
		options := d.profiles[row].options

		if len(p) <= size {
			return ErrTruncated
		}
		if p[size] < 0x80 {
			size++
		} else {
			_, n := compact.Varint(p[size:])
			if n == 0 {
				return varintError(p[size:])
			}
			size += n
		}
		size += optionsSize(options)
		if options&optionFields != 0 {
			n, err := checkFields(p, size)
			if err != nil {
				return err
			}
			size = n
		}
		if len(p) < size {
			return ErrTruncated
		}
		p = p[size:]
	}
	if len(p) != 0 {
		return ErrCount
	}
	return nil
}

// varintError returns what is wrong with a number that is not one.
func varintError(p []byte) error {
	if compact.CutOff(p) {
		return ErrTruncated
	}
	return ErrVarint
}

// defineDest makes a row of the definition at the start of p, and returns its
// size.
func (d *Decoder) defineDest(row int, paths *int, p []byte) (int, error) {
	if len(p) < indexSize {
		return 0, ErrTruncated
	}
	index := int(p[0])
	n := indexSize
	if index >= *paths {
		if index > *paths {
			return 0, ErrIndex
		}
		size, err := d.definePath(index, p[n:])
		if err != nil {
			return 0, err
		}
		n += size
		*paths++
	}
	way := &d.paths[index]
	ipv6 := way.shape&pathIPv6 != 0
	to, size := addrPort(p[n:], ipv6)
	if size == 0 {
		return 0, ErrTruncated
	}
	n += size
	t := decodedDest{dest: to, path: uint8(index)}
	if way.shape&pathDestination != 0 {
		if t.translated, size = addrPort(p[n:], ipv6); size == 0 {
			return 0, ErrTruncated
		}
		n += size
	} else {
		t.translated = conntrack.AnswerOf(way.protocol, to)
	}
	t.size = uint8(n)
	d.dests[row] = t
	return n, nil
}

// definePath makes a row of the definition at the start of p, and returns its
// size.
func (d *Decoder) definePath(row int, p []byte) (int, error) {
	if len(p) < pathHead {
		return 0, ErrTruncated
	}
	way := decodedPath{shape: p[offPathShape], protocol: conntrack.Protocol(p[offPathProtocol])}
	if way.shape&^pathBits != 0 {
		return 0, ErrReserved
	}
	n := pathHead
	for _, z := range [...]struct {
		bit  uint8
		zone *uint16
	}{{pathZone, &way.zones.Original}, {pathReplyZone, &way.zones.Reply}} {
		if way.shape&z.bit == 0 {
			continue
		}
		if len(p) < n+zoneSize {
			return 0, ErrTruncated
		}
		if *z.zone = binary.BigEndian.Uint16(p[n:]); *z.zone == 0 {
			return 0, ErrZone
		}
		n += zoneSize
	}
	if way.shape&pathSource != 0 {
		addr, size := compact.Address(p[n:], way.shape&pathIPv6 != 0)
		if size == 0 {
			return 0, ErrTruncated
		}
		way.source = addr
		n += size
	}
	d.paths[row] = way
	return n, nil
}

// addrPort returns the port and address at the start of p and their size, 0
// where it is cut off.
func addrPort(p []byte, ipv6 bool) (netip.AddrPort, int) {
	if len(p) < portSize {
		return netip.AddrPort{}, 0
	}
	addr, size := compact.Address(p[portSize:], ipv6)
	if size == 0 {
		return netip.AddrPort{}, 0
	}
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(p)), portSize + size
}

// defineProfile makes a row of the definition at the start of p, and returns
// its size.
func (d *Decoder) defineProfile(row int, p []byte) (int, error) {
	if len(p) < profileHead {
		return 0, ErrTruncated
	}
	options := p[offProfileOptions]
	if options&^optionBits != 0 {
		return 0, ErrReserved
	}
	size := profileSize(options)
	if len(p) < size {
		return 0, ErrTruncated
	}
	f := decodedProfile{
		timeout: time.Duration(binary.BigEndian.Uint32(p[offProfileTimeout:])) * time.Millisecond,
		status:  conntrack.Status(binary.BigEndian.Uint32(p[offProfileStatus:])),
		state:   conntrack.State(p[offProfileState]),
		options: options,
	}
	p = p[profileHead:]
	if options&optionMark != 0 {
		f.mark = binary.BigEndian.Uint32(p)
		p = p[markSize:]
	}
	if options&optionTCP != 0 {
		f.tcp = conntrack.TCPInfo{
			Scale: [2]uint8{p[offTCPScales] >> 4, p[offTCPScales] & 0x0f},
			Flags: [2]uint8{p[offTCPFlags], p[offTCPFlags+1]},
		}
	}
	d.profiles[row] = f
	return size, nil
}

// checkFields proves that the fields that begin at p[at] fill their length, and
// returns where they end.
func checkFields(p []byte, at int) (int, error) {
	if len(p) < at+fieldsHead {
		return 0, ErrTruncated
	}
	end := at + fieldsHead + int(binary.BigEndian.Uint16(p[at:]))
	if len(p) < end {
		return 0, ErrTruncated
	}
	for at += fieldsHead; at < end; {
		if end-at < fieldHead {
			return 0, ErrFields
		}
		at += fieldHead + int(p[at+1])
	}
	if at != end {
		return 0, ErrFields
	}
	return end, nil
}

// Count returns the number of entries in the frame, also those that are refused
// alone.
func (d *Decoder) Count() int { return d.total }

// Refusals returns how many entries were refused alone so far, since Reset.
func (d *Decoder) Refusals() Refusals { return d.refused }

// Next decodes the next entry into c, all of whose fields it sets. Its age has
// the time that it was held in it: see also [Decoder.HeldAtLeast]. It returns
// false when there is none. An entry that is refused alone is counted, and the
// next one taken.
func (d *Decoder) Next(c *conntrack.Entry) bool {
	for {
		for d.left == 0 {
			var a block.Advert
			if !d.adverts.NextAdvert(block.ClassConntrack, &a) {
				return false
			}
			if d.load(&a) != nil { // Reset has loaded it before
				return false
			}
			d.begin(&a)
		}
		d.left--
		if d.take(c) {
			return true
		}
	}
}

// take decodes one entry, and reports whether it is not refused.
func (d *Decoder) take(c *conntrack.Entry) bool {
	p := d.entries
	row := int(p[0])
	p = p[indexSize:]
	t := &d.dests[row]
	if row == d.nextDest {
		p = p[t.size:]
		d.nextDest++
	}
	way := &d.paths[t.path]
	row = int(p[0])
	p = p[indexSize:]
	f := &d.profiles[row]
	if row == d.nextProfile {
		p = p[profileSize(f.options):]
		d.nextProfile++
	}

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
		Age:      time.Duration(age)*time.Millisecond + d.held,
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
		n := fieldsHead + int(binary.BigEndian.Uint16(p))
		ok = d.takeFields(p[fieldsHead:n], c)
		p = p[n:]
	}
	d.entries = p
	if ok && ((f.options&optionTCP != 0) != (c.Protocol == conntrack.TCP) || (f.options&optionTags != 0) != (c.Protocol == conntrack.SCTP) ||
		f.tcp.Scale[0] > conntrack.MaxScale || f.tcp.Scale[1] > conntrack.MaxScale) {
		d.refused.Protocol++
		return false
	}
	return ok
}

// takeFields decodes the fields, and reports whether the entry is not refused
// for them.
func (d *Decoder) takeFields(p []byte, c *conntrack.Entry) bool {
	var seen [4]uint64 // a bit for every type
	for len(p) > 0 {
		typ, value := p[0], p[fieldHead:fieldHead+int(p[1])]
		p = p[fieldHead+len(value):]
		if bit := uint64(1) << (typ % 64); seen[typ/64]&bit == 0 {
			seen[typ/64] |= bit
		} else {
			d.refused.DuplicateField++
			return false
		}
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
		case typ&fieldMandatory != 0:
			d.refused.UnknownField++
			return false
		}
	}
	return true
}
