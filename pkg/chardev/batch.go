package chardev

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// Batch is the buffer that one read fills, and the cursor over its records. It
// is made to be used again and again; decoding from it does not allocate. It
// is not for concurrent use.
type Batch struct {
	buf    []byte
	rest   []byte // records not yet taken
	n      int    // bytes that the last read returned
	events Events
	err    error
	peName string // the last one seen: they hardly ever change
}

// NewBatch returns a batch for reads of up to size bytes, at least [ReadMin].
func NewBatch(size int) *Batch { return &Batch{buf: make([]byte, max(size, ReadMin))} }

// Load fills the batch with the records that a read of the device would have
// returned: as many whole ones as it holds. It is for stand-ins of the device.
// It returns the number of bytes loaded. Records are not looked at further
// than their length; where that is broken, the batch gets all that it holds,
// for [Batch.Next] to find it.
func (b *Batch) Load(records []byte) int {
	n := len(records)
	if n > len(b.buf) {
		n = 0
		for n+headSize <= len(records) {
			size := int(binary.NativeEndian.Uint16(records[n+offLen:]))
			if size < headSize {
				n = len(b.buf)
				break
			}
			if n+size > len(b.buf) {
				break
			}
			n += size
		}
	}
	copy(b.buf, records[:n])
	b.filled(n)
	return n
}

// filled begins anew with the n bytes that were read, and takes the events
// that come first.
func (b *Batch) filled(n int) {
	b.n = n
	b.rest = b.buf[:n]
	b.events = 0
	b.err = nil
	for len(b.rest) >= headSize && b.rest[offKind] == kindEvent && b.nextEvent() {
	}
}

// Next decodes the next connection record into c, all of whose fields it sets;
// it reuses the memory of c.PEData (use [ipvs.Conn.Clone] to keep one). It
// returns false at the end of the batch and at a malformed record: see
// [Batch.Err]. Event records are collected on the way: see [Batch.Events].
func (b *Batch) Next(c *ipvs.Conn) bool {
	for {
		p := b.rest
		if len(p) < connSize || p[offKind] != kindConn {
			if len(p) == 0 || b.err != nil {
				return false
			}
			if len(p) < headSize || p[offKind] != kindEvent {
				return b.malformed(errHead)
			}
			if !b.nextEvent() {
				return false
			}
			continue
		}
		size := int(binary.NativeEndian.Uint16(p[offLen:]))
		if size < connSize || size > len(p) {
			return b.malformed(errLength)
		}
		fixed := (*[connSize]byte)(p)
		if err := decodeConn(fixed, c); err != nil {
			return b.malformed(err)
		}
		if fixed[offOptions] == 0 {
			if size != connSize {
				return b.malformed(errLength)
			}
			c.In, c.Out = ipvs.Sequence{}, ipvs.Sequence{}
			c.PEName, c.PEData = "", c.PEData[:0]
		} else if err := b.decodeOptions(p[connSize:size], fixed[offOptions], c); err != nil {
			return b.malformed(err)
		}
		b.rest = p[size:]
		return true
	}
}

// NextPlain takes the next record where it is a connection that [ipvs.Plain] can
// hold, and sets every field of c. Where it returns false it took nothing:
// [Batch.Next] says what there is. The two may be called in turn.
func (b *Batch) NextPlain(c *ipvs.Plain) bool {
	if len(b.rest) < connSize {
		return false
	}
	p := (*[connSize]byte)(b.rest)
	if binary.NativeEndian.Uint32(p[offLen:]) != plainHead ||
		binary.NativeEndian.Uint16(p[offFamily:]) != familyIPv4<<8|familyIPv4 {
		return false
	}
	flags := ipvs.Flags(binary.NativeEndian.Uint32(p[offFlags:]))
	zeros := binary.NativeEndian.Uint64(p[offTold:]) | // and what is reserved
		binary.NativeEndian.Uint64(p[offCAddr+8:]) | uint64(binary.NativeEndian.Uint32(p[offCAddr+4:])) |
		binary.NativeEndian.Uint64(p[offVAddr+8:]) | uint64(binary.NativeEndian.Uint32(p[offVAddr+4:])) |
		binary.NativeEndian.Uint64(p[offDAddr+8:]) | uint64(binary.NativeEndian.Uint32(p[offDAddr+4:]))
	if flags&ipvs.FlagSeqMask != 0 || zeros != 0 {
		return false
	}
	c.Ports = [6]byte(p[offCPort:])
	c.Client = [4]byte(p[offCAddr:])
	c.Virtual = [4]byte(p[offVAddr:])
	c.Dest = [4]byte(p[offDAddr:])
	c.Protocol = ipvs.Protocol(p[offProtocol])
	c.State = ipvs.State(binary.NativeEndian.Uint16(p[offState:]))
	c.Flags = flags
	b.rest = b.rest[connSize:]
	return true
}

// plainHead is the head of a connection record without options.
var plainHead = binary.NativeEndian.Uint32(
	append(binary.NativeEndian.AppendUint16(nil, connSize), kindConn, 0))

// What is wrong with a record.
var (
	errHead      = errors.New("cut off, or of unknown kind")
	errLength    = errors.New("wrong length")
	errReserved  = errors.New("reserved field not zero")
	errBadFamily = errors.New("unknown address family")
	errAddress   = errors.New("IPv4 address not followed by zeros")
	errOptions   = errors.New("unknown option")
	errBadPE     = errors.New("broken persistence engine option")
)

// malformed ends the batch, and says where.
func (b *Batch) malformed(err error) bool {
	b.err = fmt.Errorf("%w at byte %d of %d: %w", ErrMalformed, b.n-len(b.rest), b.n, err)
	b.rest = nil
	return false
}

