package ctnetlink_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/ctnetlink"
	"github.com/ssyncp/ssyncp/internal/netnstest"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func flow(p conntrack.Protocol, source, destination string, change ...func(*conntrack.Entry)) conntrack.Entry {
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

// world is a namespace with connection tracking, which tests without ctnetlink
// skip.
type world struct {
	events, requests *ctnetlink.Socket
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ns := netnstest.New(t)
	var w world
	var err, err2 error
	ns.Do(t, func() {
		w.events, err = ctnetlink.OpenEvents(1 << 20)
		w.requests, err2 = ctnetlink.Open()
	})
	if err = errors.Join(err, err2); errors.Is(err, ctnetlink.ErrNotSupported) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.events.Close(); w.requests.Close() })
	if _, err := w.requests.Entries(); errors.Is(err, ctnetlink.ErrNotSupported) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	return &w
}

func send(t *testing.T, s *ctnetlink.Socket, requests []byte) []ctnetlink.Message {
	t.Helper()
	if err := s.Send(requests); err != nil {
		t.Fatal(err)
	}
	return receive(t, s)
}

// receive returns all that there is to receive.
func receive(t *testing.T, s *ctnetlink.Socket) (list []ctnetlink.Message) {
	t.Helper()
	var parser ctnetlink.Parser
	for {
		p, err := s.Receive()
		if errors.Is(err, ctnetlink.ErrNothing) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		var m ctnetlink.Message
		for parser.Load(p); parser.Next(&m); {
			list = append(list, m)
		}
	}
}

var everything = []struct {
	name  string
	entry conntrack.Entry
}{
	{"TCP", flow(conntrack.TCP, "192.0.2.1:40000", "198.51.100.1:443")},
	{"TCP closing", flow(conntrack.TCP, "192.0.2.1:40001", "198.51.100.1:443", func(e *conntrack.Entry) { e.State = conntrack.TCPTimeWait })},
	{"IPv6", flow(conntrack.TCP, "[2001:db8::1]:40000", "[2001:db8::2]:443")},
	{"UDP", flow(conntrack.UDP, "192.0.2.1:40000", "198.51.100.1:53")},
	{"masqueraded", flow(conntrack.TCP, "10.1.0.5:40000", "198.51.100.1:443", func(e *conntrack.Entry) {
		e.Reply.Destination, e.Status = addr("203.0.113.1:1025"), e.Status|conntrack.SourceNAT
	})},
	{"forwarded", flow(conntrack.UDP, "192.0.2.2:40000", "203.0.113.1:53", func(e *conntrack.Entry) {
		e.Reply.Source, e.Status = addr("10.0.0.1:5353"), e.Status|conntrack.DestNAT
	})},
	{"forwarded and masqueraded, IPv6", flow(conntrack.TCP, "[2001:db8::1]:40001", "[2001:db8::2]:443", func(e *conntrack.Entry) {
		e.Reply = conntrack.Tuple{Source: addr("[fd00::1]:8443"), Destination: addr("[fd00::2]:1026")}
		e.Status |= conntrack.SourceNAT | conntrack.DestNAT
	})},
	{"forwarded by IPVS", flow(conntrack.TCP, "192.0.2.3:40000", "203.0.113.1:80", func(e *conntrack.Entry) {
		e.Reply.Source = addr("10.0.0.1:8080")
	})},
	{"ICMP", flow(conntrack.ICMP, "192.0.2.1:42", "198.51.100.1:2048", func(e *conntrack.Entry) { e.Status &^= conntrack.Assured })},
	{"ICMP masqueraded", flow(conntrack.ICMP, "10.1.0.5:42", "198.51.100.1:2048", func(e *conntrack.Entry) {
		e.Reply.Destination, e.Status = addr("203.0.113.1:43"), conntrack.SeenReply|conntrack.Confirmed|conntrack.SourceNAT
	})},
	{"ICMPv6", flow(conntrack.ICMPv6, "[2001:db8::1]:42", "[2001:db8::2]:32768")},
	{"SCTP", flow(conntrack.SCTP, "192.0.2.1:5060", "198.51.100.1:5060", func(e *conntrack.Entry) {
		e.State, e.SCTP.Tags = conntrack.SCTPEstablished, [2]uint32{1, 0xfffffffe}
	})},
	{"GRE", flow(conntrack.GRE, "192.0.2.1:7", "198.51.100.1:8")},
	{"ESP", flow(50, "192.0.2.1:0", "198.51.100.1:0")},
	{"a zone", flow(conntrack.UDP, "192.0.2.1:40001", "198.51.100.1:53", func(e *conntrack.Entry) {
		e.Zones = conntrack.Zones{Original: 5, Reply: 5}
	})},
	{"a zone of one direction", flow(conntrack.UDP, "192.0.2.1:40001", "198.51.100.1:53", func(e *conntrack.Entry) { e.Zones.Original = 6 })},
	{"a mark", flow(conntrack.UDP, "192.0.2.1:40002", "198.51.100.1:53", func(e *conntrack.Entry) { e.Mark = 0x80000001 })},
	{"adjusted", flow(conntrack.TCP, "192.0.2.1:40002", "198.51.100.1:21", func(e *conntrack.Entry) {
		e.Status |= conntrack.SeqAdjusted
		e.Adjust = [2]conntrack.Adjustment{{Position: 0xfffffff0, Before: -2, After: 3}, {Position: 1, After: 4}}
	})},
}

