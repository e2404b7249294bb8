package entry

import (
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"
	"time"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// maxRows is how many rows a table has.
const maxRows = 256

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
	fieldMandatory = 0x80
	fieldPEName    = 0x81
	fieldPEData    = 0x82

	peNameMax = 15
	peDataMax = 255
)

// Sizes in bytes.
const (
	indexSize   = 1
	portSize    = 2
	ipv4Size    = 4
	ipv6Size    = 16
	fwmarkSize  = 4
	serviceHead = 4 // shape, protocol, port
	profileSize = 10

	sequenceSize  = 12
	sequencesSize = 2 * sequenceSize

	fieldsHead = 2
	fieldHead  = 2
	varintMax  = 5

	// minEntrySize is that of an entry which has nothing new.
	minEntrySize = 2*indexSize + portSize + ipv4Size + 1

	// MaxEntrySize is that of an entry which has everything new.
	MaxEntrySize = 2*indexSize + destSizeMax + profileSize + portSize + ipv6Size + varintMax + sequencesSize +
		fieldsHead + 2*fieldHead + peNameMax + peDataMax
	destSizeMax = indexSize + serviceHead + ipv6Size + fwmarkSize + 1 + ipv6Size + portSize

	// advertSize is what an ADVERT has before its entries.
	advertSize = block.HeadSize + block.AdvertHeaderSize

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

// milliseconds rounds down, within what 32 bits hold.
func milliseconds(d time.Duration) uint32 {
	if d <= 0 {
		return 0
	}
	return uint32(min(uint64(d)/uint64(time.Millisecond), math.MaxUint32))
}

// millisecondsUp rounds up, within the same.
func millisecondsUp(d time.Duration) uint32 {
	if d <= 0 || d > math.MaxUint32*time.Millisecond {
		return milliseconds(d)
	}
	return milliseconds(d + time.Millisecond - 1)
}

// varintSize returns how many bytes a number takes.
func varintSize(v uint32) int { return (bits.Len32(v|1) + 6) / 7 }

// putVarint writes a number, and returns how many bytes it took.
func putVarint(p []byte, v uint32) int {
	n := 0
	for v >= 0x80 {
		p[n] = uint8(v) | 0x80
		v >>= 7
		n++
	}
	p[n] = uint8(v)
	return n + 1
}

// varint reads a number, and returns how many bytes it took, 0 where it is cut
// off, too long or too large.
func varint(p []byte) (v uint32, n int) {
	for n < len(p) && n < varintMax {
		b := p[n]
		if n == varintMax-1 && b > 0x0f {
			return 0, 0
		}
		v |= uint32(b&0x7f) << (7 * n)
		n++
		if b < 0x80 {
			if b == 0 && n > 1 {
				return 0, 0
			}
			return v, n
		}
	}
	return 0, 0
}

func addressSize(a netip.Addr) int {
	if a.Is4() {
		return ipv4Size
	}
	return ipv6Size
}

// putAddress writes an address, and returns how many bytes it took.
func putAddress(p []byte, a netip.Addr) int {
	if a.Is4() {
		v4 := a.As4()
		return copy(p, v4[:])
	}
	v6 := a.As16()
	return copy(p, v6[:])
}

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