// nextEvent takes an event record, whose head is known to be there.
func (b *Batch) nextEvent() bool {
	p := b.rest
	if len(p) < eventSize || binary.NativeEndian.Uint16(p[offLen:]) != eventSize {
		return b.malformed(errLength)
	}
	if p[offOptions] != 0 {
		return b.malformed(errOptions)
	}
	b.events |= Events(binary.NativeEndian.Uint32(p[offEvents:]))
	b.rest = p[eventSize:]
	return true
}

// decodeConn decodes the fixed part.
func decodeConn(p *[connSize]byte, c *ipvs.Conn) error {
	if binary.NativeEndian.Uint32(p[offReserved:]) != 0 {
		return errReserved
	}
	client, err := addrOf(p[offFamily], (*[16]byte)(p[offCAddr:]))
	if err != nil {
		return err
	}
	virtual, err := addrOf(p[offFamily], (*[16]byte)(p[offVAddr:]))
	if err != nil {
		return err
	}
	dest, err := addrOf(p[offDestFamily], (*[16]byte)(p[offDAddr:]))
	if err != nil {
		return err
	}
	c.Client = netip.AddrPortFrom(client, binary.BigEndian.Uint16(p[offCPort:]))
	c.Virtual = netip.AddrPortFrom(virtual, binary.BigEndian.Uint16(p[offVPort:]))
	c.Dest = netip.AddrPortFrom(dest, binary.BigEndian.Uint16(p[offDPort:]))
	c.Protocol = ipvs.Protocol(p[offProtocol])
	c.Marks = ipvs.Marks(p[offMarks])
	c.Flags = ipvs.Flags(binary.NativeEndian.Uint32(p[offFlags:]))
	c.State = ipvs.State(binary.NativeEndian.Uint16(p[offState:]))
	c.Fwmark = binary.NativeEndian.Uint32(p[offFwmark:])
	c.Timeout = time.Duration(binary.NativeEndian.Uint32(p[offTimeout:])) * time.Millisecond
	c.Age = time.Duration(binary.NativeEndian.Uint32(p[offAge:])) * time.Millisecond
	c.Advert = time.Duration(binary.NativeEndian.Uint32(p[offTold:])) * time.Millisecond
	return nil
}

func addrOf(family uint8, p *[16]byte) (netip.Addr, error) {
	switch family {
	case familyIPv4:
		if binary.NativeEndian.Uint32(p[4:])|binary.NativeEndian.Uint32(p[8:])|binary.NativeEndian.Uint32(p[12:]) != 0 {
			return netip.Addr{}, errAddress
		}
		return netip.AddrFrom4([4]byte(p[:])), nil
	case familyIPv6:
		return netip.AddrFrom16(*p), nil
	}
	return netip.Addr{}, errBadFamily
}

// decodeOptions decodes the options, which p has to the last byte.
func (b *Batch) decodeOptions(p []byte, options uint8, c *ipvs.Conn) error {
	if options&^(optSeq|optPE) != 0 {
		return errOptions
	}
	c.In, c.Out = ipvs.Sequence{}, ipvs.Sequence{}
	if options&optSeq != 0 {
		if len(p) < seqOptionSize {
			return errLength
		}
		c.In = sequence((*[seqSize]byte)(p[offSeqIn:]))
		c.Out = sequence((*[seqSize]byte)(p[offSeqOut:]))
		p = p[seqOptionSize:]
	}
	c.PEName, c.PEData = "", c.PEData[:0]
	if options&optPE == 0 {
		if len(p) != 0 {
			return errLength
		}
		return nil
	}
	if len(p) < peSize {
		return errLength
	}
	n := int(p[offPELen])
	if len(p) != peOptionSize(n) {
		return errLength
	}
	name := p[offPEName : offPEName+peNameMax]
	end := bytes.IndexByte(name, 0)
	if end <= 0 || n == 0 || !c.Template() || !zero(name[end:]) || !zero(p[offPEReserved:peSize]) || !zero(p[peSize+n:]) {
		return errBadPE
	}
	if string(name[:end]) != b.peName {
		b.peName = string(name[:end])
	}
	c.PEName = b.peName
	c.PEData = append(c.PEData, p[peSize:peSize+n]...)
	return nil
}

func sequence(p *[seqSize]byte) ipvs.Sequence {
	return ipvs.Sequence{
		Init:          binary.NativeEndian.Uint32(p[offInit:]),
		Delta:         binary.NativeEndian.Uint32(p[offDelta:]),
		PreviousDelta: binary.NativeEndian.Uint32(p[offPreviousDelta:]),
	}
}

func zero(p []byte) bool {
	for _, octet := range p {
		if octet != 0 {
			return false
		}
	}
	return true
}

// Events returns the events of the batch that were seen so far. The module puts
// them before connections, so they are known as soon as the batch was read.
func (b *Batch) Events() Events { return b.events }

// Err returns the error that ended the records early: nil, or one that is
// [ErrMalformed] and says where and why.
func (b *Batch) Err() error { return b.err }

// Len returns the number of bytes that the last read returned.
func (b *Batch) Len() int { return b.n }

// Bytes returns the records of the last read as the module wrote them, taken
// already or not. They are valid until the next read. Where [Batch.Events] is 0
// they can be written to another director as they are.
func (b *Batch) Bytes() []byte { return b.buf[:b.n] }

// Size returns the number of bytes that a read can return.
func (b *Batch) Size() int { return len(b.buf) }

// Full reports whether the last read filled the buffer up to a point where the
// module stops, because a connection with its two controllers might not fit any
// more: there may be more to read at once.
func (b *Batch) Full() bool { return len(b.buf)-b.n < maxChainSize }

// maxChainSize is SSYNCP_CHAIN_MAX of the module.
const maxChainSize = 3 * MaxRecordSize
