package ctnetlink

import "encoding/binary"

// Types of messages, as the kernel numbers them (nfnetlink_conntrack.h).
const (
	subsystem = 1 << 8

	messageNew      = subsystem
	messageGet      = subsystem | 1
	messageDelete   = subsystem | 2
	messageGetStats = subsystem | 5

	// Of the subsystem of expectations.
	messageExpectNew = 2 << 8
)

// Groups of events.
const (
	groupNew       = 1
	groupUpdate    = 2
	groupDestroy   = 3
	groupExpectNew = 4
)

// Attributes of a connection.
const (
	ctaTupleOrig   = 1
	ctaTupleReply  = 2
	ctaStatus      = 3
	ctaProtoinfo   = 4
	ctaHelp        = 5
	ctaNATSource   = 6
	ctaTimeout     = 7
	ctaMark        = 8
	ctaNATDest     = 13
	ctaSeqAdjOrig  = 15
	ctaSeqAdjReply = 16
	ctaZone        = 18
	ctaLabels      = 22
	ctaSynproxy    = 24
)

// Attributes of a tuple, its addresses and its protocol.
const (
	ctaTupleIP    = 1
	ctaTupleProto = 2
	ctaTupleZone  = 3

	ctaIPv4Source = 1
	ctaIPv4Dest   = 2
	ctaIPv6Source = 3
	ctaIPv6Dest   = 4

	ctaProtoNum        = 1
	ctaProtoSourcePort = 2
	ctaProtoDestPort   = 3
	ctaProtoICMPID     = 4
	ctaProtoICMPType   = 5
	ctaProtoICMPCode   = 6
	ctaProtoICMPv6ID   = 7
	ctaProtoICMPv6Type = 8
	ctaProtoICMPv6Code = 9
)

// Attributes of what protocols know.
const (
	ctaProtoinfoTCP  = 1
	ctaProtoinfoSCTP = 3

	ctaTCPState      = 1
	ctaTCPScaleOrig  = 2
	ctaTCPScaleReply = 3
	ctaTCPFlagsOrig  = 4 // flags, and a mask
	ctaTCPFlagsReply = 5

	ctaSCTPState    = 1
	ctaSCTPTagOrig  = 2
	ctaSCTPTagReply = 3
)

// Attributes of the rest.
const (
	ctaNATv4Min   = 1
	ctaNATv4Max   = 2
	ctaNATProto   = 3
	ctaNATv6Min   = 4
	ctaNATv6Max   = 5
	ctaNATPortMin = 1
	ctaNATPortMax = 2

	ctaSeqAdjPosition = 1
	ctaSeqAdjBefore   = 2
	ctaSeqAdjAfter    = 3

	ctaHelpName = 1

	ctaExpectMaster = 1

	ctaSynproxyISN    = 1
	ctaSynproxyITS    = 2
	ctaSynproxyOffset = 3

	ctaStatsEntries = 1
)

// Sizes of headers, and what lengths are rounded up to.
const (
	messageHead   = 16 // nlmsghdr
	nfgenmsgSize  = 4
	attributeHead = 4
	alignment     = 4

	attributeNested = 0x8000
	attributeType   = 0x3fff
)

// native is the byte order of what is netlink's own. What is netfilter's is in
// network byte order.
var native = binary.NativeEndian

func align(n int) int { return (n + alignment - 1) &^ (alignment - 1) }

// attributes goes over those of a message, or within one of them.
type attributes struct {
	rest  []byte
	typ   int
	value []byte
}

func (a *attributes) next() bool {
	if len(a.rest) < attributeHead {
		return false
	}
	n := int(native.Uint16(a.rest))
	if n < attributeHead || n > len(a.rest) {
		return false
	}
	a.typ = int(native.Uint16(a.rest[2:])) & attributeType
	a.value = a.rest[attributeHead:n]
	a.rest = a.rest[min(align(n), len(a.rest)):]
	return true
}

func (a *attributes) uint8() uint8 {
	if len(a.value) < 1 {
		return 0
	}
	return a.value[0]
}

func (a *attributes) uint16() uint16 {
	if len(a.value) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(a.value)
}

func (a *attributes) uint32() uint32 {
	if len(a.value) < 4 {
		return 0
	}
	return binary.BigEndian.Uint32(a.value)
}
