package guest

import (
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
)

// halves are those of the addresses that nobody answers: each is sent through a
// director of its own, where both are active.
var halves = []netip.Prefix{netip.MustParsePrefix("198.18.0.0/16"), netip.MustParsePrefix("198.19.0.0/16")}

// A sync link that loses, repeats and reorders.
var bad = []string{"delay", "10ms", "8ms", "loss", "5%", "duplicate", "5%", "reorder", "10%"}

// crowdSize is how many connections a test makes in all: `make test` takes a
// size that does not keep it long, `make lab-cluster` the real one.
func crowdSize(t testing.TB, usual int) int {
	t.Helper()
	text := os.Getenv("CONNECTIONS")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// impair makes the sync link of every director a bad one, in both directions.
func (f *fleet) impair(t testing.TB, options ...string) {
	t.Helper()
	for _, d := range f.Directors {
		f.Impair(t, d, director.SyncLink, options...)
	}
}

// segments sends segments of count clients of each half, all at once, and fails
// the test where one cannot.
func (f *fleet) segments(t testing.TB, flags traffic.Flags, to netip.AddrPort, count, perSecond int, from ...netip.Prefix) {
	t.Helper()
	errs := make(chan error)
	for _, sources := range from {
		s := traffic.Segments{Sources: sources, To: to, Flags: flags, Count: count, PerSecond: perSecond}
		go func() { errs <- s.Send(f.Client) }()
	}
	for range from {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

// What the network loses, repeats and reorders leaves no trace: two directors,
// both active, have the same connections, in the same states.
func TestLoss(t *testing.T) {
	loadModules(t, "sch_netem")
	total := crowdSize(t, 10000)
	f := newFleet(t, 2, 2)
	f.joinAll(t)
	service := f.flooded(t, 8000)
	f.Divide(t, halves...)
	f.impair(t, bad...)

	each := total / len(halves)
	began := time.Now()
	f.segments(t, traffic.ACK, service.Virtual, each, 0, halves...)
	// Some close, one way or the other.
	f.segments(t, traffic.FIN|traffic.ACK, service.Virtual, each/4, 0, halves...)
	f.segments(t, traffic.RST, service.Virtual, each/8, 0, halves...)
	made := time.Since(began)
	n := alike(t, 30*time.Second, f.Directors...)
	t.Logf("%d connections in %v, alike %v later", n, made, time.Since(began)-made)
	if n < total*9/10 {
		t.Errorf("%d connections, want %d", n, total)
	}
	for i, daemon := range f.daemons {
		counts := daemon.Counters(t)
		if counts["peering.sent_again"] == 0 || counts["peering.sent_nacks"] == 0 {
			t.Errorf("%s lost nothing: %v", f.Directors[i].Name, counts)
		}
		t.Logf("%s: %v", f.Directors[i].Name, counts)
	}
}

var _ = topology.Flood
