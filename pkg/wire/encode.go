package wire

import (
	"encoding/binary"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/checksum"
)

// Encoder builds one advert after the other in a buffer of the caller. The
// zero value is ready for [Encoder.Reset].
type Encoder struct {
	advert *[MaxSize]byte
	size   int
	count  int
}

// neverSent are the flags that stay behind: HASHED is local to a director, and
// the field has 16 bits.
const neverSent = ipvs.FlagHashed | ^ipvs.Flags(0xffff)

// Reset begins a new advert at the start of buf, whose contents it overwrites.
// A buffer with room for [MaxSize] bytes is used as it is; for a smaller one a
// new one is made. The sync ID is 1 to 255, or the error is [ErrSyncID].
func (e *Encoder) Reset(buf []byte, syncID uint8) error {
	if syncID == 0 {
		return ErrSyncID
	}
	if cap(buf) < MaxSize {
		buf = make([]byte, MaxSize)
	}
	e.advert = (*[MaxSize]byte)(buf[:MaxSize])
	e.advert[offSyncID] = syncID
	e.size = HeaderSize
	e.count = 0
	return nil
}

// Append adds a connection to the advert. [ErrFull] says that it does not fit:
// finish the advert, and append it to the next. Every other error says why
// version 1 cannot carry it. On an error the advert is as it was before.
func (e *Encoder) Append(c *ipvs.Conn) error {
	client, virtual, dest := c.Client.Addr(), c.Virtual.Addr(), c.Dest.Addr()
	if c.Flags&ipvs.FlagOnePacket != 0 || c.Protocol == ipvs.IP || c.PEName != "" || len(c.PEData) != 0 ||
		!client.Is4() || !virtual.Is4() || !dest.Is4() {
		return refuse(c)
	}
	size := EntrySize
	if c.Flags&ipvs.FlagSeqMask != 0 {
		size += OptionsSize
	}
	at := e.size
	if e.advert == nil || e.count == MaxConns || size > MaxSize-at {
		return ErrFull
	}
	p := e.advert[at : at+size : at+size]
	caddr, vaddr, daddr := client.As4(), virtual.As4(), dest.As4()
	p[offReserved] = 0
	p[offProtocol] = uint8(c.Protocol)
	binary.BigEndian.PutUint16(p[offCPort:], c.Client.Port())
	binary.BigEndian.PutUint16(p[offVPort:], c.Virtual.Port())
	binary.BigEndian.PutUint16(p[offDPort:], c.Dest.Port())
	copy(p[offCAddr:], caddr[:])
	copy(p[offVAddr:], vaddr[:])
	copy(p[offDAddr:], daddr[:])
	binary.BigEndian.PutUint16(p[offFlags:], uint16(c.Flags&^neverSent))
	binary.BigEndian.PutUint16(p[offState:], uint16(c.State))
	if size > EntrySize {
		putSequence(p[offIn:], &c.In)
		putSequence(p[offOut:], &c.Out)
	}
	e.size += size
	e.count++
	return nil
}

// AppendPlain is [Encoder.Append] for connections that need no more than that.
func (e *Encoder) AppendPlain(c *ipvs.Plain) error {
	if c.Flags&ipvs.FlagOnePacket != 0 {
		return ErrOnePacket
	}
	if c.Protocol == ipvs.IP {
		return ErrFwmarkTemplate
	}
	at := e.size
	if e.advert == nil || e.count == MaxConns || at > MaxSize-EntrySize {
		return ErrFull
	}
	p := (*[EntrySize]byte)(e.advert[at:])
	p[offReserved] = 0
	p[offProtocol] = uint8(c.Protocol)
	*(*[6]byte)(p[offCPort:]) = c.Ports
	*(*[4]byte)(p[offCAddr:]) = c.Client
	*(*[4]byte)(p[offVAddr:]) = c.Virtual
	*(*[4]byte)(p[offDAddr:]) = c.Dest
	// What Plain has none of is not claimed.
	flags := uint16(c.Flags &^ (neverSent | ipvs.FlagSeqMask))
	binary.BigEndian.PutUint32(p[offFlags:], uint32(flags)<<16|uint32(uint16(c.State)))
	e.size += EntrySize
	e.count++
	return nil
}

// refuse returns why version 1 cannot carry a connection.
func refuse(c *ipvs.Conn) error {
	switch {
	case c.Flags&ipvs.FlagOnePacket != 0:
		return ErrOnePacket
	case c.Protocol == ipvs.IP:
		return ErrFwmarkTemplate
	case c.PEName != "" || len(c.PEData) != 0:
		return ErrPersistenceEngine
	}
	return ErrIPv6
}

func putSequence(p []byte, s *ipvs.Sequence) {
	_ = p[sequenceSize-1]
	binary.BigEndian.PutUint32(p[0:], s.Init)
	binary.BigEndian.PutUint32(p[4:], s.Delta)
	binary.BigEndian.PutUint32(p[8:], s.PreviousDelta)
}

// Count returns the number of connections in the advert.
func (e *Encoder) Count() int { return e.count }

// Full reports whether no further connection can be appended, not even one
// without sequence options.
func (e *Encoder) Full() bool { return e.count == MaxConns || MaxSize-e.size < EntrySize }

// Finish fills in the header and returns the advert, which stays valid until
// its buffer is used again. An advert without connections is nil: there is
// nothing to send. It may be called again after further connections.
func (e *Encoder) Finish() []byte {
	if e.count == 0 {
		return nil
	}
	p := e.advert[:e.size:e.size]
	p[offCount] = uint8(e.count)
	binary.BigEndian.PutUint16(p[offSize:], uint16(e.size))
	binary.BigEndian.PutUint32(p[offAdvertReserved:], 0) // and the checksum
	binary.BigEndian.PutUint16(p[offChecksum:], ^checksum.Sum(p))
	return p
}
