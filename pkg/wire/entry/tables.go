package entry

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/advert"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/compact"
)

// tables are those of an ADVERT block, complete. They are advert.Tables.
type tables struct {
	services [compact.MaxRows]decodedService
	dests    [compact.MaxRows]decodedDest
	profiles [compact.MaxRows]decodedProfile
}

type decodedService struct {
	virtual  netip.AddrPort
	fwmark   uint32
	protocol ipvs.Protocol
}

type decodedDest struct {
	dest    netip.AddrPort
	service uint8
	ipv6    bool // the client
}

type decodedProfile struct {
	timeout time.Duration
	flags   ipvs.Flags
	state   uint8
	fields  bool
}

// DefineParent is advert.Tables', for services.
func (t *tables) DefineParent(row int, p []byte) (int, error) {
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

// DefineDest is advert.Tables'.
func (t *tables) DefineDest(row, service int, p []byte) (advert.Dest, error) {
	s := &t.services[service]
	if len(p) == 0 {
		return advert.Dest{}, ErrTruncated
	}
	shape := p[0]
	n := 1
	if shape&^(destIPv6|destPort) != 0 {
		return advert.Dest{}, ErrReserved
	}
	addr, size := compact.Address(p[n:], shape&destIPv6 != 0)
	if size == 0 {
		return advert.Dest{}, ErrTruncated
	}
	n += size
	port := s.virtual.Port()
	if shape&destPort != 0 {
		if len(p) < n+portSize {
			return advert.Dest{}, ErrTruncated
		}
		port = binary.BigEndian.Uint16(p[n:])
		n += portSize
	}
	d := decodedDest{netip.AddrPortFrom(addr, port), uint8(service), !s.virtual.Addr().Is4()}
	t.dests[row] = d
	before := uint8(portSize + ipv4Size)
	if d.ipv6 {
		before = portSize + ipv6Size
	}
	return advert.Dest{Size: uint8(n), Before: before}, nil
}

// DefineProfile is advert.Tables'.
func (t *tables) DefineProfile(row int, p []byte) (advert.Profile, error) {
	if len(p) < profileSize {
		return advert.Profile{}, ErrTruncated
	}
	options := p[offProfileOptions]
	if options&^optionFields != 0 {
		return advert.Profile{}, ErrReserved
	}
	f := decodedProfile{
		timeout: time.Duration(binary.BigEndian.Uint32(p[offProfileTimeout:])) * time.Millisecond,
		flags:   ipvs.Flags(binary.BigEndian.Uint32(p[offProfileFlags:])),
		state:   p[offProfileState],
		fields:  options&optionFields != 0,
	}
	t.profiles[row] = f
	behind := uint8(0)
	if f.flags&ipvs.FlagSeqMask != 0 {
		behind = sequencesSize
	}
	return advert.Profile{Size: profileSize, Behind: behind, Fields: f.fields}, nil
}
