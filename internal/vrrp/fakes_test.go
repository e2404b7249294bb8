package vrrp

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// director plays a *cluster.Director.
type director struct {
	mu                 sync.Mutex
	status             peering.Status
	err                error
	hangs              bool // it does not answer in time
	announces, resyncs int
}

func (d *director) do(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func (d *director) become(s block.State) {
	d.do(func() { d.status.State = s })
}

func (d *director) answer(ctx context.Context) error {
	d.mu.Lock()
	hangs, err := d.hangs, d.err
	d.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

func (d *director) Status(ctx context.Context) (peering.Status, error) {
	if err := d.answer(ctx); err != nil {
		return peering.Status{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.status, nil
}

func (d *director) Announce(ctx context.Context) error {
	err := d.answer(ctx)
	if err == nil {
		d.do(func() { d.announces++ })
	}
	return err
}

func (d *director) Resync(ctx context.Context, sender uint32) (asked int, err error) {
	if err = d.answer(ctx); err == nil && sender == 0 {
		d.do(func() { d.resyncs++ })
	}
	return 1, err
}

// did expects so many announcements and resyncs so far.
func (d *director) did(t *testing.T, announces, resyncs int) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.announces != announces || d.resyncs != resyncs {
		t.Errorf("%d announcements and %d resyncs, want %d and %d", d.announces, d.resyncs, announces, resyncs)
	}
}

// output is a log that can be read while it is written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func logger() (*slog.Logger, *output) {
	o := new(output)
	return slog.New(slog.NewTextHandler(o, nil)), o
}
