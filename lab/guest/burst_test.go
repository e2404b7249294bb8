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
	const (
		flood  = 3000
		buffer = chardev.DefaultBatchSize / chardev.MinRecordSize
	)
	director.LoadModule(t)
	lab := topology.New(t, 1, 1)
	a := lab.Directors[0]
	service := lab.AddService(t, director.Service{Method: director.NAT}, 80)
	serve(t, lab, "tcp", 80)
	device := capture(t, a)

	if err := traffic.Flood(lab.Client, topology.Flood, service, flood, 0); err != nil {
		t.Fatal(err)
	}
	// A slow machine's network may drop some on the way.
	var burst uint64
	eventually(t, 2*time.Minute, func() bool {
		before := burst
		time.Sleep(200 * time.Millisecond)
		burst = counter(t, a, chardev.CounterQueued)
		return burst > 2*buffer && burst == before
	}, "the burst is not in the queue")

	batch := chardev.NewBatch(chardev.DefaultBatchSize)
	told, reads := uint64(0), 0
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
