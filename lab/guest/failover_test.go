package guest

import (
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
)

// Streams that were open through director A for two periods go on through
// director B, to the same real servers, whatever the forwarding method.
func TestFailover(t *testing.T) {
	for _, method := range director.Methods {
		t.Run(method.String(), func(t *testing.T) {
			const (
				streams = 200
				port    = 8000
			)
			director.LoadModule(t)
			lab := topology.New(t, 2, 2)
			serve(t, lab, "tcp", port)
			virtual := lab.AddService(t, director.Service{Method: method}, port)
			a, b := lab.Directors[0], lab.Directors[1]
			daemon := a.StartDaemon(t, director.Config{})
			b.StartDaemon(t, director.Config{})

			open, err := traffic.Client{Namespace: lab.Client}.OpenMany(streams, 2*time.Second, virtual)
			if err != nil {
				t.Fatal(err)
			}
			defer traffic.CloseAll(open)
			// Half of them say something, the others are idle.
			if r := traffic.Exchange(open[:streams/2], 5*time.Second); len(r.Lost) > 0 {
				t.Fatalf("before the cut: %d streams lost: %v", len(r.Lost), r.Errors[0])
			}
			time.Sleep(2 * director.DefaultPeriod)

			lab.Cut(t, a)
			daemon.Kill(t)
			lab.Activate(t, b)

			r := traffic.Exchange(open, 5*time.Second)
			if len(r.Lost) > 0 {
				t.Errorf("%d of %d streams lost, the first: %v", len(r.Lost), streams, r.Errors[0])
			}
			known := b.ByClient(t)
			for _, s := range r.Survived {
				if c := known[s.Local()]; c.State != "ESTABLISHED" {
					t.Fatalf("director B has %+v for %v, which survived", c, s.Local())
				}
			}
		})
	}
}
