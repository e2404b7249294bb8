package ctnetlink_test

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/ctnetlink"
	"github.com/ssyncp/ssyncp/internal/ctnetlink/ctnetlinktest"
	"github.com/ssyncp/ssyncp/internal/netnstest"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

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
	return ctnetlinktest.Receive(t, s)
}

func TestTheKernelHasWhatItWasGiven(t *testing.T) {
	kinds := ctnetlinktest.Kinds()
	w := newWorld(t)
	for i, tt := range kinds {
		t.Run(tt.Name, func(t *testing.T) {
			e := tt.Entry
			if got := send(t, w.requests, ctnetlink.AppendCreate(nil, uint32(i), &e, 100*time.Second)); len(got) != 0 {
				t.Fatalf("%+v", got)
			}
			got := send(t, w.requests, ctnetlink.AppendGet(nil, 7, &e))
			if len(got) != 1 || got[0].Kind != ctnetlink.Changed || got[0].Request != 7 || got[0].Entry != ctnetlinktest.Made(e) ||
				got[0].TimeLeft < 98*time.Second || got[0].TimeLeft > 100*time.Second {
				t.Fatalf("got\n%+v, want\n%+v", got, ctnetlinktest.Made(e))
			}
			// The event has the number of the socket that caused it.
			events := ctnetlinktest.Receive(t, w.events)
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
	if err != nil || n != len(kinds) {
		t.Errorf("%d entries, %v", n, err)
	}
	if err := w.requests.Dump(); err != nil {
		t.Fatal(err)
	}
	seen := make(map[conntrack.Key]bool)
	all := ctnetlinktest.Receive(t, w.requests)
	for _, m := range all[:len(all)-1] {
		seen[m.Entry.Key()] = true
	}
	if all[len(all)-1].Kind != ctnetlink.Done || len(seen) != len(kinds) {
		t.Errorf("%d of %d, the last one %v", len(seen), len(kinds), all[len(all)-1].Kind)
	}
	for _, tt := range kinds {
		if !seen[tt.Entry.Key()] {
			t.Errorf("%s is missing", tt.Name)
		}
	}
}

func TestTheSameAddressesInTwoZonesAreTwoEntries(t *testing.T) {
	w := newWorld(t)
	for zone := range uint16(3) {
		e := ctnetlinktest.Flow(conntrack.UDP, "192.0.2.1:40000", "198.51.100.1:53", func(e *conntrack.Entry) {
			e.Zones, e.Mark = conntrack.Zones{Original: zone, Reply: zone}, uint32(zone)
		})
		if got := send(t, w.requests, ctnetlink.AppendCreate(nil, 1, &e, time.Minute)); len(got) != 0 {
			t.Fatalf("zone %d: %+v", zone, got)
		}
		if got := send(t, w.requests, ctnetlink.AppendGet(nil, 2, &e)); len(got) != 1 || got[0].Entry != e {
			t.Errorf("zone %d: got %+v", zone, got)
		}
	}
}

func TestAnEntryIsChangedAndDeleted(t *testing.T) {
	w := newWorld(t)
	e := ctnetlinktest.Flow(conntrack.TCP, "192.0.2.1:40000", "198.51.100.1:443")
	send(t, w.requests, ctnetlink.AppendCreate(nil, 1, &e, 100*time.Second))
	e.State, e.Mark = conntrack.TCPFinWait, 9
	if got := send(t, w.requests, ctnetlink.AppendUpdate(nil, 2, &e, 50*time.Second)); len(got) != 0 {
		t.Fatalf("%+v", got)
	}
	got := send(t, w.requests, ctnetlink.AppendGet(nil, 3, &e))
	if len(got) != 1 || got[0].Entry != e || got[0].TimeLeft > 50*time.Second {
		t.Fatalf("got %+v", got)
	}
	ctnetlinktest.Receive(t, w.events)
	if got := send(t, w.requests, ctnetlink.AppendDelete(nil, 4, &e)); len(got) != 0 {
		t.Fatalf("%+v", got)
	}
	events := ctnetlinktest.Receive(t, w.events)
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
	list := ctnetlinktest.Numbered(conntrack.UDP, ctnetlink.BatchMax/2)
	var batch []byte
	for i := range ctnetlink.BatchMax { // each one twice
		batch = ctnetlink.AppendCreate(batch, uint32(i), &list[i/2], time.Minute)
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
	for _, e := range ctnetlinktest.Numbered(conntrack.UDP, 200) {
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
	for _, tt := range ctnetlinktest.Kinds() {
		e := tt.Entry
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
	for _, tt := range ctnetlinktest.Kinds() {
		e := tt.Entry
		if e.Status&(conntrack.SourceNAT|conntrack.DestNAT) != 0 {
			continue
		}
		e.Labels, e.Helper, e.Proxy = [16]byte{3: 4}, "ftp", conntrack.Proxy{ISN: 1, ITS: 2, Offset: 3}
		var parser ctnetlink.Parser
		var m ctnetlink.Message
		if parser.Load(ctnetlink.AppendCreate(nil, 8, &e, time.Minute)); !parser.Next(&m) || m.Kind != ctnetlink.New ||
			m.Entry != e || m.TimeLeft != time.Minute || m.Request != 8 || !m.HasLabels {
			t.Errorf("%s: got\n%+v, want\n%+v", tt.Name, m, e)
		}
	}
}

func TestNothingIsAllocatedPerMessage(t *testing.T) {
	kinds := ctnetlinktest.Kinds()
	var batch []byte
	for _, tt := range kinds {
		e := tt.Entry
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
		if n != len(kinds) {
			t.Fatalf("%d messages", n)
		}
		buf = buf[:0]
		for i := range kinds {
			buf = ctnetlink.AppendCreate(buf, 1, &kinds[i].Entry, time.Minute)
		}
	}
	run()
	if n := testing.AllocsPerRun(10, run); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
