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

// Encoder puts entries into the ADVERT blocks of one frame after the other, in
// a buffer of the caller. The zero value is ready for [Encoder.Reset]. It is
// not for concurrent use.
type Encoder struct {
	writer advert.Writer
	seed   compact.Seed

	paths    compact.Table[path]
	dests    compact.Table[dest]
	profiles compact.Table[profile]
}

// path is a row of the paths.
type path struct {
	source   netip.Addr // translated; the zero value where it is not
	zones    conntrack.Zones
	protocol conntrack.Protocol
	shape    uint8
}

// dest is a row of the destinations.
type dest struct {
	dest       netip.AddrPort
	translated netip.AddrPort // the zero value where it is not
	path       uint16         // its row
}

// profile is a row of the profiles.
type profile struct {
	timeout time.Duration
	status  conntrack.Status
	mark    uint32
	tcp     conntrack.TCPInfo
	state   conntrack.State
	options uint8
}

func (p *path) hash(s compact.Seed) uint64 {
	return s.AddrPort(netip.AddrPortFrom(p.source, uint16(p.shape)),
		uint64(p.zones.Original)<<32|uint64(p.zones.Reply)<<16|uint64(p.protocol))
}

func (d *dest) hash(s compact.Seed) uint64 {
	h := s.AddrPort(d.dest, uint64(d.path))
	if d.translated.IsValid() {
		h = s.AddrPort(d.translated, h)
	}
	return h
}

func (f *profile) hash(s compact.Seed) uint64 {
	return s.Words(uint64(f.timeout)^uint64(f.mark)<<40^uint64(f.mark)>>24,
		uint64(f.status)<<32|uint64(f.state)<<24|uint64(f.options)<<16|uint64(f.tcp.Flags[0])<<8|uint64(f.tcp.Flags[1]))
}

// pathOf returns the path of an entry.
func pathOf(e *conntrack.Entry) path {
	p := path{protocol: e.Protocol, zones: e.Zones}
	if !e.Original.Source.Addr().Is4() {
		p.shape |= pathIPv6
	}
	if e.Zones.Original != 0 {
		p.shape |= pathZone
	}
	if e.Zones.Reply != 0 {
		p.shape |= pathReplyZone
	}
	if e.TranslatedSource() {
		p.shape |= pathSource
		p.source = e.Reply.Destination.Addr()
	}
	if e.TranslatedDestination() {
		p.shape |= pathDestination
	}
	return p
}

// profileOf returns the profile of an entry.
func profileOf(e *conntrack.Entry, fields int) profile {
	f := profile{timeout: e.Timeout, status: e.Status &^ conntrack.Dying, mark: e.Mark, state: e.State}
	if fields > 0 {
		f.options |= optionFields
	}
	if e.Mark != 0 {
		f.options |= optionMark
	}
	if e.Protocol == conntrack.TCP {
		f.options |= optionTCP
		f.tcp = e.TCP
	}
	if e.Adjust != ([2]conntrack.Adjustment{}) {
		f.options |= optionAdjustments
	}
	if e.Protocol == conntrack.SCTP {
		f.options |= optionTags
	}
	return f
}

// Reset begins a new frame: ADVERT blocks are appended to buf, which must not
// become longer than limit bytes. A buffer with that capacity is used as it
// is; for a smaller one a new one is made. The error is [ErrRoom] where less
// than [MinRoom] is left. A limit over 65,535 is taken for that.
func (e *Encoder) Reset(buf []byte, limit int) error {
	if !e.writer.Reset(block.ClassConntrack, buf, limit, MinRoom) {
		return ErrRoom
	}
	if e.seed == 0 {
		e.seed = compact.NewSeed()
	}
	e.clear()
	return nil
}

// clear empties the tables: each block has its own.
func (e *Encoder) clear() {
	e.paths.Clear()
	e.dests.Clear()
	e.profiles.Clear()
}

