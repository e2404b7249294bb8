package ctentry

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/advert"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/compact"
)

// tables are those of an ADVERT block, complete. They are advert.Tables.
type tables struct {
	paths    [compact.MaxRows]decodedPath
	dests    [compact.MaxRows]decodedDest
	profiles [compact.MaxRows]decodedProfile
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
}

type decodedProfile struct {
	timeout time.Duration
	status  conntrack.Status
	mark    uint32
	tcp     conntrack.TCPInfo
	state   conntrack.State
	options uint8
}

// DefineParent is advert.Tables', for paths.
func (t *tables) DefineParent(row int, p []byte) (int, error) {
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

// DefineDest is advert.Tables'.
func (t *tables) DefineDest(row, path int, p []byte) (advert.Dest, error) {
	way := &t.paths[path]
	ipv6 := way.shape&pathIPv6 != 0
	to, n := addrPort(p, ipv6)
	if n == 0 {
		return advert.Dest{}, ErrTruncated
	}
	// The source's are as long as those of the destination.
	before := n
	d := decodedDest{dest: to, path: uint8(path)}
	if way.shape&pathDestination != 0 {
		translated, size := addrPort(p[n:], ipv6)
		if size == 0 {
			return advert.Dest{}, ErrTruncated
		}
		d.translated = translated
		n += size
	} else {
		d.translated = conntrack.AnswerOf(way.protocol, to)
	}
	if way.shape&pathSource != 0 {
		before += portSize
	}
	t.dests[row] = d
	return advert.Dest{Size: uint8(n), Before: uint8(before)}, nil
}

// DefineProfile is advert.Tables'.
func (t *tables) DefineProfile(row int, p []byte) (advert.Profile, error) {
	if len(p) < profileHead {
		return advert.Profile{}, ErrTruncated
	}
	options := p[offProfileOptions]
	if options&^optionBits != 0 {
		return advert.Profile{}, ErrReserved
	}
	size := profileSize(options)
	if len(p) < size {
		return advert.Profile{}, ErrTruncated
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
	return advert.Profile{Size: uint8(size), Behind: uint8(optionsSize(options)), Fields: options&optionFields != 0}, nil
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
