package ctlibrary

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	library "github.com/ti-mo/conntrack"

	"github.com/ssyncp/ssyncp/internal/ctnetlink"
	"github.com/ssyncp/ssyncp/internal/netnstest"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

// perBatch is how many entries are made for the events that are parsed.
const perBatch = ctnetlink.BatchMax

// masqueraded is an established stream that netfilter translates.
func masqueraded(i int) conntrack.Entry {
	e := conntrack.Entry{
		Protocol: conntrack.TCP, State: conntrack.TCPEstablished, Mark: 1,
		Status: conntrack.SeenReply | conntrack.Assured | conntrack.Confirmed | conntrack.SourceNAT,
		Original: conntrack.Tuple{
			Source:      netip.AddrPortFrom(netip.MustParseAddr("10.1.0.5"), uint16(40000+i)),
			Destination: netip.MustParseAddrPort("198.51.100.1:443"),
		},
		TCP: conntrack.TCPInfo{Scale: [2]uint8{7, 9}, Flags: [2]uint8{0x2b, 0x0b}},
	}
	e.Reply = e.Untranslated()
	e.Reply.Destination = netip.AddrPortFrom(netip.MustParseAddr("203.0.113.1"), uint16(1025+i))
	return e
}

// events returns what the kernel told of entries that were made: datagrams of
// one message each.
func events(tb testing.TB) (datagrams [][]byte) {
	tb.Helper()
	var told, requests *ctnetlink.Socket
	var err, err2 error
	netnstest.New(tb).Do(tb, func() {
		told, err = ctnetlink.OpenEvents(1 << 20)
		requests, err2 = ctnetlink.Open()
	})
	if err := errors.Join(err, err2); err != nil {
		tb.Fatal(err)
	}
	defer told.Close()
	defer requests.Close()
	var batch []byte
	for i := range perBatch {
		e := masqueraded(i)
		batch = ctnetlink.AppendCreate(batch, uint32(i), &e, time.Hour)
	}
	if err := requests.Send(batch); err != nil {
		tb.Fatal(err)
	}
	for {
		p, err := told.Receive()
		if errors.Is(err, ctnetlink.ErrNothing) {
			break
		} else if err != nil {
			tb.Fatal(err)
		}
		datagrams = append(datagrams, append([]byte(nil), p...))
	}
	if len(datagrams) != perBatch {
		tb.Fatalf("%d datagrams of events of %d entries", len(datagrams), perBatch)
	}
	return datagrams
}

// parseLibrary does what the library's sockets do with a datagram, and then its
// decoder of events.
func parseLibrary(datagram []byte) (flow *library.Flow, err error) {
	messages, err := syscall.ParseNetlinkMessage(datagram)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		var event library.Event
		if err := event.Unmarshal(netlink.Message{
			Header: netlink.Header{
				Length: m.Header.Len, Type: netlink.HeaderType(m.Header.Type), Flags: netlink.HeaderFlags(m.Header.Flags),
				Sequence: m.Header.Seq, PID: m.Header.Pid,
			},
			Data: m.Data,
		}); err != nil {
			return nil, err
		}
		flow = event.Flow
	}
	return flow, nil
}

func TestBothReadTheSame(t *testing.T) {
	var parser ctnetlink.Parser
	var m ctnetlink.Message
	for _, datagram := range events(t) {
		parser.Load(datagram)
		if !parser.Next(&m) || m.Kind != ctnetlink.New {
			t.Fatalf("own: %+v", m)
		}
		flow, err := parseLibrary(datagram)
		if err != nil {
			t.Fatal(err)
		}
		e := &m.Entry
		own := fmt.Sprint(e.Original.Source, e.Original.Destination, e.Reply.Source, e.Reply.Destination, uint8(e.State), uint32(e.Status), e.Mark)
		original, reply := flow.TupleOrig, flow.TupleReply
		theirs := fmt.Sprint(
			netip.AddrPortFrom(original.IP.SourceAddress, original.Proto.SourcePort),
			netip.AddrPortFrom(original.IP.DestinationAddress, original.Proto.DestinationPort),
			netip.AddrPortFrom(reply.IP.SourceAddress, reply.Proto.SourcePort),
			netip.AddrPortFrom(reply.IP.DestinationAddress, reply.Proto.DestinationPort),
			flow.ProtoInfo.TCP.State, uint32(flow.Status), flow.Mark)
		if own != theirs {
			t.Errorf("own: %s, library: %s", own, theirs)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	datagrams := events(b)
	b.Run("own", func(b *testing.B) {
		var parser ctnetlink.Parser
		var m ctnetlink.Message
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			for parser.Load(datagrams[i%perBatch]); parser.Next(&m); {
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := parseLibrary(datagrams[i%perBatch]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