// Append adds an entry. [ErrFull] says that it does not fit: finish the frame,
// and append it to the next, where it does. Every other error says why it
// cannot be carried. On an error the frame is as it was before.
//
// Timeout and Age become milliseconds: Age rounded down, Timeout up, so that
// only what has ended has a timeout of 0; both are limited to what 32 bits
// hold, about 49 days, and not below 0. Status goes without Dying.
func (e *Encoder) Append(c *conntrack.Entry) error {
	if err := check(c); err != nil {
		return err
	}
	if !e.writer.Begun() { // no Reset yet, or one that failed
		return ErrFull
	}
	source := c.Original.Source.Addr()
	age := compact.Milliseconds(c.Age)
	fields := fieldsSize(c)

	way := pathOf(c)
	pathRow, ok := e.paths.Last(&way)
	pathAt := 0
	if !ok {
		pathRow, pathAt = e.paths.Find(&way, way.hash(e.seed))
	}
	d := dest{dest: c.Original.Destination, path: uint16(pathRow)}
	if way.shape&pathDestination != 0 {
		d.translated = c.Reply.Source
	}
	destRow, ok := e.dests.Last(&d)
	destAt := 0
	if !ok {
		destRow, destAt = e.dests.Find(&d, d.hash(e.seed))
	}
	f := profileOf(c, fields)
	profileRow, ok := e.profiles.Last(&f)
	profileAt := 0
	if !ok {
		profileRow, profileAt = e.profiles.Find(&f, f.hash(e.seed))
	}

	size := 2*indexSize + portSize + compact.AddressSize(source) + compact.VarintSize(age) + f.entrySize() + fields
	if way.shape&pathSource != 0 {
		size += portSize
	}
	newPath, newDest, newProfile := pathRow == e.paths.Len(), destRow == e.dests.Len(), profileRow == e.profiles.Len()
	if newPath && pathRow == compact.MaxRows || newDest && destRow == compact.MaxRows ||
		newProfile && profileRow == compact.MaxRows || e.writer.BlockFull() {
		if advertSize+size+way.size()+d.size()+f.size() > e.writer.Room() {
			return ErrFull
		}
		e.writer.Another()
		e.clear()
		return e.Append(c)
	}
	if newPath {
		size += way.size()
	}
	if newDest {
		size += d.size()
	}
	if newProfile {
		size += f.size()
	}
	if size > e.writer.Room() {
		return ErrFull
	}

	p := e.writer.Next(size)
	p[0] = uint8(destRow)
	p = p[indexSize:]
	if newDest {
		p[0] = uint8(pathRow)
		p = p[indexSize:]
		if newPath {
			p = p[way.put(p):]
			e.paths.Add(&way, pathAt)
		}
		p = p[d.put(p):]
		e.dests.Add(&d, destAt)
	}
	p[0] = uint8(profileRow)
	p = p[indexSize:]
	if newProfile {
		p = p[f.put(p):]
		e.profiles.Add(&f, profileAt)
	}
	p = p[putAddrPort(p, c.Original.Source):]
	if way.shape&pathSource != 0 {
		binary.BigEndian.PutUint16(p, c.Reply.Destination.Port())
		p = p[portSize:]
	}
	p = p[compact.PutVarint(p, age):]
	if f.options&optionAdjustments != 0 {
		putAdjustment(p, &c.Adjust[0])
		putAdjustment(p[adjustmentSize:], &c.Adjust[1])
		p = p[adjustmentsSize:]
	}
	if f.options&optionTags != 0 {
		binary.BigEndian.PutUint32(p, c.SCTP.Tags[0])
		binary.BigEndian.PutUint32(p[4:], c.SCTP.Tags[1])
		p = p[tagsSize:]
	}
	if fields > 0 {
		putFields(p, c)
	}
	e.paths.Use(pathRow)
	e.dests.Use(destRow)
	e.profiles.Use(profileRow)
	e.writer.Added(size)
	return nil
}

// check returns why an entry cannot be carried.
func check(c *conntrack.Entry) error {
	ipv4 := c.Original.Source.Addr().Is4()
	for _, a := range [...]netip.Addr{
		c.Original.Source.Addr(), c.Original.Destination.Addr(), c.Reply.Source.Addr(), c.Reply.Destination.Addr(),
	} {
		if a.Is4() != ipv4 || !ipv4 && (!a.Is6() || a.Zone() != "") {
			return ErrFamily
		}
	}
	if c.Protocol != conntrack.TCP && c.TCP != (conntrack.TCPInfo{}) || c.Protocol != conntrack.SCTP && c.SCTP != (conntrack.SCTPInfo{}) ||
		!hasState(c.Protocol, c.State) || c.TCP.Scale[0] > conntrack.MaxScale || c.TCP.Scale[1] > conntrack.MaxScale {
		return ErrProtocol
	}
	if c.Helper != "" && !validHelper(c.Helper) {
		return ErrHelper
	}
	return nil
}

// putAddrPort writes a port and an address, and returns how many bytes they
// took.
func putAddrPort(p []byte, a netip.AddrPort) int {
	binary.BigEndian.PutUint16(p, a.Port())
	return portSize + compact.PutAddress(p[portSize:], a.Addr())
}

// size returns the size of a definition.
func (w *path) size() int {
	size := pathHead
	if w.shape&pathZone != 0 {
		size += zoneSize
	}
	if w.shape&pathReplyZone != 0 {
		size += zoneSize
	}
	if w.shape&pathSource != 0 {
		size += compact.AddressSize(w.source)
	}
	return size
}