// made is what the kernel shows of an entry that it was given.
func made(e conntrack.Entry) conntrack.Entry {
	if nat := conntrack.SourceNAT | conntrack.DestNAT; e.Status&nat != 0 {
		e.Status |= 0x180 // both DONE
	}
	return e
}

func TestTheKernelHasWhatItWasGiven(t *testing.T) {
	w := newWorld(t)
	for i, tt := range everything {
		t.Run(tt.name, func(t *testing.T) {
			e := tt.entry
			if got := send(t, w.requests, ctnetlink.AppendCreate(nil, uint32(i), &e, 100*time.Second)); len(got) != 0 {
				t.Fatalf("%+v", got)
			}
			got := send(t, w.requests, ctnetlink.AppendGet(nil, 7, &e))
			if len(got) != 1 || got[0].Kind != ctnetlink.Changed || got[0].Request != 7 || got[0].Entry != made(e) ||
				got[0].TimeLeft < 98*time.Second || got[0].TimeLeft > 100*time.Second {
				t.Fatalf("got\n%+v, want\n%+v", got, made(e))
			}
			// The event has the number of the socket that caused it.
			events := receive(t, w.events)
			if len(events) != 1 || events[0].Kind != ctnetlink.New || events[0].Port != w.requests.Port() || events[0].Entry.Key() != e.Key() {
				t.Errorf("events: %+v", events)
			}
			// A second one is not made.
			if got := send(t, w.requests, ctnetlink.AppendCreate(nil, 9, &e, time.Minute)); len(got) != 1 || got[0].Request != 9 || got[0].Errno != unix.EEXIST {
				t.Errorf("again: %+v", got)
			}
		})
	}
	n, err := w.requests.Entries()
	if err != nil || n != len(everything) {
		t.Errorf("%d entries, %v", n, err)
	}
	if err := w.requests.Dump(); err != nil {
		t.Fatal(err)
	}
	seen := make(map[conntrack.Key]bool)
	all := receive(t, w.requests)
	for _, m := range all[:len(all)-1] {
		seen[m.Entry.Key()] = true
	}
	if all[len(all)-1].Kind != ctnetlink.Done || len(seen) != len(everything) {
		t.Errorf("%d of %d, the last one %v", len(seen), len(everything), all[len(all)-1].Kind)
	}
	for _, tt := range everything {
		if !seen[tt.entry.Key()] {
			t.Errorf("%s is missing", tt.name)
		}
	}
}

