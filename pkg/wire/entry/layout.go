package entry

import (
	"encoding/binary"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/advert"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/compact"
)

// Bits of the shape of a service.
const (
	serviceIPv6   = 1 << 0 // the virtual address and the client's
	serviceFwmark = 1 << 1
)

// Bits of the shape of a destination.
const (
	destIPv6 = 1 << 0
	destPort = 1 << 1 // because it is not the service's
)

// optionFields in a profile says that each entry has fields.
const optionFields = 1 << 0

// Types of fields.
const (
	fieldPEName = 0x81
	fieldPEData = 0x82

	peNameMax = 15
	peDataMax = 255
)

// Sizes in bytes.
const (
	indexSize   = advert.IndexSize
	portSize    = 2
	ipv4Size    = compact.IPv4Size
	ipv6Size    = compact.IPv6Size
	fwmarkSize  = 4
	serviceHead = 4 // shape, protocol, port
	profileSize = 10

	sequenceSize  = 12
	sequencesSize = 2 * sequenceSize

	fieldsHead = advert.FieldsHead
	fieldHead  = advert.FieldHead
	varintMax  = compact.VarintMax

	// minEntrySize is that of an entry which has nothing new.
	minEntrySize = advert.MinEntrySize

	// MaxEntrySize is that of an entry which has everything new.
	MaxEntrySize = 2*indexSize + destSizeMax + profileSize + portSize + ipv6Size + varintMax + sequencesSize +
		fieldsHead + 2*fieldHead + peNameMax + peDataMax
	destSizeMax = indexSize + serviceHead + ipv6Size + fwmarkSize + 1 + ipv6Size + portSize

	// advertSize is what an ADVERT has before its entries.
	advertSize = advert.HeadSize

	// MinRoom is what [Encoder.Reset] needs: an ADVERT of one connection.
	MinRoom = advertSize + MaxEntrySize
)

// Offsets in a service and a profile.
const (
	offServiceShape    = 0
	offServiceProtocol = 1
	offServicePort     = 2

	offProfileFlags   = 0
	offProfileState   = 4
	offProfileOptions = 5
	offProfileTimeout = 6
)

func putSequence(p []byte, s *ipvs.Sequence) {
	_ = p[sequenceSize-1]
	binary.BigEndian.PutUint32(p[0:], s.Init)
	binary.BigEndian.PutUint32(p[4:], s.Delta)
	binary.BigEndian.PutUint32(p[8:], s.PreviousDelta)
}

func sequence(p []byte) ipvs.Sequence {
	_ = p[sequenceSize-1]
	return ipvs.Sequence{
		Init:          binary.BigEndian.Uint32(p[0:]),
		Delta:         binary.BigEndian.Uint32(p[4:]),
		PreviousDelta: binary.BigEndian.Uint32(p[8:]),
	}
}
