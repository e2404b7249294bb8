package guest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/traffic"
)

// Streams are opened through director A until, at a random instant, its power
// goes. Each that was established two periods before goes on through director
// B, to the same real server, whatever the forwarding method.
func TestFailover(t *testing.T) {
	const (
		port      = 8000
		perSecond = 60
		streams   = 180         // open when the cut may come
		opening   = time.Second // no stream takes longer to open
	)
	for _, method := range director.Methods {
		t.Run(method.String(), func(t *testing.T) {
			c := newCluster(t, 2, 2)
			serve(t, c.Topology, "tcp", port)
			virtual := c.AddService(t, director.Service{Method: method}, port)

			crowd := gather(traffic.Client{Namespace: c.Client}, virtual, perSecond)
			eventually(t, 30*time.Second, func() bool { return crowd.size() >= streams },
				"the crowd is not there yet")
			time.Sleep(rand.N(time.Second))
			off := c.failOver(t, 0, 1)
			members := crowd.disperse()
			defer leave(members)

			var due []*traffic.Stream
			for _, m := range members {
				switch {
				case m.Stream == nil:
					if off.Sub(m.began) > opening {
						t.Errorf("begun %v before the cut and never open: %v", off.Sub(m.began), m.err)
					}
				case off.Sub(m.Established) < twoPeriods:
					// It may have been too young to be known elsewhere.
				case m.err != nil:
					t.Errorf("established %v before the cut, lost: %v", off.Sub(m.Established), m.err)
				default:
					due = append(due, m.Stream)
				}
			}
			if len(due) < streams/2 {
				t.Errorf("%d streams were established in time for the cut, want %d", len(due), streams/2)
			}
			r := traffic.Exchange(due, crowdPatience)
			for i, s := range r.Lost {
				t.Errorf("established %v before the cut, lost: %v", off.Sub(s.Established), r.Errors[i])
			}
			known := c.Directors[1].ByClient(t)
			for _, s := range r.Survived {
				if k := known[s.Local()]; k.State != "ESTABLISHED" {
					t.Errorf("director B has %+v for %v, which survived", k, s.Local())
				}
			}
			t.Logf("%d streams, %d of them established two periods before the cut: %d survived",
				len(members), len(due), len(r.Survived))
		})
	}
}
