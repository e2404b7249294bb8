// Package checksum is the Internet checksum (RFC 1071) of whole messages.
package checksum

import (
	"encoding/binary"
	"math/bits"
)

// Sum returns the one's complement sum (RFC 1071) of a message, padded with a
// zero where its length is odd. The sum of a message with a correct checksum in
// it is 0xffff.
//
// Eight bytes are added at a time: a one's complement sum of wider words folds
// to that of 16-bit words (section 2 of the RFC).
func Sum(p []byte) uint16 {
	var s, carry uint64
	for len(p) >= 24 {
		s, carry = bits.Add64(s, binary.BigEndian.Uint64(p), carry)
		s, carry = bits.Add64(s, binary.BigEndian.Uint64(p[8:]), carry)
		s, carry = bits.Add64(s, binary.BigEndian.Uint64(p[16:]), carry)
		p = p[24:]
	}
	for len(p) >= 8 {
		s, carry = bits.Add64(s, binary.BigEndian.Uint64(p), carry)
		p = p[8:]
	}
	if len(p) > 0 {
		var tail [8]byte
		copy(tail[:], p)
		s, carry = bits.Add64(s, binary.BigEndian.Uint64(tail[:]), carry)
	}
	s, carry = bits.Add64(s, carry, 0)
	s += carry
	s = s>>32 + s&0xffffffff
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s>>16 + s)
}
