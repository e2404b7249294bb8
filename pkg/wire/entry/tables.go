package entry

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/advert"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/compact"
)

// tables are those of an ADVERT block, complete; and how many rows of them the
// entries that were taken have defined. Those of services and profiles are
// behind what the entries say, and need no count. It is advert.Tables.
type tables struct {
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

// Rewind is advert.Tables'.
func (t *tables) Rewind() { t.nextDest, t.nextProfile = 0, 0 }

// Load is advert.Tables'.
func (t *tables) Load(entries []byte, count int) error {
	p := entries
	services, dests, profiles := 0, 0, 0
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
			n, err := t.defineDest(row, &services, p)
			if err != nil {
				return err
			}
			p = p[n:]
			dests++
		}
		size := portSize + ipv4Size
		if t.dests[row].ipv6 {
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
			if err := t.defineProfile(row, p); err != nil {
				return err
			}
			p = p[profileSize:]
			profiles++
		}
		f := &t.profiles[row]

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
		if f.flags&ipvs.FlagSeqMask != 0 {
			size += sequencesSize
		}
		if f.fields {
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
func (t *tables) defineDest(row int, services *int, p []byte) (int, error) {
	if len(p) < indexSize {
		return 0, ErrTruncated
	}
	index := int(p[0])
	n := indexSize
	if index >= *services {
		if index > *services {
			return 0, ErrIndex
		}
		size, err := t.defineService(index, p[n:])
		if err != nil {
			return 0, err
		}
		n += size
		*services++
	}
	s := &t.services[index]
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
	t.dests[row] = decodedDest{netip.AddrPortFrom(addr, port), uint8(index), !s.virtual.Addr().Is4(), uint8(n)}
	return n, nil
}

// defineService makes a row of the definition at the start of p, and returns
// its size.
func (t *tables) defineService(row int, p []byte) (int, error) {
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
	t.services[row] = s
	return n, nil
}

// defineProfile makes a row of the definition at the start of p.
func (t *tables) defineProfile(row int, p []byte) error {
	if len(p) < profileSize {
		return ErrTruncated
	}
	options := p[offProfileOptions]
	if options&^optionFields != 0 {
		return ErrReserved
	}
	t.profiles[row] = decodedProfile{
		timeout: time.Duration(binary.BigEndian.Uint32(p[offProfileTimeout:])) * time.Millisecond,
		flags:   ipvs.Flags(binary.BigEndian.Uint32(p[offProfileFlags:])),
		state:   p[offProfileState],
		fields:  options&optionFields != 0,
	}
	return nil
}
