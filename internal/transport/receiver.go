package transport

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/counters"
)

// Drop is why something was not taken for an advert.
type Drop int

// The reasons, in the order in which they are looked for.
const (
	DropHeader      Drop = iota // no valid IPv4 header before it
	DropUnverified              // the kernel did not say where it came in
	DropInterface               // came in on another interface
	DropDestination             // not addressed to the group
	DropTTL                     // TTL not 255: crossed a router
	DropFragment                // reassembled from fragments
	DropOwn                     // from our own address
	DropTooLong                 // longer than an advert can be
	DropOverrun                 // socket buffer full: lost by the kernel
	drops
)

var dropNames = [drops]string{
	"header", "unverified", "interface", "destination", "ttl", "fragment", "own", "too_long", "overrun",
}

// Count is what is counted beside drops.
type Count int

// Counts of a link.
const (
	ReceivedAdverts Count = iota
	ReceivedBytes
	ReceiveCalls
	countsOfLink
)

// Counters of a link outlive it: a link that is opened again goes on counting.
type Counters struct {
	Received *counters.Set[Count]
	Dropped  *counters.Set[Drop]
}

// NewCounters returns counters that are zero.
func NewCounters() *Counters {
	return &Counters{
		Received: counters.New[Count]("received", "adverts", "bytes", "calls"),
		Dropped:  counters.New[Drop]("receive_dropped", dropNames[:]...),
	}
}

const (
	headerMin = 20
	headerMax = 60
)

// oobSize holds the control messages that were asked for: in_pktinfo,
// IP_RECVFRAGSIZE and SO_RXQ_OVFL.
var oobSize = unix.CmsgSpace(unix.SizeofInet4Pktinfo) + unix.CmsgSpace(4) + unix.CmsgSpace(4)

// filter is what an advert must be like.
type filter struct {
	group   netip.Addr
	ifIndex int
	own     netip.Addr
	maxSize int
}

// receiver turns raw datagrams into adverts, in buffers that it uses again.
type receiver struct {
	filter   filter
	counters *Counters
	messages []ipv4.Message
	adverts  [][]byte
	overruns uint32
}

func newReceiver(f filter, c *Counters) receiver {
	r := receiver{filter: f, counters: c, messages: make([]ipv4.Message, batchSize)}
	for i := range r.messages {
		// One byte more than the longest, to see what is too long.
		r.messages[i].Buffers = [][]byte{make([]byte, headerMax+f.maxSize+1)}
		r.messages[i].OOB = make([]byte, oobSize)
	}
	return r
}

// accept judges the first n messages and returns the adverts among them.
func (r *receiver) accept(n int) [][]byte {
	r.adverts = r.adverts[:0]
	size := 0
	for i := range r.messages[:n] {
		m := &r.messages[i]
		info := parseControl(m.OOB[:m.NN])
		if lost := info.overruns - r.overruns; info.hasOverruns && lost > 0 {
			r.counters.Dropped.Add(DropOverrun, int(lost))
			r.overruns = info.overruns
		}
		advert, drop, ok := r.filter.judge(m.Buffers[0][:m.N], info)
		if !ok {
			r.counters.Dropped.Add(drop, 1)
			continue
		}
		r.adverts = append(r.adverts, advert)
		size += len(advert)
	}
	r.counters.Received.Add(ReceiveCalls, 1)
	r.counters.Received.Add(ReceivedAdverts, len(r.adverts))
	r.counters.Received.Add(ReceivedBytes, size)
	return r.adverts
}

// judge returns the advert in a datagram with its IPv4 header, which ReadBatch
// leaves in place, or why it is dropped.
func (f *filter) judge(datagram []byte, info control) (advert []byte, drop Drop, ok bool) {
	if len(datagram) < headerMin || datagram[0]>>4 != 4 {
		return nil, DropHeader, false
	}
	header := int(datagram[0]&0x0f) * 4
	if header < headerMin || len(datagram) < header {
		return nil, DropHeader, false
	}
	source := netip.AddrFrom4([4]byte(datagram[12:16]))
	destination := netip.AddrFrom4([4]byte(datagram[16:20]))
	switch {
	case !info.hasInterface:
		return nil, DropUnverified, false
	case info.ifIndex != f.ifIndex:
		return nil, DropInterface, false
	case destination != f.group:
		return nil, DropDestination, false
	case datagram[8] != TTL:
		return nil, DropTTL, false
	case info.fragmented:
		return nil, DropFragment, false
	case source == f.own:
		return nil, DropOwn, false
	case len(datagram)-header > f.maxSize:
		return nil, DropTooLong, false
	}
	return datagram[header:], 0, true
}

// control is what the kernel said beside a datagram.
type control struct {
	ifIndex      int
	overruns     uint32 // of the socket since it was opened
	hasInterface bool
	hasOverruns  bool
	fragmented   bool
}

// parseControl reads the control messages. golang.org/x/net does not know
// IP_RECVFRAGSIZE and SO_RXQ_OVFL, and its parser allocates.
func parseControl(oob []byte) (c control) {
	for len(oob) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
		if h.Len < unix.SizeofCmsghdr || uint64(h.Len) > uint64(len(oob)) {
			return c
		}
		data := oob[unix.CmsgLen(0):h.Len]
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			c.ifIndex = int(int32(binary.NativeEndian.Uint32(data)))
			c.hasInterface = true
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_RECVFRAGSIZE:
			c.fragmented = true
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && len(data) >= 4:
			c.overruns = binary.NativeEndian.Uint32(data)
			c.hasOverruns = true
		}
		oob = oob[min(unix.CmsgSpace(len(data)), len(oob)):]
	}
	return c
}