func TestAnEntryIsChangedAndDeleted(t *testing.T) {
	w := newWorld(t)
	e := flow(conntrack.TCP, "192.0.2.1:40000", "198.51.100.1:443")
	send(t, w.requests, ctnetlink.AppendCreate(nil, 1, &e, 100*time.Second))
	e.State, e.Mark = conntrack.TCPFinWait, 9
	if got := send(t, w.requests, ctnetlink.AppendUpdate(nil, 2, &e, 50*time.Second)); len(got) != 0 {
		t.Fatalf("%+v", got)
	}
	got := send(t, w.requests, ctnetlink.AppendGet(nil, 3, &e))
	if len(got) != 1 || got[0].Entry != e || got[0].TimeLeft > 50*time.Second {
		t.Fatalf("got %+v", got)
	}
	receive(t, w.events)
	if got := send(t, w.requests, ctnetlink.AppendDelete(nil, 4, &e)); len(got) != 0 {
		t.Fatalf("%+v", got)
	}
	events := receive(t, w.events)
	if len(events) != 1 || events[0].Kind != ctnetlink.Destroyed || events[0].Port != w.requests.Port() || events[0].TimeLeft == 0 {
		t.Errorf("events: %+v", events)
	}
	for name, request := range map[string][]byte{
		"get": ctnetlink.AppendGet(nil, 5, &e), "delete": ctnetlink.AppendDelete(nil, 5, &e), "update": ctnetlink.AppendUpdate(nil, 5, &e, time.Minute),
	} {
		if got := send(t, w.requests, request); len(got) != 1 || got[0].Kind != ctnetlink.Failed || got[0].Errno != unix.ENOENT || got[0].Request != 5 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestABatchIsAnsweredRequestByRequest(t *testing.T) {
	w := newWorld(t)
	var batch []byte
	for i := range ctnetlink.BatchMax {
		e := flow(conntrack.UDP, "192.0.2.1:40000", "198.51.100.1:53")
		e.Original.Source = netip.AddrPortFrom(e.Original.Source.Addr(), uint16(i/2)) // each one twice
		e.Reply = e.Untranslated()
		batch = ctnetlink.AppendCreate(batch, uint32(i), &e, time.Minute)
	}
	got := send(t, w.requests, batch)
	if len(got) != ctnetlink.BatchMax/2 {
		t.Fatalf("%d answers", len(got))
	}
	for i, m := range got {
		if m.Request != uint32(2*i+1) || m.Errno != unix.EEXIST {
			t.Errorf("answer %d: request %d, %v", i, m.Request, m.Errno)
		}
	}
}

func TestLostEventsAreSaidOnce(t *testing.T) {
	ns := netnstest.New(t)
	var events, requests *ctnetlink.Socket
	var err, err2 error
	ns.Do(t, func() {
		events, err = ctnetlink.OpenEvents(1)
		requests, err2 = ctnetlink.Open()
	})
	if err = errors.Join(err, err2); err != nil {
		t.Skip(err)
	}
	defer events.Close()
	defer requests.Close()
	for i := range 200 {
		e := flow(conntrack.UDP, "192.0.2.1:40000", "198.51.100.1:53")
		e.Original.Source = netip.AddrPortFrom(e.Original.Source.Addr(), uint16(i))
		e.Reply = e.Untranslated()
		send(t, requests, ctnetlink.AppendCreate(nil, 1, &e, time.Minute))
	}
	overruns := 0
	for {
		_, err := events.Receive()
		if errors.Is(err, ctnetlink.ErrNothing) {
			break
		}
		if errors.Is(err, ctnetlink.ErrOverrun) {
			overruns++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if overruns != 1 {
		t.Errorf("said %d times", overruns)
	}
}

func TestWithoutThePrivilegeTheErrorSaysSo(t *testing.T) {
	newWorld(t) // or it is skipped
	done := make(chan error)
	go func() {
		// The thread ends with the goroutine.
		done <- withoutPrivileges(func() error {
			s, err := ctnetlink.Open()
			if err != nil {
				return err
			}
			defer s.Close()
			_, err = s.Entries()
			return err
		})
	}()
	if err := <-done; !errors.Is(err, ctnetlink.ErrNotPermitted) {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range everything {
		e := tt.entry
		f.Add(ctnetlink.AppendCreate(nil, 1, &e, time.Minute))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		var parser ctnetlink.Parser
		var m ctnetlink.Message
		n := 0
		for parser.Load(p); parser.Next(&m); n++ {
			if n > len(p) {
				t.Fatal("without an end")
			}
		}
	})
}

// What is asked for is read as it is answered: entries without NAT and helpers
// have the same attributes both ways.
func TestParserReadsWhatIsBuilt(t *testing.T) {
	for _, tt := range everything {
		e := tt.entry
		if e.Status&(conntrack.SourceNAT|conntrack.DestNAT) != 0 {
			continue
		}
		e.Labels, e.Helper, e.Proxy = [16]byte{3: 4}, "ftp", conntrack.Proxy{ISN: 1, ITS: 2, Offset: 3}
		var parser ctnetlink.Parser
		var m ctnetlink.Message
		if parser.Load(ctnetlink.AppendCreate(nil, 8, &e, time.Minute)); !parser.Next(&m) || m.Kind != ctnetlink.New ||
			m.Entry != e || m.TimeLeft != time.Minute || m.Request != 8 || !m.HasLabels {
			t.Errorf("%s: got\n%+v, want\n%+v", tt.name, m, e)
		}
	}
}

func TestNothingIsAllocatedPerMessage(t *testing.T) {
	var batch []byte
	for _, tt := range everything {
		e := tt.entry
		e.Helper = "ftp"
		batch = ctnetlink.AppendCreate(batch, 1, &e, time.Minute)
	}
	var parser ctnetlink.Parser
	var m ctnetlink.Message
	buf := make([]byte, 0, len(batch))
	run := func() {
		n := 0
		for parser.Load(batch); parser.Next(&m); n++ {
		}
		if n != len(everything) {
			t.Fatalf("%d messages", n)
		}
		buf = buf[:0]
		for i := range everything {
			buf = ctnetlink.AppendCreate(buf, 1, &everything[i].entry, time.Minute)
		}
	}
	run()
	if n := testing.AllocsPerRun(10, run); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
