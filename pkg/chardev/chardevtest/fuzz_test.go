package chardevtest_test

import (
	"errors"
	"testing"

	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/chardev/chardevtest"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// Whatever is written, what was taken are the records before the first that is
// malformed, and a snapshot has no more connections than that.
func FuzzWrite(f *testing.F) {
	c := conn(1)
	one, err := chardev.AppendRecord(nil, &c)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(one)
	f.Add(append(one, one[:len(one)-1]...))
	f.Add([]byte{8, 0, 2, 0, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		var m chardevtest.Module
		d := m.Open()
		if err := d.Attach(chardev.AttachOptions{Mode: chardev.ModeInject}); err != nil {
			t.Fatal(err)
		}
		n, err := d.Write(data)
		if (n == len(data)) != (err == nil) || n%chardev.Align != 0 {
			t.Errorf("%d of %d bytes, %v", n, len(data), err)
		}
		if err != nil && !errors.Is(err, chardev.ErrMalformed) && !errors.Is(err, chardev.ErrTooLarge) {
			t.Errorf("got %v", err)
		}
		if got := len(m.Table()); got > n/chardev.MinRecordSize {
			t.Errorf("%d connections out of %d bytes", got, n)
		}
	})
}

func BenchmarkQueueAndRead(b *testing.B) {
	var m chardevtest.Module
	d := m.Open()
	if err := d.Attach(chardev.AttachOptions{Mode: chardev.ModeCapture}); err != nil {
		b.Fatal(err)
	}
	list := conns(256)
	batch := chardev.NewBatch(chardev.DefaultBatchSize)
	var c ipvs.Conn
	for b.Loop() {
		m.Queue(list...)
		if ok, err := d.ReadBatch(batch); !ok || err != nil {
			b.Fatal(ok, err)
		}
		for batch.Next(&c) {
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(list))/b.Elapsed().Seconds(), "entries/s")
}
