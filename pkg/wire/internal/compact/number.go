package compact

import (
	"math"
	"math/bits"
	"net/netip"
	"time"
)

// Sizes in bytes.
const (
	VarintMax = 5
	IPv4Size  = 4
	IPv6Size  = 16
)

// Milliseconds rounds down, within what 32 bits hold.
func Milliseconds(d time.Duration) uint32 {
	if d <= 0 {
		return 0
	}
	return uint32(min(uint64(d)/uint64(time.Millisecond), math.MaxUint32))
}

// MillisecondsUp rounds up, within the same.
func MillisecondsUp(d time.Duration) uint32 {
	if d <= 0 || d > math.MaxUint32*time.Millisecond {
		return Milliseconds(d)
	}
	return Milliseconds(d + time.Millisecond - 1)
}

// VarintSize returns how many bytes a number takes.
func VarintSize(v uint32) int { return (bits.Len32(v|1) + 6) / 7 }

// PutVarint writes a number, and returns how many bytes it took.
func PutVarint(p []byte, v uint32) int {
	n := 0
	for v >= 0x80 {
		p[n] = uint8(v) | 0x80
		v >>= 7
		n++
	}
	p[n] = uint8(v)
	return n + 1
}

// Varint reads a number, and returns how many bytes it took, 0 where it is cut
// off, too long or too large.
func Varint(p []byte) (v uint32, n int) {
	for n < len(p) && n < VarintMax {
		b := p[n]
		if n == VarintMax-1 && b > 0x0f {
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

// CutOff reports of a number that [Varint] has not read whether more bytes may
// have made it one.
func CutOff(p []byte) bool {
	for i := range min(len(p), VarintMax) {
		if p[i] < 0x80 {
			return false
		}
	}
	return len(p) < VarintMax
}

// AddressSize returns how many bytes an address takes.
func AddressSize(a netip.Addr) int {
	if a.Is4() {
		return IPv4Size
	}
	return IPv6Size
}

// PutAddress writes an address, and returns how many bytes it took.
func PutAddress(p []byte, a netip.Addr) int {
	if a.Is4() {
		v4 := a.As4()
		return copy(p, v4[:])
	}
	v6 := a.As16()
	return copy(p, v6[:])
}

// Address returns the address at the start of p and its size, 0 where it is cut
// off.
func Address(p []byte, ipv6 bool) (netip.Addr, int) {
	switch {
	case !ipv6 && len(p) >= IPv4Size:
		return netip.AddrFrom4([IPv4Size]byte(p)), IPv4Size
	case ipv6 && len(p) >= IPv6Size:
		return netip.AddrFrom16([IPv6Size]byte(p)), IPv6Size
	}
	return netip.Addr{}, 0
}
