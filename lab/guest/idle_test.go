package guest

import (
	"strconv"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/traffic"
)

// A stream that says something now and then never expires on director A; so it
// must not on director B, where no packet of it is ever seen.
func TestIdleStreamIsKeptAlive(t *testing.T) {
	const (
		port    = 8000
		timeout = 12 * time.Second
		late    = timeout - 2*time.Second
	)
	habits := []struct {
		name  string
		waits []time.Duration // before each exchange
	}{
		{"speaks at short intervals", []time.Duration{timeout / 3, timeout / 3, timeout / 3, timeout / 3, timeout / 3}},
		{"speaks just before the timeout", []time.Duration{late, late}},
		// The second packet is no news of its own, but A counts the timeout from it.
		{"speaks again soon, and then just before the timeout", []time.Duration{timeout / 4, late}},
	}

	c := newCluster(t, 2, 2)
	a, b := c.Directors[0], c.Directors[1]
	for _, d := range c.Directors {
		seconds := strconv.Itoa(int(timeout / time.Second))
		d.IPVSAdm(t, "--set", seconds, seconds, seconds)
	}
	type speaker struct {
		*traffic.Stream
		name   string
		waits  []time.Duration
		spoke  time.Time
		missed bool // by director B
	}
	var speakers []*speaker
	for _, network := range []string{"tcp", "udp"} {
		serve(t, c.Topology, network, port)
		virtual := c.AddService(t, director.Service{Protocol: network, Method: director.NAT}, port)
		for _, habit := range habits {
			s := &speaker{name: network + " stream that " + habit.name, waits: habit.waits, spoke: time.Now()}
			s.Stream = open(t, traffic.Client{Namespace: c.Client, Network: network}, virtual)
			speakers = append(speakers, s)
		}
	}

	c.told(t)
	for listening := true; listening; time.Sleep(100 * time.Millisecond) {
		listening = false
		onA, onB := a.ByClient(t), b.ByClient(t)
		for _, s := range speakers {
			wait := timeout / 3 // one that is through goes on until all are
			if len(s.waits) > 0 {
				wait, listening = s.waits[0], true
			}
			silent := time.Since(s.spoke).Round(time.Millisecond)
			owned, onA := onA[s.Local()]
			_, onB := onB[s.Local()]
			if !onA {
				t.Fatalf("%s: forgotten by director A after %v: the test came too late", s.name, silent)
			}
			if !onB && !s.missed {
				s.missed = true
				t.Errorf("%s: no copy on director B after %v of silence, where A has %v left", s.name, silent, owned.Expires)
			}
			if silent >= wait {
				exchange(t, s.Stream)
				s.spoke, s.waits = time.Now(), s.waits[min(1, len(s.waits)):]
			}
		}
	}
	c.told(t)
	c.failOver(t, 0, 1)
	for _, s := range speakers {
		if err := s.Exchange(); err != nil {
			t.Errorf("%s: through director B: %v", s.name, err)
		}
	}
}