func (w *path) put(p []byte) int {
	p[offPathShape], p[offPathProtocol] = w.shape, uint8(w.protocol)
	n := pathHead
	if w.shape&pathZone != 0 {
		binary.BigEndian.PutUint16(p[n:], w.zones.Original)
		n += zoneSize
	}
	if w.shape&pathReplyZone != 0 {
		binary.BigEndian.PutUint16(p[n:], w.zones.Reply)
		n += zoneSize
	}
	if w.shape&pathSource != 0 {
		n += compact.PutAddress(p[n:], w.source)
	}
	return n
}

// size returns the size of a definition without that of its path.
func (d *dest) size() int {
	size := indexSize + portSize + compact.AddressSize(d.dest.Addr())
	if d.translated.IsValid() {
		size += portSize + compact.AddressSize(d.translated.Addr())
	}
	return size
}

func (d *dest) put(p []byte) int {
	n := putAddrPort(p, d.dest)
	if d.translated.IsValid() {
		n += putAddrPort(p[n:], d.translated)
	}
	return n
}

// size returns the size of a definition.
func (f *profile) size() int { return profileSize(f.options) }

// profileSize returns that of a profile with these options.
func profileSize(options uint8) int {
	size := profileHead
	if options&optionMark != 0 {
		size += markSize
	}
	if options&optionTCP != 0 {
		size += tcpSize
	}
	return size
}

// entrySize returns what each entry has because of the options.
func (f *profile) entrySize() int { return optionsSize(f.options) }

func optionsSize(options uint8) (size int) {
	if options&optionAdjustments != 0 {
		size += adjustmentsSize
	}
	if options&optionTags != 0 {
		size += tagsSize
	}
	return size
}

func (f *profile) put(p []byte) int {
	binary.BigEndian.PutUint32(p[offProfileStatus:], uint32(f.status))
	p[offProfileState] = uint8(f.state)
	p[offProfileOptions] = f.options
	binary.BigEndian.PutUint32(p[offProfileTimeout:], compact.MillisecondsUp(f.timeout))
	n := profileHead
	if f.options&optionMark != 0 {
		binary.BigEndian.PutUint32(p[n:], f.mark)
		n += markSize
	}
	if f.options&optionTCP != 0 {
		p[n+offTCPScales] = f.tcp.Scale[0]<<4 | f.tcp.Scale[1]
		p[n+offTCPFlags], p[n+offTCPFlags+1] = f.tcp.Flags[0], f.tcp.Flags[1]
		n += tcpSize
	}
	return n
}

// fieldsSize returns the size of the fields, 0 for none.
func fieldsSize(c *conntrack.Entry) int {
	size := 0
	if c.Labels != ([labelsSize]byte{}) {
		size += fieldHead + labelsSize
	}
	if c.Helper != "" {
		size += fieldHead + len(c.Helper)
	}
	if c.Proxy != (conntrack.Proxy{}) {
		size += fieldHead + proxySize
	}
	if size > 0 {
		size += fieldsHead
	}
	return size
}

func putFields(p []byte, c *conntrack.Entry) {
	binary.BigEndian.PutUint16(p, uint16(len(p)-fieldsHead))
	p = p[fieldsHead:]
	if c.Labels != ([labelsSize]byte{}) {
		p[0], p[1] = fieldLabels, labelsSize
		p = p[fieldHead+copy(p[fieldHead:], c.Labels[:]):]
	}
	if c.Helper != "" {
		p[0], p[1] = fieldHelper, uint8(len(c.Helper))
		p = p[fieldHead+copy(p[fieldHead:], c.Helper):]
	}
	if c.Proxy != (conntrack.Proxy{}) {
		p[0], p[1] = fieldProxy, proxySize
		binary.BigEndian.PutUint32(p[2:], c.Proxy.ISN)
		binary.BigEndian.PutUint32(p[6:], c.Proxy.ITS)
		binary.BigEndian.PutUint32(p[10:], c.Proxy.Offset)
	}
}

// Count returns the number of entries in the frame.
func (e *Encoder) Count() int { return e.writer.Count() }

// Full reports whether no further entry can be appended, not even one of a
// destination and a profile that others had.
func (e *Encoder) Full() bool { return e.writer.Room() < minEntrySize }

// Finish completes the ADVERT blocks, with sequence 0 and nothing held: see
// [block.Stamp]. It returns buf, with the blocks appended, which stay valid
// until the buffer is used again, or nil where there are no entries. It may be
// called again after further entries.
func (e *Encoder) Finish() []byte { return e.writer.Finish() }
