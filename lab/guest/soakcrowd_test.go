package guest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/netns"
	"github.com/ssyncp/ssyncp/lab/traffic"
)

// A population are the streams of a soak: residents that stay to the end, and
// visitors that come at a steady rate and leave after a while.
type population struct {
	client  traffic.Client
	virtual netip.AddrPort
	random  *rand.Rand    // of the goroutine that brings visitors
	leaving chan struct{} // for visitors
	ending  chan struct{} // for residents
	once    sync.Once
	away    sync.WaitGroup // visitors, and who brings them
	all     sync.WaitGroup

	mu      sync.Mutex
	here    map[*inhabitant]struct{}
	stays   int
	visits  int
	losses  []loss
	left    map[netip.AddrPort]string // what became of who had an address last
	witness func(client netip.AddrPort) string
	talking atomic.Int64 // exchanges
}

// An inhabitant is a stream that was opened.
type inhabitant struct {
	*traffic.Stream
	local  netip.AddrPort
	before string // what became of who had its address before
	gone   atomic.Bool
}

func (i *inhabitant) lives() bool { return !i.gone.Load() }

// A loss is a stream that ended before it should, or could not be opened.
type loss struct {
	resident bool
	opened   bool
	from, to time.Time // it was established, or began to be opened; and that it failed was known
	err      error
	known    string // of its connection: what directors had, and who had its address before
}

func (l loss) String() string {
	what := "could not be opened"
	if l.opened {
		what = fmt.Sprintf("lost %.1f s after it was established", l.to.Sub(l.from).Seconds())
	}
	return fmt.Sprintf("%s: %v%s", what, l.err, l.known)
}

// settleDown starts visitors. Of one that is lost, the witness is asked what
// directors have of it.
func settleDown(n *netns.Namespace, virtual netip.AddrPort, seed uint64, witness func(netip.AddrPort) string) *population {
	p := &population{
		client: traffic.Client{Namespace: n, Patience: soakAnswer}, virtual: virtual,
		random: rand.New(rand.NewPCG(seed, 1)), leaving: make(chan struct{}), ending: make(chan struct{}),
		here: make(map[*inhabitant]struct{}), left: make(map[netip.AddrPort]string), witness: witness,
	}
	p.away.Go(func() {
		next := time.NewTicker(time.Second / soakArrivals)
		defer next.Stop()
		for id := 0; ; id++ {
			select {
			case <-p.leaving:
				return
			case <-next.C:
				limit, pause := p.manner()
				p.away.Go(func() { p.live(id, limit, pause, p.leaving, false) })
			}
		}
	})
	return p
}

// manner is how a visitor behaves: how long it stays, and how long it is silent
// in between. Most say one thing and leave.
func (p *population) manner() (limit, pause time.Duration) {
	switch n := p.random.IntN(10); {
	case n < 6:
		return 0, 0
	case n < 9:
		return time.Second + time.Duration(p.random.Int64N(int64(15*time.Second))), time.Second
	default:
		return 20*time.Second + time.Duration(p.random.Int64N(int64(100*time.Second))), 5 * time.Second
	}
}

// residentPauses are how long residents are silent, in turn. The longest is
// longer than what anybody else on the way remembers an idle stream for.
var residentPauses = []time.Duration{time.Second, 3 * time.Second, 15 * time.Second, 90 * time.Second}

// stay opens streams that stay to the end, and returns when they are open.
func (p *population) stay(t *testing.T, n int) {
	t.Helper()
	for range n {
		p.mu.Lock()
		id := p.stays
		p.stays++
		p.mu.Unlock()
		open := make(chan struct{})
		p.all.Go(func() {
			s := p.open(id, true)
			close(open)
			if s != nil {
				p.goOn(s, 1000*time.Hour, residentPauses[id%len(residentPauses)], p.ending, true)
			}
		})
		<-open
	}
}

// live opens a stream and uses it until its time is over.
func (p *population) live(id int, limit, pause time.Duration, leave <-chan struct{}, resident bool) {
	if s := p.open(id, resident); s != nil {
		p.goOn(s, limit, pause, leave, resident)
	}
}

func (p *population) open(id int, resident bool) *inhabitant {
	began := time.Now()
	stream, err := p.client.Open(id, p.virtual)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !resident {
		p.visits++
	}
	if err != nil {
		p.losses = append(p.losses, loss{resident: resident, from: began, to: time.Now(), err: err})
		return nil
	}
	i := &inhabitant{Stream: stream, local: stream.Local()}
	i.before = p.left[i.local]
	p.here[i] = struct{}{}
	return i
}

