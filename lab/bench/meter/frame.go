package main

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

const (
	ethernetSize = 14
	headersSize  = ethernetSize + 20 + 20 // and IPv4, and TCP
	payloadSize  = 64                     // of a packet with data
)

// Flags of a TCP header.
const (
	flagFIN = 0x01
	flagSYN = 0x02
	flagPSH = 0x08
	flagACK = 0x10
)

// A client is the source of a connection, told apart by its number.
type client uint32

// Clients have 2^14 ports each on as many addresses of 10.0.0.0/8 as needed.
func (c client) address() uint32 { return 10<<24 | uint32(c)>>14 }
func (c client) port() uint16    { return 16384 | uint16(c)&(1<<14-1) }

// A frame is an Ethernet frame with IPv4 and TCP or UDP.
type frame [headersSize + payloadSize]byte

// An endpoint is an IPv4 address and a port.
type endpoint struct {
	address uint32
	port    uint16
}

// prepare writes what all frames of a sender have in common.
func (f *frame) prepare(destination [6]byte) {
	copy(f[0:], destination[:])
	f[6] = 0x02 // the sender's own: local, and nobody cares
	binary.BigEndian.PutUint16(f[12:], unix.ETH_P_IP)

	ip := f[ethernetSize:]
	ip[0] = 4<<4 | 5 // version, header length
	ip[6] = 0x40     // do not fragment
	ip[8] = 64       // TTL
	tcp := f[ethernetSize+20:]
	tcp[12] = 5 << 4 // header length
	binary.BigEndian.PutUint16(tcp[14:], 65535)
}

// address writes the rest, and returns the size of the frame. The checksum of TCP
// stays zero: a director changes it by the difference, and nobody verifies it.
// UDP has none.
func (f *frame) address(from, to endpoint, s step) int {
	size, protocol := headersSize, byte(unix.IPPROTO_TCP)
	if s.datagram {
		size, protocol = ethernetSize+20+8, unix.IPPROTO_UDP
	}
	if s.datagram || s.flags&flagPSH != 0 {
		size += payloadSize
	}
	ip := f[ethernetSize : ethernetSize+20]
	binary.BigEndian.PutUint16(ip[2:], uint16(size-ethernetSize))
	binary.BigEndian.PutUint32(ip[12:], from.address)
	binary.BigEndian.PutUint32(ip[16:], to.address)
	ip[9] = protocol
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], checksum(ip))

	transport := f[ethernetSize+20 : headersSize]
	binary.BigEndian.PutUint16(transport[0:], from.port)
	binary.BigEndian.PutUint16(transport[2:], to.port)
	length := uint16(0) // of a datagram; the sequence number of a segment
	if s.datagram {
		length = uint16(size - ethernetSize - 20)
	}
	binary.BigEndian.PutUint16(transport[4:], length)
	binary.BigEndian.PutUint16(transport[6:], 0)
	transport[13] = s.flags
	return size
}

// checksum of an IPv4 header (RFC 1071), whose own field is zero.
func checksum(header []byte) uint16 {
	var sum uint32
	for ; len(header) >= 2; header = header[2:] {
		sum += uint32(binary.BigEndian.Uint16(header))
	}
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum>>16 + sum)
}
