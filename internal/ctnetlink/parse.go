package ctnetlink

import (
	"bytes"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

// Kind is what a message is.
type Kind int

// Kinds of messages.
const (
	Other     Kind = iota
	New            // an event, or an entry that was asked for
	Changed        // an event
	Destroyed      // an event
	Expected       // an event: a helper expects a connection; Entry has the key of the one that it helps
	Failed         // the answer to a request that failed
	Done           // the end of a table
)

// Message is one that the kernel sent.
type Message struct {
	Kind     Kind
	Request  uint32     // which one it answers, as it was numbered
	Port     uint32     // of the socket that caused it; 0: a packet, a timer
	Errno    unix.Errno // of Failed; 0 is an acknowledgement
	Entry    conntrack.Entry
	TimeLeft time.Duration // of the entry; Timeout and Age are not known here
	// Whether the message says what the protocol knows, sequence adjustments,
	// and labels: events have only what has changed.
	HasProtocol, HasAdjust, HasLabels bool
}

// Parser takes messages out of what was received. The zero value has none.
type Parser struct {
	rest    []byte
	helpers map[string]string // they are few: a name is made once
}

// maxHelpers bounds the names that are kept.
const maxHelpers = 256

// Load takes messages, which must not change while they are taken out.
func (p *Parser) Load(received []byte) { p.rest = received }

// Next takes the next message out into m, all of whose fields it sets.
func (p *Parser) Next(m *Message) bool {
	if len(p.rest) < messageHead {
		return false
	}
	size := int(native.Uint32(p.rest))
	if size < messageHead || size > len(p.rest) {
		return false
	}
	*m = Message{Request: native.Uint32(p.rest[8:]), Port: native.Uint32(p.rest[12:])}
	typ, flags := native.Uint16(p.rest[4:]), native.Uint16(p.rest[6:])
	payload := p.rest[messageHead:size]
	p.rest = p.rest[min(align(size), len(p.rest)):]
	switch {
	case typ == unix.NLMSG_DONE:
		m.Kind = Done
		if len(payload) >= 4 {
			m.Errno = unix.Errno(-int32(native.Uint32(payload)))
		}
	case typ == unix.NLMSG_ERROR && len(payload) >= 4:
		m.Kind, m.Errno = Failed, unix.Errno(-int32(native.Uint32(payload)))
	case len(payload) < nfgenmsgSize:
	case typ == messageNew:
		m.Kind = Changed
		if flags&(unix.NLM_F_CREATE|unix.NLM_F_EXCL) != 0 {
			m.Kind = New
		}
		p.entry(payload[nfgenmsgSize:], m)
	case typ == messageDelete:
		m.Kind = Destroyed
		p.entry(payload[nfgenmsgSize:], m)
	case typ == messageExpectNew:
		m.Kind = Expected
		for a := (attributes{rest: payload[nfgenmsgSize:]}); a.next(); {
			if a.typ == ctaExpectMaster {
				tuple(a.value, &m.Entry, false)
			}
		}
	}
	return true
}

func (p *Parser) entry(payload []byte, m *Message) {
	e := &m.Entry
	for a := (attributes{rest: payload}); a.next(); {
		switch a.typ {
		case ctaTupleOrig:
			zone := tuple(a.value, e, false)
			if zone != 0 {
				e.Zones.Original = zone
			}
		case ctaTupleReply:
			zone := tuple(a.value, e, true)
			if zone != 0 {
				e.Zones.Reply = zone
			}
		case ctaZone:
			zone := a.uint16()
			e.Zones = conntrack.Zones{Original: zone, Reply: zone}
		case ctaStatus:
			e.Status = conntrack.Status(a.uint32())
		case ctaTimeout:
			m.TimeLeft = time.Duration(a.uint32()) * time.Second
		case ctaMark:
			e.Mark = a.uint32()
		case ctaProtoinfo:
			m.HasProtocol = protocolInfo(a.value, e)
		case ctaHelp:
			e.Helper = p.helper(a.value)
		case ctaSeqAdjOrig:
			e.Adjust[0], m.HasAdjust = adjustment(a.value), true
		case ctaSeqAdjReply:
			e.Adjust[1], m.HasAdjust = adjustment(a.value), true
		case ctaLabels:
			m.HasLabels = true
			copy(e.Labels[:], a.value)
		case ctaSynproxy:
			for s := (attributes{rest: a.value}); s.next(); {
				switch s.typ {
				case ctaSynproxyISN:
					e.Proxy.ISN = s.uint32()
				case ctaSynproxyITS:
					e.Proxy.ITS = s.uint32()
				case ctaSynproxyOffset:
					e.Proxy.Offset = s.uint32()
				}
			}
		}
	}
}

// tuple reads a tuple, and returns the zone that it has of its own.
func tuple(p []byte, e *conntrack.Entry, reply bool) (zone uint16) {
	var source, dest netip.Addr
	var sourcePort, destPort, id uint16
	var typ, code uint8
	icmp := false
	for a := (attributes{rest: p}); a.next(); {
		switch a.typ {
		case ctaTupleZone:
			zone = a.uint16()
		case ctaTupleIP:
			for b := (attributes{rest: a.value}); b.next(); {
				switch addr, ok := netip.AddrFromSlice(b.value); {
				case !ok:
				case b.typ == ctaIPv4Source || b.typ == ctaIPv6Source:
					source = addr
				case b.typ == ctaIPv4Dest || b.typ == ctaIPv6Dest:
					dest = addr
				}
			}
		case ctaTupleProto:
			for b := (attributes{rest: a.value}); b.next(); {
				switch b.typ {
				case ctaProtoNum:
					e.Protocol = conntrack.Protocol(b.uint8())
				case ctaProtoSourcePort:
					sourcePort = b.uint16()
				case ctaProtoDestPort:
					destPort = b.uint16()
				case ctaProtoICMPID, ctaProtoICMPv6ID:
					id, icmp = b.uint16(), true
				case ctaProtoICMPType, ctaProtoICMPv6Type:
					typ = b.uint8()
				case ctaProtoICMPCode, ctaProtoICMPv6Code:
					code = b.uint8()
				}
			}
		}
	}
	if icmp {
		if sourcePort, destPort = id, uint16(typ)<<8|uint16(code); reply {
			sourcePort, destPort = destPort, sourcePort
		}
	}
	t := conntrack.Tuple{Source: netip.AddrPortFrom(source, sourcePort), Destination: netip.AddrPortFrom(dest, destPort)}
	if reply {
		e.Reply = t
	} else {
		e.Original = t
	}
	return zone
}

// protocolInfo reads what a protocol knows, and reports whether it is one of
// which that is read.
func protocolInfo(p []byte, e *conntrack.Entry) (known bool) {
	for a := (attributes{rest: p}); a.next(); {
		for b := (attributes{rest: a.value}); b.next(); {
			switch {
			case a.typ == ctaProtoinfoTCP && b.typ == ctaTCPState, a.typ == ctaProtoinfoSCTP && b.typ == ctaSCTPState:
				e.State, known = conntrack.State(b.uint8()), true
			case a.typ == ctaProtoinfoTCP && (b.typ == ctaTCPScaleOrig || b.typ == ctaTCPScaleReply):
				e.TCP.Scale[b.typ-ctaTCPScaleOrig] = b.uint8()
			case a.typ == ctaProtoinfoTCP && (b.typ == ctaTCPFlagsOrig || b.typ == ctaTCPFlagsReply):
				e.TCP.Flags[b.typ-ctaTCPFlagsOrig] = b.uint8()
			case a.typ == ctaProtoinfoSCTP && (b.typ == ctaSCTPTagOrig || b.typ == ctaSCTPTagReply):
				e.SCTP.Tags[b.typ-ctaSCTPTagOrig] = b.uint32()
			}
		}
	}
	return known
}

func adjustment(p []byte) (s conntrack.Adjustment) {
	for a := (attributes{rest: p}); a.next(); {
		switch a.typ {
		case ctaSeqAdjPosition:
			s.Position = a.uint32()
		case ctaSeqAdjBefore:
			s.Before = int32(a.uint32())
		case ctaSeqAdjAfter:
			s.After = int32(a.uint32())
		}
	}
	return s
}

func (p *Parser) helper(nested []byte) string {
	for a := (attributes{rest: nested}); a.next(); {
		if a.typ != ctaHelpName {
			continue
		}
		name, _, _ := bytes.Cut(a.value, []byte{0})
		known, ok := p.helpers[string(name)]
		if ok {
			return known
		}
		if p.helpers == nil || len(p.helpers) >= maxHelpers {
			p.helpers = make(map[string]string)
		}
		known = string(name)
		p.helpers[known] = known
		return known
	}
	return ""
}

// entriesOf returns the number of entries that a message with statistics has.
func entriesOf(message []byte) (n int, ok bool) {
	if len(message) < messageHead+nfgenmsgSize || native.Uint16(message[4:]) != messageGetStats {
		return 0, false
	}
	for a := (attributes{rest: message[messageHead+nfgenmsgSize:]}); a.next(); {
		if a.typ == ctaStatsEntries {
			return int(a.uint32()), true
		}
	}
	return 0, false
}
