package chardev

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// AppendRecord appends a connection record for [Device.Write]. Reserved fields
// and padding are zero. Timeout and Age become milliseconds: Age rounded down,
// Timeout up, so that what is known does not become 0, which means unknown;
// these and Advert, which the module ignores, are limited to what 32 bits hold, about 49 days, and not below 0. The
// error is [ErrFamily] or [ErrPE]; dst is then as it was.
func AppendRecord(dst []byte, c *ipvs.Conn) ([]byte, error) {
	client, virtual, dest := c.Client.Addr(), c.Virtual.Addr(), c.Dest.Addr()
	family, destFamily := familyOf(client), familyOf(dest)
	if family == 0 || destFamily == 0 || familyOf(virtual) != family {
		return dst, ErrFamily
	}
	size, options := connSize, uint8(0)
	if c.Flags&ipvs.FlagSeqMask != 0 {
		size += seqOptionSize
		options |= optSeq
	}
	if c.PEName != "" || len(c.PEData) != 0 {
		if !validPE(c) {
			return dst, ErrPE
		}
		size += peOptionSize(len(c.PEData))
		options |= optPE
	}

	start := len(dst)
	if size > cap(dst)-start {
		dst = slices.Grow(dst, size)
	}
	dst = dst[:start+size]
	p := (*[connSize]byte)(dst[start:])
	binary.NativeEndian.PutUint16(p[offLen:], uint16(size))
	p[offKind] = kindConn
	p[offOptions] = options
	p[offFamily] = family
	p[offDestFamily] = destFamily
	p[offProtocol] = uint8(c.Protocol)
	p[offMarks] = uint8(c.Marks)
	binary.NativeEndian.PutUint32(p[offFlags:], uint32(c.Flags))
	binary.NativeEndian.PutUint16(p[offState:], uint16(c.State))
	binary.BigEndian.PutUint16(p[offCPort:], c.Client.Port())
	binary.BigEndian.PutUint16(p[offVPort:], c.Virtual.Port())
	binary.BigEndian.PutUint16(p[offDPort:], c.Dest.Port())
	binary.NativeEndian.PutUint32(p[offFwmark:], c.Fwmark)
	binary.NativeEndian.PutUint32(p[offTimeout:], milliseconds(c.Timeout, time.Millisecond-1))
	binary.NativeEndian.PutUint32(p[offAge:], milliseconds(c.Age, 0))
	binary.NativeEndian.PutUint32(p[offTold:], milliseconds(c.Advert, 0))
	binary.NativeEndian.PutUint32(p[offReserved:], 0)
	putAddr((*[16]byte)(p[offCAddr:]), client)
	putAddr((*[16]byte)(p[offVAddr:]), virtual)
	putAddr((*[16]byte)(p[offDAddr:]), dest)
	if options != 0 {
		putOptions(dst[start+connSize:], options, c)
	}
	return dst, nil
}

// familyOf returns the family that an address is recorded in, 0 for none.
func familyOf(addr netip.Addr) uint8 {
	switch {
	case addr.Is4():
		return familyIPv4
	case addr.Is6() && addr.Zone() == "":
		return familyIPv6
	}
	return 0
}

// putAddr puts an IPv4 address into the first four bytes, zeros behind it.
func putAddr(p *[16]byte, addr netip.Addr) {
	if addr.Is4() {
		v4 := addr.As4()
		binary.NativeEndian.PutUint64(p[:], 0)
		binary.NativeEndian.PutUint64(p[8:], 0)
		copy(p[:], v4[:])
		return
	}
	*p = addr.As16()
}

// milliseconds adds round, which is below a millisecond, before it rounds down.
func milliseconds(d, round time.Duration) uint32 {
	switch {
	case d <= 0:
		return 0
	case d >= math.MaxUint32*time.Millisecond:
		return math.MaxUint32
	}
	return uint32(uint64(d+round) / uint64(time.Millisecond))
}

func validPE(c *ipvs.Conn) bool {
	if len(c.PEName) == 0 || len(c.PEName) >= peNameMax || len(c.PEData) == 0 || len(c.PEData) > peDataMax {
		return false
	}
	for i := range len(c.PEName) {
		if c.PEName[i] == 0 {
			return false
		}
	}
	return c.Template()
}

// peOptionSize returns the size of the option with n bytes of data, padded.
func peOptionSize(n int) int { return (peSize + n + Align - 1) &^ (Align - 1) }

// putOptions fills p, which the options fill to the last byte.
func putOptions(p []byte, options uint8, c *ipvs.Conn) {
	if options&optSeq != 0 {
		putSequence(p[offSeqIn:], &c.In)
		putSequence(p[offSeqOut:], &c.Out)
		p = p[seqOptionSize:]
	}
	if options&optPE != 0 {
		clear(p)
		copy(p[offPEName:], c.PEName)
		p[offPELen] = uint8(len(c.PEData))
		copy(p[peSize:], c.PEData)
	}
}

func putSequence(p []byte, s *ipvs.Sequence) {
	binary.NativeEndian.PutUint32(p[offInit:], s.Init)
	binary.NativeEndian.PutUint32(p[offDelta:], s.Delta)
	binary.NativeEndian.PutUint32(p[offPreviousDelta:], s.PreviousDelta)
}

// RecordSize returns the size of the record that records begin with, 0 where
// they begin with none.
func RecordSize(records []byte) int {
	if len(records) < headSize {
		return 0
	}
	size := int(binary.NativeEndian.Uint16(records[offLen:]))
	if size < headSize || size > len(records) {
		return 0
	}
	return size
}

// AddAge makes the connections of records older: they were held for so long. Less
// than a millisecond is nothing.
func AddAge(records []byte, held time.Duration) {
	more := milliseconds(held, 0)
	if more == 0 {
		return
	}
	for size := RecordSize(records); size > 0; size = RecordSize(records) {
		if size >= connSize && records[offKind] == kindConn {
			age := binary.NativeEndian.Uint32(records[offAge:])
			binary.NativeEndian.PutUint32(records[offAge:], age+min(more, math.MaxUint32-age))
		}
		records = records[size:]
	}
}
