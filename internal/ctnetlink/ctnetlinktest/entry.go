// Package ctnetlinktest has entries of the kernel's table for tests of what goes
// over package ctnetlink.
package ctnetlinktest

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/ssyncp/ssyncp/internal/ctnetlink"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

// Flow returns an established connection.
func Flow(p conntrack.Protocol, source, destination string, change ...func(*conntrack.Entry)) conntrack.Entry {
	e := conntrack.Entry{
		Protocol: p, Status: conntrack.SeenReply | conntrack.Assured | conntrack.Confirmed,
		Original: conntrack.Tuple{Source: addr(source), Destination: addr(destination)},
	}
	if p == conntrack.TCP {
		e.State = conntrack.TCPEstablished
		e.TCP = conntrack.TCPInfo{Scale: [2]uint8{7, 9}, Flags: [2]uint8{0x2b, 0x0b}}
	}
	e.Reply = e.Untranslated()
	for _, c := range change {
		c(&e)
	}
	return e
}

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// Numbered returns connections whose source ports count up from 1024.
func Numbered(p conntrack.Protocol, n int) []conntrack.Entry {
	list := make([]conntrack.Entry, n)
	for i := range list {
		list[i] = Flow(p, "192.0.2.1:0", "198.51.100.1:53", func(e *conntrack.Entry) {
			e.Original.Source = netip.AddrPortFrom(e.Original.Source.Addr(), uint16(1024+i))
			e.Reply = e.Untranslated()
		})
	}
	return list
}

// Kind is of connections that the kernel can be given.
type Kind struct {
	Name  string
	Entry conntrack.Entry
}

// Kinds returns one of each. No two of a protocol have the same source.
func Kinds() []Kind {
	return []Kind{
		{"TCP", Flow(conntrack.TCP, "192.0.2.1:40000", "198.51.100.1:443")},
		{"TCP closing", Flow(conntrack.TCP, "192.0.2.1:40001", "198.51.100.1:443", func(e *conntrack.Entry) { e.State = conntrack.TCPTimeWait })},
		{"IPv6", Flow(conntrack.TCP, "[2001:db8::1]:40000", "[2001:db8::2]:443")},
		{"UDP", Flow(conntrack.UDP, "192.0.2.1:40000", "198.51.100.1:53")},
		{"masqueraded", Flow(conntrack.TCP, "10.1.0.5:40000", "198.51.100.1:443", func(e *conntrack.Entry) {
			e.Reply.Destination, e.Status = addr("203.0.113.1:1025"), e.Status|conntrack.SourceNAT
		})},
		{"forwarded", Flow(conntrack.UDP, "192.0.2.2:40000", "203.0.113.1:53", func(e *conntrack.Entry) {
			e.Reply.Source, e.Status = addr("10.0.0.1:5353"), e.Status|conntrack.DestNAT
		})},
		{"forwarded and masqueraded, IPv6", Flow(conntrack.TCP, "[2001:db8::1]:40001", "[2001:db8::2]:443", func(e *conntrack.Entry) {
			e.Reply = conntrack.Tuple{Source: addr("[fd00::1]:8443"), Destination: addr("[fd00::2]:1026")}
			e.Status |= conntrack.SourceNAT | conntrack.DestNAT
		})},
		{"forwarded by IPVS", Flow(conntrack.TCP, "192.0.2.3:40000", "203.0.113.1:80", func(e *conntrack.Entry) {
			e.Reply.Source = addr("10.0.0.1:8080")
		})},
		{"ICMP", Flow(conntrack.ICMP, "192.0.2.1:42", "198.51.100.1:2048", func(e *conntrack.Entry) { e.Status &^= conntrack.Assured })},
		{"ICMP masqueraded", Flow(conntrack.ICMP, "10.1.0.5:42", "198.51.100.1:2048", func(e *conntrack.Entry) {
			e.Reply.Destination, e.Status = addr("203.0.113.1:43"), conntrack.SeenReply|conntrack.Confirmed|conntrack.SourceNAT
		})},
		{"ICMPv6", Flow(conntrack.ICMPv6, "[2001:db8::1]:42", "[2001:db8::2]:32768")},
		{"SCTP", Flow(conntrack.SCTP, "192.0.2.1:5060", "198.51.100.1:5060", func(e *conntrack.Entry) {
			e.State, e.SCTP.Tags = conntrack.SCTPEstablished, [2]uint32{1, 0xfffffffe}
		})},
		{"GRE", Flow(conntrack.GRE, "192.0.2.1:7", "198.51.100.1:8")},
		{"ESP", Flow(50, "192.0.2.1:0", "198.51.100.1:0")},
		{"a zone", Flow(conntrack.UDP, "192.0.2.1:40001", "198.51.100.1:53", func(e *conntrack.Entry) {
			e.Zones = conntrack.Zones{Original: 5, Reply: 5}
		})},
		{"a zone of one direction", Flow(conntrack.UDP, "192.0.2.1:40003", "198.51.100.1:53", func(e *conntrack.Entry) { e.Zones.Original = 6 })},
		{"a mark", Flow(conntrack.UDP, "192.0.2.1:40002", "198.51.100.1:53", func(e *conntrack.Entry) { e.Mark = 0x80000001 })},
		{"adjusted", Flow(conntrack.TCP, "192.0.2.1:40002", "198.51.100.1:21", func(e *conntrack.Entry) {
			e.Status |= conntrack.SeqAdjusted
			e.Adjust = [2]conntrack.Adjustment{{Position: 0xfffffff0, Before: -2, After: 3}, {Position: 1, After: 4}}
		})},
	}
}

// Made is what the kernel shows of an entry that it was given.
func Made(e conntrack.Entry) conntrack.Entry {
	if nat := conntrack.SourceNAT | conntrack.DestNAT; e.Status&nat != 0 {
		e.Status |= 0x180 // both DONE
	}
	return e
}

// Receive returns all that there is to receive.
func Receive(t testing.TB, s *ctnetlink.Socket) (list []ctnetlink.Message) {
	t.Helper()
	var parser ctnetlink.Parser
	for {
		p, err := s.Receive()
		if errors.Is(err, ctnetlink.ErrNothing) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		var m ctnetlink.Message
		for parser.Load(p); parser.Next(&m); {
			list = append(list, m)
		}
	}
}
