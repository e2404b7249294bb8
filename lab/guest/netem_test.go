package guest

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// halves are those of the addresses that nobody answers: each is sent through a
// director of its own, where both are active.
var halves = []netip.Prefix{netip.MustParsePrefix("198.18.0.0/16"), netip.MustParsePrefix("198.19.0.0/16")}

// A sync link that loses, repeats and reorders.
var bad = []string{"delay", "10ms", "8ms", "loss", "5%", "duplicate", "5%", "reorder", "10%"}

// impair makes the sync link of every director a bad one, in both directions.
func (f *fleet) impair(t testing.TB, options ...string) {
	t.Helper()
	for _, d := range f.Directors {
		f.Impair(t, d, director.SyncLink, options...)
	}
}

// segmentsPerSecond is what a guest that has not much of a processor passes on.
const segmentsPerSecond = 3000

// segments sends a segment from each of count clients of each of the prefixes,
// all at once, and fails the test where one cannot.
func (f *fleet) segments(t testing.TB, flags traffic.Flags, to netip.AddrPort, count int, from ...netip.Prefix) {
	t.Helper()
	errs := make(chan error)
	for _, sources := range from {
		s := traffic.Segments{Sources: sources, To: to, Flags: flags, Count: count, PerSecond: segmentsPerSecond / len(from)}
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
	total := 10000
	if inFull() {
		total = 100000
	}
	f := newFleet(t, 2, 2)
	f.joinAll(t)
	service := f.flooded(t, 8000)
	sticky := f.AddService(t, director.Service{Method: director.DR, Persistence: 5 * time.Minute}, 8001)
	f.Divide(t, halves...)
	f.impair(t, bad...)

	const persistent = 200 // of each half, and as many templates
	each := total / len(halves)
	began := time.Now()
	f.segments(t, traffic.ACK, service.Virtual, each, halves...)
	// Some close, one way or the other.
	f.segments(t, traffic.FIN|traffic.ACK, service.Virtual, each/4, halves...)
	f.segments(t, traffic.RST, service.Virtual, each/8, halves...)
	f.segments(t, traffic.ACK, sticky, persistent, part(halves[0], 7), part(halves[1], 7))
	made := time.Since(began)
	n := sameTables(t, 30*time.Second, f.Directors...)
	t.Logf("%d connections in %v, alike %v later", n, made, time.Since(began)-made)
	nearly(t, n, total+2*2*persistent)
	for i, daemon := range f.daemons {
		counts := daemon.Counters(t)
		if counts["peering.sent_again"] == 0 || counts["peering.sent_nacks"] == 0 {
			t.Errorf("%s lost nothing: %v", f.Directors[i].Name, counts)
		}
	}
}

// part returns one of the eight parts of a half.
func part(half netip.Prefix, n int) netip.Prefix {
	a := half.Masked().Addr().As4()
	a[2] = byte(n << 5)
	return netip.PrefixFrom(netip.AddrFrom4(a), half.Bits()+3)
}

// Two directors that do not hear each other for three seconds, both active, go
// on opening, closing and changing connections, their own ones and each other's.
// Then they have the same again.
func TestPartition(t *testing.T) {
	t.Run("of three seconds", func(t *testing.T) { partitioned(t, 500, 3*time.Second) })
	if inFull() {
		t.Run("until peers are lost", func(t *testing.T) { partitioned(t, 2000, 8*time.Second) })
	}
}

func partitioned(t *testing.T, each int, partition time.Duration) {
	f := newFleet(t, 2, 2)
	a, b := f.Directors[0], f.Directors[1]
	f.joinAll(t)
	service := f.flooded(t, 8000)
	f.Divide(t, halves...)
	of := func(n int) []netip.Prefix { return []netip.Prefix{part(halves[0], n), part(halves[1], n)} }

	for n := range 5 {
		f.segments(t, traffic.ACK, service.Virtual, each, of(n)...)
	}
	nearly(t, sameTables(t, 20*time.Second, a, b), 2*5*each)
	// Nobody takes another's word on a connection that had packets just now.
	time.Sleep(localHold)

	began := time.Now()
	f.CutSync(t, a)
	f.segments(t, traffic.FIN|traffic.ACK, service.Virtual, each, of(1)...)
	f.segments(t, traffic.RST, service.Virtual, each, of(2)...)
	f.segments(t, traffic.ACK, service.Virtual, each, of(5)...)
	f.Route(t, 0, b)
	f.Route(t, 1, a)
	f.segments(t, traffic.FIN|traffic.ACK, service.Virtual, each, of(3)...)
	f.segments(t, traffic.ACK, service.Virtual, each, of(6)...)
	difference := compareTables(holdings(t, a), holdings(t, b), time.Now())
	if difference.missing < each || difference.extra < each || difference.differing < 2*each {
		t.Errorf("the partition makes no difference: %v", difference)
	}
	time.Sleep(time.Until(began.Add(partition)))
	f.RestoreSync(t, a)
	t.Logf("they did not hear each other for %v", time.Since(began))
	healed := time.Now()
	n := sameTables(t, 30*time.Second, a, b)
	t.Logf("%d connections, alike %v after the partition healed", n, time.Since(healed))
	nearly(t, n, 2*7*each)
}

// nearly fails the test where connections are missing on all directors: a guest
// may drop a segment on its way, and not a tenth of them.
func nearly(t testing.TB, n, want int) {
	t.Helper()
	if n > want || n < want*9/10 {
		t.Errorf("%d connections, want %d", n, want)
	}
}

// localHold is net.ipv4.vs's, a parameter of the module: how long a director
// sticks to what its own packets say.
const localHold = 3 * time.Second

// A link whose frames come three seconds late, beside one that loses many:
// no connection turns back to a state that it had before.
func TestLateLink(t *testing.T) {
	const (
		each = 1500
		late = 3 * time.Second
	)
	loadModules(t, "sch_netem")
	f := newFleet(t, 2, 2)
	f.AddSyncSegment(t)
	f.links = []string{director.SyncLink, topology.SecondSyncLink}
	a, b := f.Directors[0], f.Directors[1]
	f.joinAll(t)
	service := f.flooded(t, 8000)
	f.impair(t, "loss", "20%")
	for _, d := range f.Directors {
		f.Impair(t, d, topology.SecondSyncLink, "delay", late.String())
	}

	watch := watchStates(t, b)
	f.segments(t, traffic.ACK, service.Virtual, each, halves[0])
	time.Sleep(time.Second)
	f.segments(t, traffic.FIN|traffic.ACK, service.Virtual, each, halves[0])
	time.Sleep(time.Second)
	f.segments(t, traffic.RST, service.Virtual, each/2, halves[0])
	time.Sleep(late + 500*time.Millisecond)
	watch.stop()
	if n := sameTables(t, 10*time.Second, a, b); n < each/2 {
		t.Errorf("%d connections, want %d", n, each/2)
	}
	counts := f.daemons[1].Counters(t)
	if counts["peering.duplicate_frames"] == 0 || counts["peering.sent_nacks"] == 0 {
		t.Errorf("nothing came twice, or nothing was lost: %v", counts)
	}
	for state := range order {
		if watch.seen[state] == 0 {
			t.Errorf("B was never seen with a connection in state %v", state)
		}
	}
	t.Logf("%d looks at B, %v", watch.looks, watch.seen)
}

// order is how far states of the clients of segments are.
var order = map[ipvs.State]int{ipvs.TCPEstablished: 1, ipvs.TCPFinWait: 2, ipvs.TCPClose: 3}

// A watch looks at the states of a director's connections all the time.
type watch struct {
	quit  chan struct{}
	ended sync.WaitGroup
	looks int
	seen  map[ipvs.State]int // connections
}

// watchStates begins to. A connection that turns back fails the test.
func watchStates(t testing.TB, d *director.Director) *watch {
	w := &watch{quit: make(chan struct{}), seen: make(map[ipvs.State]int)}
	known := make(map[ipvs.Key]ipvs.State)
	w.ended.Go(func() {
		back := 0
		for {
			select {
			case <-w.quit:
				if back > 0 {
					t.Errorf("%s: %d connections turned back", d.Name, back)
				}
				return
			default:
			}
			for _, c := range snapshot(t, d, false) {
				before, had := known[c.Key()]
				switch {
				case !had || order[before] < order[c.State]:
					known[c.Key()] = c.State
					w.seen[c.State]++
				case order[before] > order[c.State]:
					if back++; back <= 10 {
						t.Errorf("%s: back from state %v: %v", d.Name, before, &c)
					}
					known[c.Key()] = c.State
				}
			}
			w.looks++
		}
	})
	return w
}

func (w *watch) stop() {
	close(w.quit)
	w.ended.Wait()
}
