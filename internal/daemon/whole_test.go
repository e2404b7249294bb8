package daemon_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/netnstest"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

// streamsOf returns the entries of TCP streams through a firewall, without what
// is each director's own.
func streamsOf(t *testing.T, ns *netnstest.Namespace) map[string]held {
	t.Helper()
	const alive = conntrack.SeenReply | conntrack.Assured | conntrack.Confirmed | conntrack.SourceNAT | conntrack.DestNAT
	table := make(map[string]held)
	for _, m := range newTracking(t, ns).table() {
		e := &m.Entry
		if e.Protocol != conntrack.TCP || e.Original.Destination.Addr().String() != serverAddress || e.Status&conntrack.Assured == 0 {
			continue
		}
		h := held{as: fmt.Sprintf("%s, status %x, mark %d, reply %v, scales %v", conntrack.States(e.Protocol)[e.State], e.Status&alive, e.Mark, e.Reply, e.TCP.Scale)}
		// What is alive has packets that nobody is told of.
		if e.State != conntrack.TCPEstablished {
			h.ends = time.Now().Add(m.TimeLeft)
		}
		table[e.Original.Source.String()] = h
	}
	return table
}

// sameStreams waits until two firewalls have the same streams, of which there are
// at least so many, in the same states.
func sameStreams(t *testing.T, a, b *netnstest.Namespace, atLeast int) {
	t.Helper()
	var inA map[string]held
	var different []string
	for began := time.Now(); time.Since(began) < patience; time.Sleep(100 * time.Millisecond) {
		var inB map[string]held
		inA, inB = streamsOf(t, a), streamsOf(t, b)
		if different = notAlike(inA, inB); len(different) == 0 {
			break
		}
		for i, key := range different {
			different[i] = fmt.Sprintf("%s: %+v, and %+v", key, inA[key], inB[key])
		}
	}
	if len(different) > 0 {
		t.Errorf("of %d streams %d are not the same on both:\n%s", len(inA), len(different), strings.Join(different[:min(len(different), 10)], "\n"))
	}
	if len(inA) < atLeast {
		t.Errorf("%d streams, want %d at least", len(inA), atLeast)
	}
}

// churn opens streams all the time, which say something, live for a while, and
// are closed, until it is stopped.
type churn struct {
	quit   chan struct{}
	ended  sync.WaitGroup
	opened atomic.Int64
}

const (
	churnEvery = 10 * time.Millisecond
	// churnLife is more than two periods: what is over sooner is told to nobody.
	churnLife = 400 * time.Millisecond
)

func (f *firewalls) churn(t *testing.T) *churn {
	t.Helper()
	c := &churn{quit: make(chan struct{})}
	dial := make(chan net.Conn)
	c.ended.Go(func() {
		defer close(dial)
		f.client.Do(t, func() {
			for {
				select {
				case <-c.quit:
					return
				case <-time.After(churnEvery):
				}
				conn, err := net.DialTimeout("tcp", serverAddress+":7", 5*time.Second)
				if err != nil {
					t.Errorf("churn: %v", err)
					return
				}
				c.opened.Add(1)
				dial <- conn
			}
		})
	})
	c.ended.Go(func() {
		for conn := range dial {
			c.ended.Go(func() {
				defer conn.Close()
				if survivors([]net.Conn{conn}, patience) != 1 {
					t.Error("churn: a stream broke")
				}
				time.Sleep(churnLife)
			})
		}
	})
	t.Cleanup(c.stop)
	return c
}

// stop waits until all of them are closed.
func (c *churn) stop() {
	select {
	case <-c.quit:
	default:
		close(c.quit)
	}
	c.ended.Wait()
}

// A pair of firewalls has the same entries, and no stream is lost with one of
// them, whatever the link between them does, and whenever the other one came.
func TestFirewallsHaveTheSameStreams(t *testing.T) {
	const n = 200
	for _, tt := range []struct {
		name  string
		busy  bool // streams come and go
		joins bool // the second firewall starts in the middle of that
		// happen does to them what the test is about, and returns streams that it
		// opened.
		happen func(t *testing.T, l *badLink, f *firewalls, old []net.Conn) (more []net.Conn)
		shows  func(t *testing.T, l *badLink, d [2]*director)
	}{
		{
			name: "over a link that loses, repeats and reorders", busy: true,
			happen: func(t *testing.T, l *badLink, f *firewalls, _ []net.Conn) []net.Conn {
				l.bad.Store(true)
				more := f.streams(t, n)
				time.Sleep(3 * time.Second)
				return more
			},
			shows: func(t *testing.T, l *badLink, d [2]*director) {
				if l.lost.Load() == 0 || l.repeated.Load() == 0 || l.late.Load() == 0 {
					t.Errorf("%d frames were lost, %d repeated, %d late", l.lost.Load(), l.repeated.Load(), l.late.Load())
				}
				again := 0
				for _, director := range d {
					again += director.counters()["peering sent_again"]
				}
				if again == 0 {
					t.Error("nothing was sent again")
				}
			},
		},
		{
			name: "that do not hear each other for three seconds, and are both in use",
			happen: func(t *testing.T, l *badLink, f *firewalls, old []net.Conn) []net.Conn {
				time.Sleep(4 * time.Second) // nobody takes another's word on what had packets just now
				l.cut.Store(true)
				began := time.Now()
				more := f.streams(t, n)
				closeAll(old[:n/4])
				f.route(t, 1)
				if alive := survivors(old[n/4:], patience); alive != len(old)-n/4 {
					t.Errorf("%d of %d go on through the other one", alive, len(old)-n/4)
				}
				closeAll(old[n/4 : n/2])
				more = append(more, f.streams(t, n)...)
				if len(notAlike(streamsOf(t, f.ways[0]), streamsOf(t, f.ways[1]))) < 2*n {
					t.Error("that they do not hear each other makes no difference")
				}
				time.Sleep(time.Until(began.Add(3 * time.Second)))
				l.cut.Store(false)
				return more
			},
		},
		{
			name: "of which one joins while streams come and go", busy: true, joins: true,
			happen: func(_ *testing.T, _ *badLink, _ *firewalls, _ []net.Conn) []net.Conn { return nil },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newBadLink(t)
			f := newFirewallsAt(t, l.a, l.b)
			key := newKey(t)
			begin := func(i int) *director { return start2(t, f.ways[i], i+1, key, "--conntrack-enabled=true") }
			d := [2]*director{begin(0)}
			if !tt.joins {
				d[1] = begin(1)
				d[0].with(1)
				d[1].with(1).synced()
			}
			d[0].synced()
			f.echo(t)
			old := f.streams(t, n)
			var c *churn
			if tt.busy {
				c = f.churn(t)
			}
			if tt.joins {
				time.Sleep(time.Second)
				d[1] = begin(1).with(1).synced()
				time.Sleep(time.Second)
			}
			more := tt.happen(t, l, f, old)
			if c != nil {
				c.stop()
				t.Logf("%d streams came and went", c.opened.Load())
			}
			sameStreams(t, f.ways[0], f.ways[1], len(old)+len(more))
			if tt.shows != nil {
				tt.shows(t, l, d)
			}
			rest := append(old[n/2:], more...)
			f.powerOff(t, 0, d[0])
			f.route(t, 1)
			if alive := survivors(rest, patience); alive != len(rest) {
				t.Errorf("%d of %d streams survive", alive, len(rest))
			}
		})
	}
}

func closeAll(list []net.Conn) {
	for _, c := range list {
		c.Close()
	}
}
