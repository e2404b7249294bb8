package ctnetlink

import (
	"encoding/binary"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

// Messages are appended to a buffer, any number of them, and sent at once. Each
// is numbered by the caller; only what fails, or was asked for, is answered.

// AppendCreate asks for a new entry that lives so long. Translations that are
// netfilter's are set up anew; others are in its reply.
func AppendCreate(dst []byte, request uint32, e *conntrack.Entry, timeLeft time.Duration) []byte {
	b := begin(dst, messageNew, unix.NLM_F_CREATE|unix.NLM_F_EXCL, request, e)
	source := e.TranslatedSource() && e.Status&conntrack.SourceNAT != 0
	dest := e.TranslatedDestination() && e.Status&conntrack.DestNAT != 0
	reply := e.Reply
	if source {
		reply.Destination = e.Original.Source
	}
	if dest {
		reply.Source = conntrack.AnswerOf(e.Protocol, e.Original.Destination)
	}
	b.tuple(ctaTupleReply, e.Protocol, reply, e.Zones.Reply, e.Zones, true)
	if source {
		b.translation(ctaNATSource, e.Protocol, e.Reply.Destination, ported(e.Protocol) || isICMP(e.Protocol))
	}
	if dest {
		b.translation(ctaNATDest, e.Protocol, e.Reply.Source, ported(e.Protocol))
	}
	b.state(e, timeLeft)
	if e.Mark != 0 {
		b.uint32(ctaMark, e.Mark)
	}
	if e.Helper != "" {
		end := b.nest(ctaHelp)
		b.string(ctaHelpName, e.Helper)
		b.end(end)
	}
	if e.Proxy != (conntrack.Proxy{}) {
		end := b.nest(ctaSynproxy)
		b.uint32(ctaSynproxyISN, e.Proxy.ISN)
		b.uint32(ctaSynproxyITS, e.Proxy.ITS)
		b.uint32(ctaSynproxyOffset, e.Proxy.Offset)
		b.end(end)
	}
	return b.finish()
}

// AppendUpdate asks for a change of an entry that there is. Tuples, translation
// and helper stay.
func AppendUpdate(dst []byte, request uint32, e *conntrack.Entry, timeLeft time.Duration) []byte {
	b := begin(dst, messageNew, 0, request, e)
	b.state(e, timeLeft)
	b.uint32(ctaMark, e.Mark)
	return b.finish()
}

// AppendGet asks for the entry of this key.
func AppendGet(dst []byte, request uint32, e *conntrack.Entry) []byte {
	b := begin(dst, messageGet, 0, request, e)
	return b.finish()
}

// AppendDelete asks for the end of the entry of this key.
func AppendDelete(dst []byte, request uint32, e *conntrack.Entry) []byte {
	b := begin(dst, messageDelete, 0, request, e)
	return b.finish()
}

// appendDump asks for the whole table.
func appendDump(dst []byte) []byte {
	b := header(dst, messageGet, unix.NLM_F_DUMP, 0, unix.AF_UNSPEC)
	return b.finish()
}

// appendStats asks how many entries there are.
func appendStats(dst []byte) []byte {
	b := header(dst, messageGetStats, 0, 0, unix.AF_UNSPEC)
	return b.finish()
}

// message is one that is being built.
type message struct {
	p     []byte
	start int
}

func header(dst []byte, typ uint16, flags uint16, request uint32, family uint8) message {
	m := message{start: len(dst)}
	dst = native.AppendUint32(dst, 0)
	dst = native.AppendUint16(dst, typ)
	dst = native.AppendUint16(dst, flags|unix.NLM_F_REQUEST)
	dst = native.AppendUint32(dst, request)
	dst = native.AppendUint32(dst, 0)
	m.p = append(dst, family, 0, 0, 0)
	return m
}

// begin begins a message about the entry that e is the key of.
func begin(dst []byte, typ uint16, flags uint16, request uint32, e *conntrack.Entry) message {
	family := uint8(unix.AF_INET)
	if !e.Original.Source.Addr().Is4() {
		family = unix.AF_INET6
	}
	m := header(dst, typ, flags, request, family)
	m.tuple(ctaTupleOrig, e.Protocol, e.Original, e.Zones.Original, e.Zones, false)
	if e.Zones.Original == e.Zones.Reply && e.Zones.Original != 0 {
		m.uint16(ctaZone, e.Zones.Original)
	}
	return m
}

func (m *message) finish() []byte {
	native.PutUint32(m.p[m.start:], uint32(len(m.p)-m.start))
	return m.p
}

func (m *message) nest(typ uint16) (start int) {
	start = len(m.p)
	m.p = native.AppendUint16(m.p, 0)
	m.p = native.AppendUint16(m.p, typ|attributeNested)
	return start
}

func (m *message) end(start int) { native.PutUint16(m.p[start:], uint16(len(m.p)-start)) }

func (m *message) attribute(typ uint16, size int) {
	m.p = native.AppendUint16(m.p, uint16(attributeHead+size))
	m.p = native.AppendUint16(m.p, typ)
}

func (m *message) pad() {
	for len(m.p)%alignment != 0 {
		m.p = append(m.p, 0)
	}
}

func (m *message) uint8(typ uint16, v uint8) {
	m.attribute(typ, 1)
	m.p = append(m.p, v, 0, 0, 0)
}

func (m *message) uint16(typ uint16, v uint16) {
	m.attribute(typ, 2)
	m.p = append(binary.BigEndian.AppendUint16(m.p, v), 0, 0)
}

func (m *message) uint32(typ uint16, v uint32) {
	m.attribute(typ, 4)
	m.p = binary.BigEndian.AppendUint32(m.p, v)
}

// string has a zero behind it.
func (m *message) string(typ uint16, s string) {
	m.attribute(typ, len(s)+1)
	m.p = append(append(m.p, s...), 0)
	m.pad()
}

func (m *message) address(v4, v6 uint16, a netip.Addr) {
	if a.Is4() {
		p := a.As4()
		m.attribute(v4, len(p))
		m.p = append(m.p, p[:]...)
		return
	}
	p := a.As16()
	m.attribute(v6, len(p))
	m.p = append(m.p, p[:]...)
}

// tuple has its own zone where the two directions do not have the same.
func (m *message) tuple(typ uint16, p conntrack.Protocol, t conntrack.Tuple, zone uint16, zones conntrack.Zones, reply bool) {
	start := m.nest(typ)
	inner := m.nest(ctaTupleIP)
	m.address(ctaIPv4Source, ctaIPv6Source, t.Source.Addr())
	m.address(ctaIPv4Dest, ctaIPv6Dest, t.Destination.Addr())
	m.end(inner)
	inner = m.nest(ctaTupleProto)
	m.uint8(ctaProtoNum, uint8(p))
	switch {
	case isICMP(p):
		id, what := t.Source.Port(), t.Destination.Port()
		if reply {
			id, what = what, id
		}
		first := uint16(ctaProtoICMPID)
		if p == conntrack.ICMPv6 {
			first = ctaProtoICMPv6ID
		}
		m.uint16(first, id)
		m.uint8(first+1, uint8(what>>8))
		m.uint8(first+2, uint8(what))
	case ported(p):
		m.uint16(ctaProtoSourcePort, t.Source.Port())
		m.uint16(ctaProtoDestPort, t.Destination.Port())
	}
	m.end(inner)
	if zone != 0 && zones.Original != zones.Reply {
		m.uint16(ctaTupleZone, zone)
	}
	m.end(start)
}

// translation sets NAT up to one address, and one port where there is one.
func (m *message) translation(typ uint16, p conntrack.Protocol, to netip.AddrPort, port bool) {
	start := m.nest(typ)
	m.address(ctaNATv4Min, ctaNATv6Min, to.Addr())
	m.address(ctaNATv4Max, ctaNATv6Max, to.Addr())
	if port {
		inner := m.nest(ctaNATProto)
		m.uint16(ctaNATPortMin, to.Port())
		m.uint16(ctaNATPortMax, to.Port())
		m.end(inner)
	}
	m.end(start)
}

// state has what both a new entry and a change say.
func (m *message) state(e *conntrack.Entry, timeLeft time.Duration) {
	m.uint32(ctaTimeout, uint32(max(timeLeft.Round(time.Second)/time.Second, 1)))
	m.uint32(ctaStatus, uint32(e.Status))
	switch e.Protocol {
	case conntrack.TCP:
		start := m.nest(ctaProtoinfo)
		inner := m.nest(ctaProtoinfoTCP)
		m.uint8(ctaTCPState, uint8(e.State))
		for i := range 2 {
			m.uint8(uint16(ctaTCPScaleOrig+i), e.TCP.Scale[i])
		}
		for i := range 2 {
			m.attribute(uint16(ctaTCPFlagsOrig+i), 2)
			m.p = append(m.p, e.TCP.Flags[i], 0xff, 0, 0)
		}
		m.end(inner)
		m.end(start)
	case conntrack.SCTP:
		start := m.nest(ctaProtoinfo)
		inner := m.nest(ctaProtoinfoSCTP)
		m.uint8(ctaSCTPState, uint8(e.State))
		m.uint32(ctaSCTPTagOrig, e.SCTP.Tags[0])
		m.uint32(ctaSCTPTagReply, e.SCTP.Tags[1])
		m.end(inner)
		m.end(start)
	}
	for i := range e.Adjust {
		if e.Adjust == ([2]conntrack.Adjustment{}) {
			break
		}
		start := m.nest(uint16(ctaSeqAdjOrig + i))
		m.uint32(ctaSeqAdjPosition, e.Adjust[i].Position)
		m.uint32(ctaSeqAdjBefore, uint32(e.Adjust[i].Before))
		m.uint32(ctaSeqAdjAfter, uint32(e.Adjust[i].After))
		m.end(start)
	}
	if e.Labels != ([16]byte{}) {
		m.attribute(ctaLabels, len(e.Labels))
		m.p = append(m.p, e.Labels[:]...)
	}
}

func isICMP(p conntrack.Protocol) bool { return p == conntrack.ICMP || p == conntrack.ICMPv6 }

// ported reports whether tuples of the protocol have ports, or keys.
func ported(p conntrack.Protocol) bool {
	switch p {
	case conntrack.TCP, conntrack.UDP, conntrack.UDPLite, conntrack.SCTP, conntrack.DCCP, conntrack.GRE:
		return true
	}
	return false
}
