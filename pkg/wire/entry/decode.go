package entry

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/compact"
)

// Decoder takes the connections out of the ADVERT blocks of one frame after the
// other. The zero value is ready for [Decoder.Reset]. It is not for concurrent
// use.
type Decoder struct {
	adverts block.Blocks // behind the one that connections are taken from
	entries []byte       // of that one, not yet taken
	left    int          // how many they are
	held    time.Duration
	atLeast time.Duration // that held is
	total   int
	refused Refusals
	peName  string // the last one seen: they hardly ever change

	// The tables of that ADVERT, complete; and how many rows of them the
	// entries that were taken have defined. Those of services and profiles
	// are behind what the entries say, and need no count.
	services [compact.MaxRows]decodedService
	dests    [compact.MaxRows]decodedDest
	profiles [compact.MaxRows]decodedProfile

	nextDest, nextProfile int
}

type decodedService struct {
	virtual  netip.AddrPort
	fwmark   uint32
	protocol ipvs.Protocol
}

type decodedDest struct {
	dest    netip.AddrPort
	service uint8
	ipv6    bool  // the client
	size    uint8 // of the definition, with that of its service
}

type decodedProfile struct {
	timeout time.Duration
	flags   ipvs.Flags
	state   uint8
	fields  bool
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
	d.adverts = block.Blocks{}
	d.entries, d.left, d.total, d.refused = nil, 0, 0, Refusals{}
	d.atLeast = 0
	var first, a block.Advert
	var behind block.Blocks
	total := 0
	for blocks.NextAdvert(block.ClassIPVS, &a) {
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

// HeldAtLeast says how long the connections of the frame were held at least,
// where that is more than the sender says: a frame that was overtaken on its
// way does not pass for fresher news than the one that overtook it. It comes
// after Reset, and before the first connection is taken.
func (d *Decoder) HeldAtLeast(held time.Duration) {
	d.atLeast = held
	d.held = max(d.held, held)
}

// begin takes connections from an ADVERT that was loaded.
func (d *Decoder) begin(a *block.Advert) {
	d.entries, d.left, d.held = a.Entries, a.Count, max(a.Held, d.atLeast)
	d.nextDest, d.nextProfile = 0, 0
}

// load proves that there are Count entries and nothing else, and makes the
// tables.
func (d *Decoder) load(a *block.Advert) error {
	p := a.Entries
	services, dests, profiles := 0, 0, 0
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
			n, err := d.defineDest(row, &services, p)
			if err != nil {
				return err
			}
			p = p[n:]
			dests++
		}
		size := portSize + ipv4Size
		if d.dests[row].ipv6 {
			size = portSize + ipv6Size
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
			if err := d.defineProfile(row, p); err != nil {
				return err
			}
			p = p[profileSize:]
			profiles++
		}
		f := &d.profiles[row]

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
		if f.flags&ipvs.FlagSeqMask != 0 {
			size += sequencesSize
		}
		if f.fields {
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
func (d *Decoder) defineDest(row int, services *int, p []byte) (int, error) {
	if len(p) < indexSize {
		return 0, ErrTruncated
	}
	index := int(p[0])
	n := indexSize
	if index >= *services {
		if index > *services {
			return 0, ErrIndex
		}
		size, err := d.defineService(index, p[n:])
		if err != nil {
			return 0, err
		}
		n += size
		*services++
	}
	s := &d.services[index]
	if len(p) <= n {
		return 0, ErrTruncated
	}
	shape := p[n]
	n++
	if shape&^(destIPv6|destPort) != 0 {
		return 0, ErrReserved
	}
	addr, size := compact.Address(p[n:], shape&destIPv6 != 0)
	if size == 0 {
		return 0, ErrTruncated
	}
	n += size
	port := s.virtual.Port()
	if shape&destPort != 0 {
		if len(p) < n+portSize {
			return 0, ErrTruncated
		}
		port = binary.BigEndian.Uint16(p[n:])
		n += portSize
	}
	d.dests[row] = decodedDest{netip.AddrPortFrom(addr, port), uint8(index), !s.virtual.Addr().Is4(), uint8(n)}
	return n, nil
}

// defineService makes a row of the definition at the start of p, and returns
// its size.
func (d *Decoder) defineService(row int, p []byte) (int, error) {
	if len(p) < serviceHead {
		return 0, ErrTruncated
	}
	shape := p[offServiceShape]
	if shape&^(serviceIPv6|serviceFwmark) != 0 {
		return 0, ErrReserved
	}
	addr, size := compact.Address(p[serviceHead:], shape&serviceIPv6 != 0)
	if size == 0 {
		return 0, ErrTruncated
	}
	n := serviceHead + size
	s := decodedService{
		virtual:  netip.AddrPortFrom(addr, binary.BigEndian.Uint16(p[offServicePort:])),
		protocol: ipvs.Protocol(p[offServiceProtocol]),
	}
	if shape&serviceFwmark != 0 {
		if len(p) < n+fwmarkSize {
			return 0, ErrTruncated
		}
		s.fwmark = binary.BigEndian.Uint32(p[n:])
		if s.fwmark == 0 {
			return 0, ErrFwmark
		}
		n += fwmarkSize
	}
	d.services[row] = s
	return n, nil
}

// defineProfile makes a row of the definition at the start of p.
func (d *Decoder) defineProfile(row int, p []byte) error {
	if len(p) < profileSize {
		return ErrTruncated
	}
	options := p[offProfileOptions]
	if options&^optionFields != 0 {
		return ErrReserved
	}
	d.profiles[row] = decodedProfile{
		timeout: time.Duration(binary.BigEndian.Uint32(p[offProfileTimeout:])) * time.Millisecond,
		flags:   ipvs.Flags(binary.BigEndian.Uint32(p[offProfileFlags:])),
		state:   p[offProfileState],
		fields:  options&optionFields != 0,
	}
	return nil
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

// Count returns the number of connections in the frame, also those that are
// refused alone.
func (d *Decoder) Count() int { return d.total }

// Refusals returns how many connections were refused alone so far, since
// Reset.
func (d *Decoder) Refusals() Refusals { return d.refused }

// Next decodes the next connection into c, all of whose fields it sets; it
// reuses the memory of c.PEData (use [ipvs.Conn.Clone] to keep one). Its age
// has the time that it was held in it: see also [Decoder.HeldAtLeast]. It returns false when there is
// none. A connection that is refused alone is counted, and the next one taken.
func (d *Decoder) Next(c *ipvs.Conn) bool {
	for {
		for d.left == 0 {
			var a block.Advert
			if !d.adverts.NextAdvert(block.ClassIPVS, &a) {
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

// take decodes one connection, and reports whether it is not refused.
func (d *Decoder) take(c *ipvs.Conn) bool {
	p := d.entries
	row := int(p[0])
	p = p[indexSize:]
	t := &d.dests[row]
	if row == d.nextDest {
		p = p[t.size:]
		d.nextDest++
	}
	s := &d.services[t.service]
	row = int(p[0])
	p = p[indexSize:]
	f := &d.profiles[row]
	if row == d.nextProfile {
		p = p[profileSize:]
		d.nextProfile++
	}

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
	c.Age = time.Duration(age)*time.Millisecond + d.held
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
		n := fieldsHead + int(binary.BigEndian.Uint16(p))
		ok = d.takeFields(p[fieldsHead:n], c)
		p = p[n:]
	}
	d.entries = p
	return ok
}

// takeFields decodes the fields, and reports whether the connection is not
// refused for them.
func (d *Decoder) takeFields(p []byte, c *ipvs.Conn) bool {
	var seen [4]uint64 // a bit for every type
	var name []byte
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
		case typ == fieldPEName && validPEName(value):
			name = value
		case typ == fieldPEData && validPEData(value):
			c.PEData = append(c.PEData, value...)
		case typ == fieldPEName || typ == fieldPEData:
			d.refused.PersistenceEngine++
			return false
		case typ&fieldMandatory != 0:
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
