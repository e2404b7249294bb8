package devicefuzz

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// A Service is what the directors under test may have, so that a good part of
// what is written can be applied.
type Service struct {
	Protocol   ipvs.Protocol
	Virtual    netip.AddrPort
	Method     ipvs.Method
	Servers    []netip.AddrPort
	Persistent bool
}

// A generator makes batches: records that are right, wrong in what they say, or
// wrong in how they are framed. The same seed makes the same batches, as long as
// the directors answer the same.
type generator struct {
	*rand.Rand
	services []Service
	clients  int // addresses: fewer make more known tuples
	last     [][]byte
}

// batch makes up to n records. Most are well formed: a broken one ends it.
func (g *generator) batch(n int) []byte {
	var batch []byte
	for range 1 + g.IntN(n) {
		batch = append(batch, g.record()...)
	}
	if g.IntN(6) == 0 {
		batch = g.breakFraming(batch)
	}
	return batch
}

func (g *generator) record() []byte {
	if len(g.last) > 0 && g.IntN(3) == 0 {
		r := slices.Clone(g.last[g.IntN(len(g.last))])
		if g.IntN(2) == 0 {
			g.change(r)
		}
		return r
	}
	c := g.conn()
	r, err := chardev.AppendRecord(nil, &c)
	if err != nil {
		panic(err) // conn makes only what can be encoded
	}
	if g.IntN(4) == 0 {
		g.change(r)
	}
	if len(g.last) < 64 {
		g.last = append(g.last, r)
	} else {
		g.last[g.IntN(len(g.last))] = r
	}
	return slices.Clone(r)
}

// remember takes connections that a director has, for records about them.
func (g *generator) remember(records []byte) {
	for _, r := range Framing(records) {
		if len(g.last) < 64 {
			g.last = append(g.last, slices.Clone(r))
		} else {
			g.last[g.IntN(len(g.last))] = slices.Clone(r)
		}
	}
}

// conn is a connection of one of the services, or nearly.
func (g *generator) conn() ipvs.Conn {
	s := g.services[g.IntN(len(g.services))]
	c := ipvs.Conn{
		Protocol: s.Protocol,
		Client:   netip.AddrPortFrom(g.client(s.Virtual.Addr()), uint16(1024+g.IntN(32))),
		Virtual:  s.Virtual,
		Dest:     s.Servers[g.IntN(len(s.Servers))],
		Flags:    ipvs.Flags(s.Method),
		Timeout:  g.timeout(),
	}
	switch s.Protocol {
	case ipvs.TCP:
		c.State = ipvs.State(g.IntN(11))
	case ipvs.SCTP:
		c.State = ipvs.State(g.IntN(14))
	}
	if s.Persistent && g.IntN(2) == 0 {
		c.Client = netip.AddrPortFrom(c.Client.Addr(), 0)
		c.State = ipvs.State(g.IntN(2))
		c.Flags |= ipvs.FlagTemplate
		if g.IntN(2) == 0 {
			c.PEName = []string{"sip", "sip", "none", "fifteen-letters"}[g.IntN(4)]
			c.PEData = make([]byte, 1+g.IntN(255))
			for i := range c.PEData {
				c.PEData[i] = byte('a' + g.IntN(3))
			}
		}
	}
	if g.IntN(4) == 0 {
		c.Flags |= []ipvs.Flags{
			ipvs.FlagInSeq, ipvs.FlagOutSeq, ipvs.FlagSeqMask, ipvs.FlagInactive, ipvs.FlagNoOutput,
			ipvs.FlagSync, ipvs.FlagHashed, ipvs.FlagNFCT, ipvs.FlagNoCPort, ipvs.FlagOnePacket,
		}[g.IntN(10)]
		c.In = ipvs.Sequence{Init: g.Uint32(), Delta: g.Uint32N(8), PreviousDelta: g.Uint32N(8)}
		c.Out = ipvs.Sequence{Init: g.Uint32(), Delta: g.Uint32(), PreviousDelta: g.Uint32()}
	}
	if g.IntN(3) == 0 {
		c.Age = time.Duration(g.Int64N(int64(2*c.Timeout + time.Second)))
	}
	if g.IntN(8) == 0 { // another real server than may be known
		c.Dest = g.services[g.IntN(len(g.services))].Servers[0]
	}
	return c
}

