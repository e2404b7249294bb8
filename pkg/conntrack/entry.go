package conntrack

import (
	"fmt"
	"net/netip"
	"time"
)

// Entry is one connection. Entries can be compared.
type Entry struct {
	Protocol        Protocol
	Zones           Zones
	Original, Reply Tuple

	Status  Status
	State   State
	Timeout time.Duration // of the state; 0: the connection has ended
	Age     time.Duration // since a packet was seen
	Mark    uint32

	TCP    TCPInfo
	SCTP   SCTPInfo
	Adjust [2]Adjustment // of the original direction, and of the reply
	Labels [16]byte
	Helper string // at most 15 bytes
	Proxy  Proxy
}

// Key is what the kernel finds an entry by.
type Key struct {
	Protocol Protocol
	Zones    Zones
	Original Tuple
}

// Tuple is what the packets of one direction have. Where a protocol has no
// ports, Source has the ID of ICMP and Destination its type and code, as one
// number of 16 bits; for others both are 0. A reply's are the other way round:
// its Source has the type and code of the answer.
type Tuple struct {
	Source, Destination netip.AddrPort
}

// Zones are those of the two directions; mostly 0, and mostly the same.
type Zones struct {
	Original, Reply uint16
}

// Status has the kernel's IPS_ flags.
type Status uint32

// Flags of Status.
const (
	Expected    Status = 1 << 0
	SeenReply   Status = 1 << 1
	Assured     Status = 1 << 2
	Confirmed   Status = 1 << 3
	SourceNAT   Status = 1 << 4
	DestNAT     Status = 1 << 5
	SeqAdjusted Status = 1 << 6
	Dying       Status = 1 << 9
	FixTimeout  Status = 1 << 10
)

// TCPInfo is what is known of each direction, the original first.
type TCPInfo struct {
	Scale [2]uint8 // of the window, at most 14
	Flags [2]uint8 // IP_CT_TCP_FLAG_
}

// Flags of TCP.
const (
	TCPWindowScale uint8 = 1 << 0
	TCPSackPerm    uint8 = 1 << 1
	TCPCloseInit   uint8 = 1 << 2
	TCPBeLiberal   uint8 = 1 << 3
)

// MaxScale is the largest window scale (RFC 7323).
const MaxScale = 14

// SCTPInfo has the verification tags.
type SCTPInfo struct {
	Tags [2]uint32
}

// Adjustment is of the sequence numbers, by NAT helpers.
type Adjustment struct {
	Position      uint32 // of the correction
	Before, After int32  // offsets
}

// Proxy is what SYNPROXY knows.
type Proxy struct {
	ISN, ITS, Offset uint32
}

// MaxHelper is the length of the longest name.
const MaxHelper = 15

// Key returns what the entry is found by.
func (e *Entry) Key() Key { return Key{e.Protocol, e.Zones, e.Original} }

// Ended reports whether the connection is over.
func (e *Entry) Ended() bool { return e.Timeout <= 0 }

// StateName returns the name of its state.
func (e *Entry) StateName() string { return StateName(e.Protocol, e.State) }

// TranslatedSource reports whether replies go to another address or port than
// the one that the connection came from.
func (e *Entry) TranslatedSource() bool { return e.Reply.Destination != e.Original.Source }

// TranslatedDestination reports whether replies come from another address or
// port than the one that the connection went to.
func (e *Entry) TranslatedDestination() bool {
	return e.Reply.Source != AnswerOf(e.Protocol, e.Original.Destination)
}

// ForeignTranslation reports a translation that netfilter's NAT did not make:
// what IPVS does with net.ipv4.vs.conntrack: it changes the reply alone.
func (e *Entry) ForeignTranslation() bool {
	return e.TranslatedSource() && e.Status&SourceNAT == 0 || e.TranslatedDestination() && e.Status&DestNAT == 0
}

// Untranslated returns the reply that there would be without NAT.
func (e *Entry) Untranslated() Tuple {
	return Tuple{AnswerOf(e.Protocol, e.Original.Destination), e.Original.Source}
}

// AnswerOf returns what answers come from, of what goes to the destination. It
// is the same one, except in ICMP.
func AnswerOf(p Protocol, destination netip.AddrPort) netip.AddrPort {
	if p != ICMP && p != ICMPv6 {
		return destination
	}
	return netip.AddrPortFrom(destination.Addr(), answers(p, uint8(destination.Port()>>8))<<8|destination.Port()&0xff)
}

// answers returns the type that answers a type of ICMP, which is the one that
// this answers, too. Of what is no query it is the same.
func answers(p Protocol, typ uint8) uint16 {
	switch {
	case p == ICMPv6 && (typ == 128 || typ == 129): // echo
		typ ^= 1
	case p == ICMP && (typ == 0 || typ == 8): // echo
		typ ^= 8
	case p == ICMPv6 && (typ == 139 || typ == 140), // node information
		p == ICMP && typ >= 13 && typ <= 18: // timestamp, information, address mask
		typ = (typ - 1) ^ 1 + 1
	}
	return uint16(typ)
}

// String is for people.
func (e *Entry) String() string {
	return fmt.Sprintf("%v %s %v > %v, reply %v > %v", e.Protocol, e.StateName(),
		e.Original.Source, e.Original.Destination, e.Reply.Source, e.Reply.Destination)
}
