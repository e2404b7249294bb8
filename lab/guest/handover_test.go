package guest

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/traffic"
)

// A daemon that is stopped on the master goes on to tell what begins there until
// the other director is master: nothing of that is lost when it is.
func TestDaemonThatIsStoppedHandsOver(t *testing.T) {
	// busy is what telling takes in a guest that has to wait for its processors.
	const busy = time.Second
	p := newPair(t)
	p.boot(t)
	a := arrive(traffic.Client{Namespace: p.Client, Patience: pairPatience}, p.virtual)
	time.Sleep(time.Second)

	stops := time.Now()
	p.daemons[0].Stop(t)
	p.keepalived[1].Becomes(t, "MASTER")
	handed := time.Now()
	time.Sleep(busy)
	a.end()
	between := 0
	for _, stream := range a.streams {
		switch began := stream.from; {
		case began.After(handed.Add(-twoPeriods - busy)):
			continue
		case began.After(stops):
			between++
		}
		if stream.err != nil {
			t.Errorf("%.1f s after the stop: %v", stream.from.Sub(stops).Seconds(), stream)
		}
	}
	t.Logf("%.1f s until lb2 was master, %d streams that began before that, %d in all", handed.Sub(stops).Seconds(), between, len(a.streams))
	if between < 5 {
		t.Error("hardly a stream began between the stop and the other master")
	}
}

// arrivals are streams that begin at a steady rate and go on, with something to
// say all the time.
type arrivals struct {
	stop    chan struct{}
	all     sync.WaitGroup
	mu      sync.Mutex
	streams []loss // err is nil: it is none
}

func arrive(c traffic.Client, virtual netip.AddrPort) *arrivals {
	const every = 100 * time.Millisecond
	a := &arrivals{stop: make(chan struct{})}
	a.all.Go(func() {
		next := time.NewTicker(every)
		defer next.Stop()
		for id := 0; ; id++ {
			select {
			case <-a.stop:
				return
			case <-next.C:
				a.all.Go(func() { a.live(c, id, virtual) })
			}
		}
	})
	return a
}

func (a *arrivals) live(c traffic.Client, id int, virtual netip.AddrPort) {
	const pause = 100 * time.Millisecond
	l := loss{from: time.Now()}
	var stream *traffic.Stream
	if stream, l.err = c.Open(id, virtual); l.err == nil {
		defer stream.Close()
		l.opened, l.from = true, stream.Established
	}
	for ends := false; !ends && l.err == nil; {
		select {
		case <-a.stop:
			ends = true
		case <-time.After(pause):
		}
		l.err = stream.ExchangeWithin(pairPatience)
	}
	l.to = time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.streams = append(a.streams, l)
}

// end has every stream answer once more.
func (a *arrivals) end() {
	close(a.stop)
	a.all.Wait()
}
