package wire

import (
	"encoding/binary"
	"net/netip"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/checksum"
)

// Advert is a valid advert, whose connections are taken from it one by one. It
// refers to the message that it was decoded from.
type Advert struct {
	entries []byte // not yet taken
	count   int
	syncID  uint8
}

// Decode checks the whole message and returns its advert. The error is one of
// the sentinel values of this package or a [VersionError]. An advert with
// Count Conns 0 and Reserved 0 is valid and empty.
//
// Both representations of zero are taken for a checksum, as RFC 1071 has it.
func Decode(message []byte) (Advert, error) {
	if len(message) < HeaderSize {
		return Advert{}, ErrShort
	}
	count, syncID := int(message[offCount]), message[offSyncID]
	size := int(binary.BigEndian.Uint16(message[offSize:]))
	reserved := binary.BigEndian.Uint16(message[offAdvertReserved:])
	switch {
	case reserved != 0 && count == 0:
		// First: nothing else need hold for another version.
		return Advert{}, VersionError(reserved)
	case reserved != 0:
		return Advert{}, ErrReserved
	case len(message) > MaxSize || size > MaxSize:
		return Advert{}, ErrTooLong
	case size != len(message):
		return Advert{}, ErrSize
	case syncID == 0:
		return Advert{}, ErrSyncID
	case count > MaxConns:
		return Advert{}, ErrTooMany
	case checksum.Sum(message) != 0xffff:
		return Advert{}, ErrChecksum
	}
	entries := message[HeaderSize:]
	if err := checkEntries(entries, count); err != nil {
		return Advert{}, err
	}
	return Advert{entries: entries, count: count, syncID: syncID}, nil
}

// checkEntries proves that there are count entries and nothing else, and then that
// what is reserved in them is zero.
func checkEntries(p []byte, count int) error {
	reserved := byte(0)
	for range count {
		if len(p) < EntrySize {
			return ErrCount
		}
		reserved |= p[offReserved]
		size := EntrySize
		if p[offFlags]&seqMaskHigh != 0 {
			size += OptionsSize
		}
		if len(p) < size {
			return ErrCount
		}
		p = p[size:]
	}
	switch {
	case len(p) != 0:
		return ErrCount
	case reserved != 0:
		return ErrEntryReserved
	}
	return nil
}

// SyncID returns the sync ID, 1 to 255.
func (a *Advert) SyncID() uint8 { return a.syncID }

// Count returns the number of connections in the advert.
func (a *Advert) Count() int { return a.count }

// Next decodes the next connection into c, all of whose fields it sets; it
// keeps the memory of c.PEData. It returns false when there is none.
func (a *Advert) Next(c *ipvs.Conn) bool {
	if len(a.entries) < EntrySize {
		return false
	}
	p := (*[EntrySize]byte)(a.entries)
	c.Client = addrPort([4]byte(p[offCAddr:]), binary.BigEndian.Uint16(p[offCPort:]))
	c.Virtual = addrPort([4]byte(p[offVAddr:]), binary.BigEndian.Uint16(p[offVPort:]))
	c.Dest = addrPort([4]byte(p[offDAddr:]), binary.BigEndian.Uint16(p[offDPort:]))
	c.Protocol = ipvs.Protocol(p[offProtocol])
	c.Flags = ipvs.Flags(binary.BigEndian.Uint16(p[offFlags:]))
	c.State = ipvs.State(binary.BigEndian.Uint16(p[offState:]))
	c.Marks = 0
	c.Fwmark = 0
	c.Timeout, c.Age = 0, 0
	c.PEName, c.PEData = "", c.PEData[:0]
	a.entries = a.entries[EntrySize:]
	if c.Flags&ipvs.FlagSeqMask == 0 || len(a.entries) < OptionsSize {
		c.In, c.Out = ipvs.Sequence{}, ipvs.Sequence{}
		return true
	}
	o := (*[OptionsSize]byte)(a.entries)
	c.In = sequence([sequenceSize]byte(o[:]))
	c.Out = sequence([sequenceSize]byte(o[sequenceSize:]))
	a.entries = a.entries[OptionsSize:]
	return true
}

func addrPort(addr [4]byte, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4(addr), port)
}

func sequence(p [sequenceSize]byte) ipvs.Sequence {
	return ipvs.Sequence{
		Init:          binary.BigEndian.Uint32(p[0:]),
		Delta:         binary.BigEndian.Uint32(p[4:]),
		PreviousDelta: binary.BigEndian.Uint32(p[8:]),
	}
}
