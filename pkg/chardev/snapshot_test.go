package chardev_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// script is a device that returns one batch after the other, then an error.
type script struct {
	batches [][]byte // nil: nothing there
	end     error
	reads   int
}

func (s *script) ReadBatch(b *chardev.Batch) (bool, error) {
	s.reads++
	if s.reads > len(s.batches) {
		b.Load(nil)
		return false, s.end
	}
	p := s.batches[s.reads-1]
	b.Load(p)
	return p != nil, nil
}

func TestSnapshotEndsWithItsDeviceOrWithAnError(t *testing.T) {
	one := records(t, established())
	broken := errors.New("broken")
	for _, tt := range []struct {
		name  string
		dev   script
		conns int
		want  error
	}{
		{"empty", script{end: io.EOF}, 0, nil},
		{"two batches", script{batches: [][]byte{one, append(one, one...)}, end: io.EOF}, 3, nil},
		{"an error of the device", script{batches: [][]byte{one}, end: broken}, 1, broken},
		{"a malformed record", script{batches: [][]byte{append(one, one[:7]...)}, end: io.EOF}, 1, chardev.ErrMalformed},
		{"a device that is no snapshot", script{batches: [][]byte{nil}, end: io.EOF}, 0, chardev.ErrNoEnd},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := 0
			var last error
			for c, err := range chardev.Snapshot(t.Context(), &tt.dev, chardev.NewBatch(0)) {
				if last != nil {
					t.Error("it goes on after an error")
				}
				if last = err; err != nil {
					continue
				}
				if n++; c.Client != established().Client {
					t.Errorf("got %v", c)
				}
			}
			if n != tt.conns || !errors.Is(last, tt.want) {
				t.Errorf("%d connections, %v; want %d, %v", n, last, tt.conns, tt.want)
			}
		})
	}
}

func TestSnapshotStopsBetweenReadsWhenItsContextEnds(t *testing.T) {
	one := records(t, established())
	dev := script{batches: [][]byte{append(one, one...), one}, end: io.EOF}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	var last error
	for _, err := range chardev.Snapshot(ctx, &dev, chardev.NewBatch(0)) {
		cancel()
		if last = err; err == nil {
			n++
		}
	}
	if n != 2 || !errors.Is(last, context.Canceled) || dev.reads != 1 {
		t.Errorf("%d connections, %d reads, %v", n, dev.reads, last)
	}
}

func TestSnapshotCanBeLeftEarly(t *testing.T) {
	one := records(t, established())
	dev := script{batches: [][]byte{append(one, one...)}, end: io.EOF}
	n := 0
	for range chardev.Snapshot(t.Context(), &dev, chardev.NewBatch(0)) {
		n++
		break
	}
	if n != 1 || dev.reads != 1 {
		t.Errorf("%d connections, %d reads", n, dev.reads)
	}
}