func (g *generator) client(like netip.Addr) netip.Addr {
	n := g.IntN(g.clients)
	if like.Is6() {
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 14: byte(n >> 8), 15: byte(n)})
	}
	return netip.AddrFrom4([4]byte{10, 9, byte(n >> 8), byte(n)})
}

func (g *generator) timeout() time.Duration {
	switch g.IntN(8) {
	case 0:
		return 0
	case 1:
		return time.Duration(g.Uint32()) * time.Millisecond
	case 2:
		return time.Duration(1+g.IntN(20)) * time.Millisecond
	}
	return time.Duration(1+g.IntN(60)) * time.Second
}

// change changes what a record says and leaves its framing.
func (g *generator) change(r []byte) {
	byteOf := func(p ...byte) byte { return p[g.IntN(len(p))] }
	switch g.IntN(11) {
	case 0:
		r[offMarks] = byte(g.Uint32())
	case 1:
		r[offProtocol] = byteOf(0, 1, 6, 17, 50, 51, 132, 255)
	case 2:
		binary.NativeEndian.PutUint16(r[offState:], uint16(g.IntN(20)))
	case 3:
		binary.NativeEndian.PutUint16(r[offState:], byte2(g))
	case 4:
		flags := binary.NativeEndian.Uint32(r[offFlags:])
		binary.NativeEndian.PutUint32(r[offFlags:], flags^1<<g.IntN(32))
	case 5:
		binary.NativeEndian.PutUint32(r[offFlags:], g.Uint32())
	case 6:
		at := []int{offCPort, offVPort, offDPort}[g.IntN(3)]
		binary.BigEndian.PutUint16(r[at:], []uint16{0, 20, 21, 80, 0xffff, byte2(g)}[g.IntN(6)])
	case 7:
		at := []int{offTimeout, offAge, offFwmark}[g.IntN(3)]
		binary.NativeEndian.PutUint32(r[at:], []uint32{0, 1, 1 << 31, 1<<32 - 1, 1<<31 - 1, g.Uint32()}[g.IntN(6)])
	case 8: // the rest of an address is zero, or it would break the framing
		r[[]int{offCAddr, offVAddr, offDAddr}[g.IntN(3)]+g.IntN(4)] = byte(g.Uint32())
	case 9:
		r[offFamily] = byteOf(0, 1, 2, 10, 16, 255)
	case 10:
		r[offDestFamily] = byteOf(0, 1, 2, 10, 16, 255)
	}
}

func byte2(g *generator) uint16 { return uint16(g.Uint32()) }

// breakFraming damages a batch somewhere, most likely so that it shows.
func (g *generator) breakFraming(batch []byte) []byte {
	records := Framing(batch)
	if len(records) == 0 {
		return batch
	}
	at := 0
	for range g.IntN(len(records)) {
		at += frame(batch[at:])
	}
	r := batch[at:]
	switch g.IntN(10) {
	case 0:
		return batch[:at+g.IntN(len(r))]
	case 1:
		size := binary.NativeEndian.Uint16(r)
		binary.NativeEndian.PutUint16(r, size+[]uint16{1, 4, 8, 0x8000, 0xfff8, 0xffff, -size}[g.IntN(7)])
	case 2:
		r[offKind] = byte(g.IntN(4))
	case 3:
		r[offOptions] ^= 1 << g.IntN(8)
	case 4:
		r[offReserved+g.IntN(offCAddr-offReserved)] = 1
	case 5:
		r[[]int{offCAddr, offVAddr, offDAddr}[g.IntN(3)]+4+g.IntN(12)] = 1
	case 6: // padding, or what is near the end
		r[len(r)-1-g.IntN(min(len(r), 32))] ^= 1 << g.IntN(8)
	case 7:
		return append(batch, byte(g.Uint32()))
	case 8:
		r[g.IntN(len(r))] = byte(g.Uint32())
	case 9:
		for i := range r {
			r[i] = byte(g.Uint32())
		}
	}
	return batch
}
