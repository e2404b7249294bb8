package guest

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/traffic"
)

// Three directors forward at once, each what a third of the clients send. Any of
// them loses its power: another one goes on with its streams. It comes back and
// gets them back, when it is synced.
func TestAnyOfThreeActiveDirectorsMayDie(t *testing.T) {
	const (
		port    = 8000
		streams = 20 // of each third
	)
	thirds := []netip.Prefix{
		netip.MustParsePrefix("10.4.0.0/18"), netip.MustParsePrefix("10.4.64.0/18"), netip.MustParsePrefix("10.4.128.0/18"),
	}
	f := newFleet(t, 3, 2)
	f.joinAll(t)
	serve(t, f.Topology, "tcp", port)
	virtual := f.AddService(t, director.Service{Method: director.DR}, port)
	f.Divide(t, thirds...)

	var all []*traffic.Stream
	survive := func(what string) {
		t.Helper()
		if r := traffic.Exchange(all, crowdPatience); len(r.Lost) > 0 {
			t.Fatalf("%s: %d of %d streams lost: %v", what, len(r.Lost), len(all), r.Errors[0])
		}
	}
	enlarge := func() {
		t.Helper()
		for _, third := range thirds {
			open, err := traffic.Client{Namespace: f.Client, Source: third.Addr().Next()}.OpenMany(streams, 0, virtual)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { traffic.CloseAll(open) })
			all = append(all, open...)
		}
		time.Sleep(5 * director.DefaultPeriod)
	}
	victims := []int{rand.IntN(len(f.Directors))}
	if inFull() {
		victims = []int{0, 1, 2}
	}
	for _, victim := range victims {
		enlarge()
		f.powerOff(t, victim)
		heir := (victim + 1) % len(f.Directors)
		f.Route(t, victim, f.Directors[heir])
		survive(f.Directors[victim].Name + " died")
		enlarge()

		f.Restore(t, f.Directors[victim])
		f.join(t, victim)
		f.becomes(t, victim, "synced")
		f.Route(t, victim, f.Directors[victim])
		survive(f.Directors[victim].Name + " is back")
	}
	t.Logf("%d streams, victims %v", len(all), victims)
}

// Three directors that have tables start at the same time: each of them gets what
// the two others own, once, and all are synced soon.
func TestThreeDirectorsStartAtOnce(t *testing.T) {
	each := 2000
	if inFull() {
		each = 8000
	}
	thirds := []netip.Prefix{halves[0], part(halves[1], 0), part(halves[1], 1)}
	f := newFleet(t, 3, 1)
	f.joinAll(t)
	service := f.flooded(t, 8000)
	f.Divide(t, thirds...)
	f.segments(t, traffic.ACK, service.Virtual, each, thirds...)
	total := sameTables(t, 20*time.Second, f.Directors...)
	nearly(t, total, 3*each)
	for _, daemon := range f.daemons {
		daemon.Stop(t)
	}

	took := f.joinAll(t)
	if took > syncedLimit {
		t.Errorf("synced after %v, want %v", took, syncedLimit)
	}
	if n := sameTables(t, 0, f.Directors...); n != total {
		t.Errorf("%d connections, want %d", n, total)
	}
	var entries, bytes, chunks, news uint64
	for i, daemon := range f.daemons {
		counts := daemon.Counters(t)
		entries += counts["ipvs_entries.encoded"]
		bytes += counts["cluster.sent_bytes"]
		chunks += counts["peering.sent_chunks"]
		news += counts["peering.sent_news"] + counts["peering.sent_announced"]
		if n := counts["peering.snapshots_served"]; n != 2 {
			t.Errorf("%s served %d snapshots, want 2", f.Directors[i].Name, n)
		}
	}
	if entries > uint64(2*total) {
		t.Errorf("%d entries on the wire, of tables of %d", entries, total)
	}
	t.Logf("synced after %v; %d entries told of %d, %.2f times, in %d chunks and %d other frames, %d bytes in all, %.1f for each entry",
		took, entries, total, float64(entries)/float64(total), chunks, news, bytes, float64(bytes)/float64(entries))
}
