package guest

import (
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/traffic"
)

// A flow of datagrams, which nothing but the director's table holds together,
// stays with its real server.
func TestUDPFailover(t *testing.T) {
	const (
		port  = 5300
		flows = 41 // odd: a scheduler that merely went on would change sides
	)
	for _, method := range director.Methods {
		t.Run(method.String(), func(t *testing.T) {
			c := newCluster(t, 2, 2)
			serve(t, c.Topology, "udp", port)
			virtual := c.AddService(t, director.Service{Protocol: "udp", Method: method}, port)

			client := traffic.Client{Namespace: c.Client, Network: "udp"}
			open, err := client.OpenMany(flows, time.Second, virtual)
			if err != nil {
				t.Fatal(err)
			}
			defer traffic.CloseAll(open)
			c.told(t)
			c.failOver(t, 0, 1)

			r := traffic.Exchange(open, crowdPatience)
			for _, err := range r.Errors {
				t.Error(err)
			}
		})
	}
}
