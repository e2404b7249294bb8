package chardev

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// BatchReader is a device to read batches from: a [*Device] or a stand-in.
type BatchReader interface {
	ReadBatch(*Batch) (bool, error)
}

// ErrNoEnd says that a snapshot had nothing to read before its end. The device
// is not attached in [ModeSnapshot].
var ErrNoEnd = errors.New("chardev: nothing to read before the end of a snapshot")

// Snapshot returns every connection of a device attached in [ModeSnapshot], to
// its end. The connection is the same variable each time: keep a
// [ipvs.Conn.Clone]. While the table changes a connection can come twice: see
// [ipvs.Conn.Key]. An error comes last, with a nil connection; ctx is looked at
// before each read.
func Snapshot(ctx context.Context, dev BatchReader, batch *Batch) iter.Seq2[*ipvs.Conn, error] {
	return func(yield func(*ipvs.Conn, error) bool) {
		var c ipvs.Conn
		for {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			ok, err := dev.ReadBatch(batch)
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				yield(nil, err)
				return
			case !ok:
				yield(nil, ErrNoEnd)
				return
			}
			for batch.Next(&c) {
				if !yield(&c, nil) {
					return
				}
			}
			if err := batch.Err(); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}
