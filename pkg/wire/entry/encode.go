package entry

import (
	"encoding/binary"
	"math"
	"net/netip"
	"time"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/advert"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/compact"
)

// Encoder puts connections into the ADVERT blocks of one frame after the other,
// in a buffer of the caller. The zero value is ready for [Encoder.Reset]. It is
// not for concurrent use.
type Encoder struct {
	writer advert.Writer
	seed   compact.Seed

	services compact.Table[service]
	dests    compact.Table[dest]
	profiles compact.Table[profile]
}

// service is a row of the services.
type service struct {
	virtual  netip.AddrPort
	fwmark   uint32
	protocol ipvs.Protocol
}

// dest is a row of the destinations.
type dest struct {
	dest    netip.AddrPort
	service uint16 // its row
}

// profile is a row of the profiles.
type profile struct {
	timeout time.Duration
	flags   ipvs.Flags
	state   ipvs.State
	fields  bool
}

// Reset begins a new frame: ADVERT blocks are appended to buf, which must not
// become longer than limit bytes. A buffer with that capacity is used as it
// is; for a smaller one a new one is made. The error is [ErrRoom] where less
// than [MinRoom] is left. A limit over 65,535 is taken for that.
func (e *Encoder) Reset(buf []byte, limit int) error {
	if !e.writer.Reset(block.ClassIPVS, buf, limit, MinRoom) {
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
	e.services.Clear()
	e.dests.Clear()
	e.profiles.Clear()
}

// Append adds a connection. [ErrFull] says that it does not fit: finish the
// frame, and append it to the next, where it does. Every other error says why
// it cannot be carried. On an error the frame is as it was before.
//
// Timeout and Age become milliseconds: Age rounded down, Timeout up, so that
// what is known does not become 0, which means unknown; both are limited to
// what 32 bits hold, about 49 days, and not below 0.
func (e *Encoder) Append(c *ipvs.Conn) error {
	if err := check(c); err != nil {
		return err
	}
	if !e.writer.Begun() { // no Reset yet, or one that failed
		return ErrFull
	}
	size := minEntrySize - ipv4Size - 1
	client := c.Client.Addr()
	size += compact.AddressSize(client)
	age := compact.Milliseconds(c.Age)
	size += compact.VarintSize(age)
	if c.Flags&ipvs.FlagSeqMask != 0 {
		size += sequencesSize
	}
	fields := fieldsSize(c)
	size += fields

	s := service{c.Virtual, c.Fwmark, c.Protocol}
	serviceRow, ok := e.services.Last(&s)
	serviceAt := 0
	if !ok {
		serviceRow, serviceAt = e.services.Find(&s, e.seed.AddrPort(s.virtual, uint64(s.fwmark)<<8|uint64(s.protocol)))
	}
	d := dest{c.Dest, uint16(serviceRow)}
	destRow, ok := e.dests.Last(&d)
	destAt := 0
	if !ok {
		destRow, destAt = e.dests.Find(&d, e.seed.AddrPort(d.dest, uint64(d.service)))
	}
	f := profile{c.Timeout, c.Flags &^ ipvs.FlagHashed, c.State, fields > 0}
	profileRow, ok := e.profiles.Last(&f)
	profileAt := 0
	if !ok {
		profileRow, profileAt = e.profiles.Find(&f, f.hash(e.seed))
	}

	newService, newDest, newProfile := serviceRow == e.services.Len(), destRow == e.dests.Len(), profileRow == e.profiles.Len()
	defined := 0
	if newService {
		defined += serviceSize(&s)
	}
	if newDest {
		defined += destSize(&d, s.virtual.Port())
	}
	if newProfile {
		defined += profileSize
	}
	if newService && serviceRow == compact.MaxRows || newDest && destRow == compact.MaxRows || newProfile && profileRow == compact.MaxRows || e.writer.BlockFull() {
		size += advertSize + serviceSize(&s) + destSize(&d, s.virtual.Port()) + profileSize
		if size > e.writer.Room() {
			return ErrFull
		}
		e.writer.Another()
		e.clear()
		return e.Append(c)
	}
	size += defined
	if size > e.writer.Room() {
		return ErrFull
	}

	p := e.writer.Next(size)
	p[0] = uint8(destRow)
	p = p[1:]
	if newDest {
		p[0] = uint8(serviceRow)
		p = p[1:]
		if newService {
			p = p[putService(p, &s):]
			e.services.Add(&s, serviceAt)
		}
		p = p[putDest(p, &d, s.virtual.Port()):]
		e.dests.Add(&d, destAt)
	}
	p[0] = uint8(profileRow)
	p = p[1:]
	if newProfile {
		putProfile(p, &f)
		p = p[profileSize:]
		e.profiles.Add(&f, profileAt)
	}
	binary.BigEndian.PutUint16(p, c.Client.Port())
	p = p[portSize:]
	p = p[compact.PutAddress(p, client):]
	p = p[compact.PutVarint(p, age):]
	if c.Flags&ipvs.FlagSeqMask != 0 {
		putSequence(p, &c.In)
		putSequence(p[sequenceSize:], &c.Out)
		p = p[sequencesSize:]
	}
	if fields > 0 {
		putFields(p, c)
	}
	e.services.Use(serviceRow)
	e.dests.Use(destRow)
	e.profiles.Use(profileRow)
	e.writer.Added(size)
	return nil
}

// check returns why a connection cannot be carried.
func check(c *ipvs.Conn) error {
	client, virtual, server := c.Client.Addr(), c.Virtual.Addr(), c.Dest.Addr()
	if !(client.Is4() && virtual.Is4()) && !(isIPv6(client) && isIPv6(virtual)) || !server.Is4() && !isIPv6(server) {
		return ErrFamily
	}
	if c.Flags&ipvs.FlagOnePacket != 0 {
		return ErrOnePacket
	}
	if c.State > math.MaxUint8 {
		return ErrState
	}
	if (c.PEName != "" || len(c.PEData) != 0) && !(c.Template() && validPEName(c.PEName) && validPEData(c.PEData)) {
		return ErrPE
	}
	return nil
}

func isIPv6(a netip.Addr) bool { return a.Is6() && a.Zone() == "" }

func validPEName[S string | []byte](name S) bool {
	if len(name) == 0 || len(name) > peNameMax {
		return false
	}
	for i := range len(name) {
		if name[i] == 0 {
			return false
		}
	}
	return true
}

func validPEData(data []byte) bool { return len(data) > 0 && len(data) <= peDataMax }

// serviceSize returns the size of a definition.
func serviceSize(s *service) int {
	size := serviceHead + compact.AddressSize(s.virtual.Addr())
	if s.fwmark != 0 {
		size += fwmarkSize
	}
	return size
}

func putService(p []byte, s *service) int {
	addr := s.virtual.Addr()
	shape := uint8(0)
	if !addr.Is4() {
		shape |= serviceIPv6
	}
	if s.fwmark != 0 {
		shape |= serviceFwmark
	}
	p[offServiceShape] = shape
	p[offServiceProtocol] = uint8(s.protocol)
	binary.BigEndian.PutUint16(p[offServicePort:], s.virtual.Port())
	n := serviceHead
	n += compact.PutAddress(p[n:], addr)
	if s.fwmark != 0 {
		binary.BigEndian.PutUint32(p[n:], s.fwmark)
		n += fwmarkSize
	}
	return n
}

// destSize returns the size of a definition without that of its service.
func destSize(d *dest, port uint16) int {
	size := indexSize + 1 + compact.AddressSize(d.dest.Addr())
	if d.dest.Port() != port {
		size += portSize
	}
	return size
}

func putDest(p []byte, d *dest, port uint16) int {
	addr := d.dest.Addr()
	shape := uint8(0)
	if !addr.Is4() {
		shape |= destIPv6
	}
	if d.dest.Port() != port {
		shape |= destPort
	}
	p[0] = shape
	n := 1
	n += compact.PutAddress(p[n:], addr)
	if d.dest.Port() != port {
		binary.BigEndian.PutUint16(p[n:], d.dest.Port())
		n += portSize
	}
	return n
}

func putProfile(p []byte, f *profile) {
	_ = p[profileSize-1]
	options := uint8(0)
	if f.fields {
		options = optionFields
	}
	binary.BigEndian.PutUint32(p[offProfileFlags:], uint32(f.flags))
	p[offProfileState] = uint8(f.state)
	p[offProfileOptions] = options
	binary.BigEndian.PutUint32(p[offProfileTimeout:], compact.MillisecondsUp(f.timeout))
}

// hash hashes a profile.
func (f *profile) hash(s compact.Seed) uint64 {
	return s.Words(uint64(f.timeout), uint64(f.flags)<<16^uint64(f.state))
}

// fieldsSize returns the size of the fields, 0 for none.
func fieldsSize(c *ipvs.Conn) int {
	if c.PEName == "" {
		return 0
	}
	return fieldsHead + 2*fieldHead + len(c.PEName) + len(c.PEData)
}

func putFields(p []byte, c *ipvs.Conn) {
	binary.BigEndian.PutUint16(p, uint16(len(p)-fieldsHead))
	p = p[fieldsHead:]
	p[0], p[1] = fieldPEName, uint8(len(c.PEName))
	p = p[fieldHead+copy(p[fieldHead:], c.PEName):]
	p[0], p[1] = fieldPEData, uint8(len(c.PEData))
	copy(p[fieldHead:], c.PEData)
}

// Count returns the number of connections in the frame.
func (e *Encoder) Count() int { return e.writer.Count() }

// Full reports whether no further connection can be appended, not even one of
// a real server and a state that others had.
func (e *Encoder) Full() bool { return e.writer.Room() < minEntrySize }

// Finish completes the ADVERT blocks, with sequence 0 and nothing held: see
// [block.Stamp]. It returns buf, with the blocks appended, which stay valid
// until the buffer is used again, or nil where there are no connections. It
// may be called again after further connections.
func (e *Encoder) Finish() []byte { return e.writer.Finish() }
