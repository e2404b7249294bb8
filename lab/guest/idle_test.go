package guest

import (
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
		timeout = 6 * time.Second
	)
	for _, test := range []struct {
		name  string
		waits []time.Duration // before each exchange
	}{
		{"at short intervals", []time.Duration{
			2 * time.Second, 2 * time.Second, 2 * time.Second, 2 * time.Second, 2 * time.Second,
		}},
		{"just before the timeout", []time.Duration{5 * time.Second, 5 * time.Second, 5 * time.Second}},
		// The packets after the first one of a burst are no news of their own,
		// but A counts the timeout from the last.
		{"in bursts just before the timeout", []time.Duration{
			1500 * time.Millisecond, 5 * time.Second, 1500 * time.Millisecond, 5 * time.Second,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCluster(t, 2, 2)
			a, b := c.Directors[0], c.Directors[1]
			for _, d := range c.Directors {
				d.IPVSAdm(t, "--set", "6", "3", "6")
			}
			serve(t, c.Topology, "tcp", port)
			serve(t, c.Topology, "udp", port)
			stream := open(t, traffic.Client{Namespace: c.Client},
				c.AddService(t, director.Service{Method: director.NAT}, port))
			flow := open(t, traffic.Client{Namespace: c.Client, Network: "udp"},
				c.AddService(t, director.Service{Protocol: "udp", Method: director.NAT}, port))
			time.Sleep(twoPeriods)

			began := time.Now()
			for _, wait := range test.waits {
				for until := time.Now().Add(wait); time.Now().Before(until); time.Sleep(200 * time.Millisecond) {
					onA, onB := a.ByClient(t), b.ByClient(t)
					for _, s := range []*traffic.Stream{stream, flow} {
						owned, has := onA[s.Local()]
						if !has {
							t.Fatalf("after %v director A has forgotten %v", time.Since(began), s.Local())
						}
						if _, has := onB[s.Local()]; !has {
							t.Fatalf("after %v director B has no copy of %+v", time.Since(began), owned)
						}
					}
				}
				exchange(t, stream)
				exchange(t, flow)
			}
			time.Sleep(twoPeriods)
			c.failOver(t, 0, 1)
			exchange(t, stream)
			exchange(t, flow)
		})
	}
}
