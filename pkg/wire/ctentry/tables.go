package ctentry

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/advert"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/compact"
)

// tables are those of an ADVERT block, complete; and how many rows of them the
// entries that were taken have defined. Those of paths are behind what the
// entries say, and need no count. It is advert.Tables.
type tables struct {
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

// Rewind is advert.Tables'.
func (t *tables) Rewind() { t.nextDest, t.nextProfile = 0, 0 }

// Load is advert.Tables'.
func (t *tables) Load(entries []byte, count int) error {
	p := entries
	paths, dests, profiles := 0, 0, 0
	for range count {
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
			n, err := t.defineDest(row, &paths, p)
			if err != nil {
				return err
			}
			p = p[n:]
			dests++
		}
		shape := t.paths[t.dests[row].path].shape
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
			n, err := t.defineProfile(row, p)
			if err != nil {
				return err
			}
			p = p[n:]
			profiles++
		}
		options := t.profiles[row].options

		if len(p) <= size {
			return ErrTruncated
		}
		if p[size] < 0x80 {
			size++
		} else {
			n, err := advert.VarintSize(p[size:])
			if err != nil {
				return err
			}
			size += n
		}
		size += optionsSize(options)
		if options&optionFields != 0 {
			n, err := advert.CheckFields(p, size)
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

// defineDest makes a row of the definition at the start of p, and returns its
// size.
func (t *tables) defineDest(row int, paths *int, p []byte) (int, error) {
	if len(p) < indexSize {
		return 0, ErrTruncated
	}
	index := int(p[0])
	n := indexSize
	if index >= *paths {
		if index > *paths {
			return 0, ErrIndex
		}
		size, err := t.definePath(index, p[n:])
		if err != nil {
			return 0, err
		}
		n += size
		*paths++
	}
	way := &t.paths[index]
	ipv6 := way.shape&pathIPv6 != 0
	to, size := addrPort(p[n:], ipv6)
	if size == 0 {
		return 0, ErrTruncated
	}
	n += size
	dest := decodedDest{dest: to, path: uint8(index)}
	if way.shape&pathDestination != 0 {
		if dest.translated, size = addrPort(p[n:], ipv6); size == 0 {
			return 0, ErrTruncated
		}
		n += size
	} else {
		dest.translated = conntrack.AnswerOf(way.protocol, to)
	}
	dest.size = uint8(n)
	t.dests[row] = dest
	return n, nil
}

// definePath makes a row of the definition at the start of p, and returns its
// size.
func (t *tables) definePath(row int, p []byte) (int, error) {
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
	t.paths[row] = way
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
func (t *tables) defineProfile(row int, p []byte) (int, error) {
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
	t.profiles[row] = f
	return size, nil
}
