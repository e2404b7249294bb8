package entry

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
)

// seed keeps whoever chooses addresses from choosing ones that collide: the
// real server of a cache bypass is the client's choice.
type seed uint64

func newSeed() seed { return seed(rand.Uint64()) | 1 }

// Odd constants with bits all over.
const (
	mix1 = 0x9e3779b97f4a7c15
	mix2 = 0xd6e8feb86659fd93
)

// addrPort hashes an address with its port, and whatever else.
func (s seed) addrPort(a netip.AddrPort, other uint64) uint64 {
	addr := a.Addr()
	other ^= uint64(a.Port()) << 48
	var h uint64
	if addr.Is4() {
		p := addr.As4()
		h = uint64(binary.NativeEndian.Uint32(p[:]))
	} else {
		p := addr.As16()
		h = binary.NativeEndian.Uint64(p[8:])
		other ^= binary.NativeEndian.Uint64(p[:])
	}
	h = (h ^ uint64(s)) * mix1
	h ^= h >> 32
	h = (h ^ other) * mix2
	return h ^ h>>29
}

// slots is how many places the hash of a table of 256 rows has.
const slots = 2 * maxRows

// index finds rows by their hash: linear probing, at most half full. A place
// has the number of a row and one, 0 where it is free.
type index [slots]uint16

// clear makes the places free that rows have taken.
func (x *index) clear(taken []uint16) {
	for _, at := range taken {
		x[at] = 0
	}
}
