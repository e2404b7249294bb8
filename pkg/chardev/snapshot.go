package chardev

import (
	"context"
	"iter"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// BatchReader is a device to read batches from: a [*Device] or a stand-in.
type BatchReader interface {
	ReadBatch(*Batch) (bool, error)
}

// Snapshot returns every connection of a device attached in [ModeSnapshot], to
// its end. The connection is the same variable each time: copy what is to be
// kept. An error ends it; ctx is looked at between two reads.
func Snapshot(ctx context.Context, dev BatchReader, batch *Batch) iter.Seq2[*ipvs.Conn, error] {
	return func(yield func(*ipvs.Conn, error) bool) {}
}
