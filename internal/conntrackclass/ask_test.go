package conntrackclass

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/ssyncp/ssyncp/internal/ctnetlink"
	"github.com/ssyncp/ssyncp/internal/netnstest"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

// Whoever asks next must not take answers for its own that were left behind.
func TestAnswersThatDidNotFitAreNotThoseOfTheNext(t *testing.T) {
	var o *Objects
	var err error
	netnstest.New(t).Do(t, func() { o, err = Open(Options{Counters: NewCounters()}) })
	if errors.Is(err, ctnetlink.ErrNotSupported) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	e := conntrack.Entry{Protocol: conntrack.UDP, Original: conntrack.Tuple{
		Source: netip.MustParseAddrPort("192.0.2.1:1"), Destination: netip.MustParseAddrPort("198.51.100.1:53"),
	}}
	var many []byte
	for range 1500 {
		many = ctnetlink.AppendGet(many, 1, &e)
	}
	if err := o.ask(many, func(*ctnetlink.Message) {}); !errors.Is(err, ctnetlink.ErrOverrun) {
		t.Fatalf("the answers to %d requests fit: %v", 1500, err)
	}
	answers := 0
	if err := o.ask(ctnetlink.AppendGet(nil, 2, &e), func(m *ctnetlink.Message) {
		if answers++; m.Request != 2 {
			t.Fatalf("an answer to request %d", m.Request)
		}
	}); err != nil || answers != 1 {
		t.Errorf("%d answers, %v", answers, err)
	}
}