// closes is how many visitors come on one that closes its stream in order.
const closes = 8

func (p *population) goOn(i *inhabitant, limit, pause time.Duration, leave <-chan struct{}, resident bool) {
	defer func() {
		// IPVS remembers a connection that was closed for two minutes, and one
		// that was reset for ten seconds: tables shall be steady soon.
		if i.ID%closes == 0 {
			i.Close()
		} else {
			i.Reset()
		}
	}()
	var lost error
	for end := i.Established.Add(limit); lost == nil; {
		lost = i.ExchangeWithin(soakAnswer)
		p.talking.Add(1)
		if lost != nil || time.Now().After(end) {
			break
		}
		select {
		case <-leave:
			// What is idle has to answer once more.
			if resident {
				lost = i.ExchangeWithin(soakAnswer)
			}
			end = time.Time{}
		case <-time.After(pause):
			continue
		}
		break
	}
	i.gone.Store(true)
	known := ""
	if lost != nil {
		known = p.witness(i.local)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.here, i)
	p.left[i.local] = fmt.Sprintf("stream %d left at %s", i.ID, time.Now().Format(precise))
	if lost != nil {
		if i.before != "" {
			known += "; before, " + i.before
		}
		p.losses = append(p.losses, loss{resident, true, i.Established, time.Now(), lost, known})
	}
}

// known returns the streams that were established at a moment, or before it, and
// are open.
func (p *population) known(at time.Time) (due []*inhabitant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.here {
		if !i.Established.After(at) {
			due = append(due, i)
		}
	}
	return due
}

func (p *population) residents() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stays
}

// close has the visitors leave and every resident answer once more.
func (p *population) close() {
	p.once.Do(func() {
		close(p.leaving)
		p.away.Wait()
		close(p.ending)
		p.all.Wait()
	})
}

const precise = "15:04:05.000"

// account fails the test for each loss that has no excuse: a stream may be lost
// that began within two periods before a director was not there any more, or until
// another one was in its place. A resident never may: all was well when it came.
func (p *population) account(t *testing.T, u *unrest) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	lost, unopened := 0, 0
	for _, l := range p.losses {
		until := l.from
		if !l.opened {
			until = l.to
		}
		switch {
		case l.resident || !u.overlaps(l.from, until):
			t.Errorf("%v: %v", l.from.Format(precise), l)
		case l.opened:
			lost++
			t.Logf("excused: %v: %v", l.from.Format(precise), l)
		default:
			unopened++
			t.Logf("excused: %v: %v", l.from.Format(precise), l)
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	t.Logf("%d streams that stayed, %d others, %d exchanges; of those that began as a director went, %d were lost and %d could not be opened; the guest was late by %v in all",
		p.stays, p.visits, p.talking.Load(), lost, unopened, u.late.Round(time.Millisecond))
}

// An unrest are the times when a stream that begins may be lost.
type unrest struct {
	mu    sync.Mutex
	times [][2]time.Time
	late  time.Duration // of these, for as long the guest had no processor
}

func (u *unrest) add(from, to time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.times = append(u.times, [2]time.Time{from, to})
}

// overlaps reports whether any of it was between two moments.
func (u *unrest) overlaps(from, to time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, time := range u.times {
		if !to.Before(time[0]) && !from.After(time[1]) {
			return true
		}
	}
	return false
}

// pace takes it for unrest when the guest does not get its processor for a period:
// what daemons have to do in two of them they cannot.
func (u *unrest) pace(quit <-chan struct{}) {
	const look = director.DefaultPeriod / 4
	for last := time.Now(); ; {
		select {
		case <-quit:
			return
		case <-time.After(look):
		}
		now := time.Now()
		if late := now.Sub(last) - look; late > director.DefaultPeriod {
			u.add(last.Add(-twoPeriods), now.Add(twoPeriods))
			u.mu.Lock()
			u.late += late
			u.mu.Unlock()
		}
		last = now
	}
}

// A change of masters is seen a little after it happened, and the clients' and
// servers' ARP tables learn of it a little later.
const (
	lookAtVRRP = 100 * time.Millisecond
	seenWithin = 500 * time.Millisecond
	learnt     = time.Second
)

// follow takes the changes of masters for unrest, for as long as keepalived runs.
func (u *unrest) follow(k *director.Keepalived) {
	for before := k.State(); k.Running(); time.Sleep(lookAtVRRP) {
		if now := k.State(); now != before {
			u.add(time.Now().Add(-twoPeriods-seenWithin), time.Now().Add(learnt))
			before = now
		}
	}
}
