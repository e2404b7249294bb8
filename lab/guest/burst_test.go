package guest

import (
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// More new connections between two reads than a buffer holds: who reads again
// for as long as the buffer was full, as the daemon does, has all of them, and
// is left behind with none.
func TestBurst(t *testing.T) {
	const burst = 3000 // some four buffers
	director.LoadModule(t)
	lab := topology.New(t, 1, 1)
	a := lab.Directors[0]
	service := lab.AddService(t, director.Service{Method: director.NAT}, 80)
	serve(t, lab, "tcp", 80)
	device := capture(t, a)

	if err := traffic.Flood(lab.Client, topology.Flood, service, burst, 0); err != nil {
		t.Fatal(err)
	}
	eventually(t, 2*time.Minute, func() bool {
		return counter(t, a, chardev.CounterQueued) >= burst
	}, "not all of the burst is in the queue")

	batch := chardev.NewBatch(chardev.DefaultBatchSize)
	told, reads := 0, 0
	for full := true; full; full = batch.Full() {
		some, err := device.ReadBatch(batch)
		if err != nil {
			t.Fatal(err)
		}
		if !some {
			break
		}
		reads++
		for c := new(ipvs.Conn); batch.Next(c); {
			told++
		}
		if err := batch.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if told != burst {
		t.Errorf("%d told of %d in %d reads", told, burst, reads)
	}
	if news := readNews(t, device); len(news) != 0 {
		t.Errorf("%d more were left behind", len(news))
	}
}
