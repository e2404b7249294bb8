package ctentry

import (
	"encoding/binary"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/advert"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/compact"
)

// Bits of the shape of a path.
const (
	pathIPv6        = 1 << 0 // all addresses
	pathZone        = 1 << 1 // of the original direction
	pathReplyZone   = 1 << 2
	pathSource      = 1 << 3 // is translated
	pathDestination = 1 << 4 // is translated
	pathBits        = pathIPv6 | pathZone | pathReplyZone | pathSource | pathDestination
)

// Bits of the options of a profile. Those behind the mark are of what the
// profile has, or each entry of it.
const (
	optionFields      = 1 << 0
	optionMark        = 1 << 1
	optionTCP         = 1 << 2
	optionAdjustments = 1 << 3
	optionTags        = 1 << 4
	optionBits        = optionFields | optionMark | optionTCP | optionAdjustments | optionTags
)

// Types of fields.
const (
	fieldLabels = 0x01
	fieldHelper = 0x02
	fieldProxy  = 0x03
)

// Sizes in bytes.
const (
	indexSize   = advert.IndexSize
	portSize    = 2
	zoneSize    = 2
	pathHead    = 2 // shape, protocol
	profileHead = 10
	markSize    = 4
	tcpSize     = 3

	adjustmentSize  = 12
	adjustmentsSize = 2 * adjustmentSize
	tagsSize        = 2 * 4
	labelsSize      = 16
	proxySize       = 12

	fieldsHead = advert.FieldsHead
	fieldHead  = advert.FieldHead

	// minEntrySize is that of an entry which has nothing new.
	minEntrySize = advert.MinEntrySize

	// MaxEntrySize is that of an entry which has everything new.
	MaxEntrySize = 2*indexSize + destSizeMax + profileHead + markSize + tcpSize +
		portSize + compact.IPv6Size + portSize + compact.VarintMax + adjustmentsSize + tagsSize +
		fieldsHead + 3*fieldHead + labelsSize + conntrack.MaxHelper + proxySize
	destSizeMax = indexSize + pathHead + 2*zoneSize + compact.IPv6Size + 2*(portSize+compact.IPv6Size)

	// advertSize is what an ADVERT has before its entries.
	advertSize = advert.HeadSize

	// MinRoom is what [Encoder.Reset] needs: an ADVERT of one entry.
	MinRoom = advertSize + MaxEntrySize
)

// Offsets in a path and a profile.
const (
	offPathShape    = 0
	offPathProtocol = 1

	offProfileStatus  = 0
	offProfileState   = 4
	offProfileOptions = 5
	offProfileTimeout = 6

	offTCPScales = 0
	offTCPFlags  = 1
)

func putAdjustment(p []byte, a *conntrack.Adjustment) {
	_ = p[adjustmentSize-1]
	binary.BigEndian.PutUint32(p[0:], a.Position)
	binary.BigEndian.PutUint32(p[4:], uint32(a.Before))
	binary.BigEndian.PutUint32(p[8:], uint32(a.After))
}

func adjustment(p []byte) conntrack.Adjustment {
	_ = p[adjustmentSize-1]
	return conntrack.Adjustment{
		Position: binary.BigEndian.Uint32(p[0:]),
		Before:   int32(binary.BigEndian.Uint32(p[4:])),
		After:    int32(binary.BigEndian.Uint32(p[8:])),
	}
}

// hasState reports whether a protocol has a state: 0 is that of those without any.
func hasState(p conntrack.Protocol, s conntrack.State) bool {
	return int(s) < max(len(conntrack.States(p)), 1)
}

// validHelper reports whether a helper can have that name.
func validHelper[S string | []byte](name S) bool {
	if len(name) == 0 || len(name) > conntrack.MaxHelper {
		return false
	}
	for i := range len(name) {
		if name[i] == 0 {
			return false
		}
	}
	return true
}
