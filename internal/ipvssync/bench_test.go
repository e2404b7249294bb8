package ipvssync_test

import (
	"testing"

	"github.com/ssyncp/ssyncp/internal/engine"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice/ipvsdevicetest"
	"github.com/ssyncp/ssyncp/internal/ipvssync"
	"github.com/ssyncp/ssyncp/pkg/wire"
)

func endlessOptions(tb testing.TB, n int) ipvssync.Options {
	return ipvssync.Options{
		Open:     ipvsdevicetest.Endless(tb, conns(n, 0)),
		SyncID:   syncID,
		Counters: ipvssync.NewCounters(),
	}
}

const perBatch = 700

// sending is what happens between the read of the device and sendmmsg.
func sending(tb testing.TB) func() {
	source, err := ipvssync.OpenSource(endlessOptions(tb, perBatch))
	if err != nil {
		tb.Fatal(err)
	}
	out := engine.NewOutbox(wire.MaxSize)
	return func() {
		if r, err := source.Read(out); err != nil || r.Entries != perBatch {
			tb.Fatal(r, err)
		}
		source.Flush(out)
		out.Release(out.Len())
	}
}

// receiving is what happens between recvmmsg and the write to the device.
func receiving(tb testing.TB) func() {
	sink, err := ipvssync.OpenSink(endlessOptions(tb, 0))
	if err != nil {
		tb.Fatal(err)
	}
	adverts := encode(tb, syncID, conns(perBatch, 0))
	return func() {
		if err := sink.Apply(adverts); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestNothingIsAllocatedPerEntry(t *testing.T) {
	for name, f := range map[string]func(){"sending": sending(t), "receiving": receiving(t)} {
		f() // buffers are made once
		if n := testing.AllocsPerRun(100, f); n > 0 {
			t.Errorf("%s: %v allocations for %d connections", name, n, perBatch)
		}
	}
}

func BenchmarkSending(b *testing.B)   { benchmark(b, sending(b)) }
func BenchmarkReceiving(b *testing.B) { benchmark(b, receiving(b)) }

func benchmark(b *testing.B, f func()) {
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64(perBatch)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mentries/s")
}
