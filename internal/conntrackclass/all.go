package conntrackclass

import (
	"context"
	"errors"
	"iter"

	"github.com/ssyncp/ssyncp/internal/ctnetlink"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

// All returns every entry of the network namespace of the calling thread, the
// same variable each time, with timeouts and ages as this class tells them of
// what is not a copy; settings is "" for [Settings]. An error comes last, with a
// nil entry; ctx is looked at before each read.
func All(ctx context.Context, settings string) iter.Seq2[*conntrack.Entry, error] {
	return func(yield func(*conntrack.Entry, error) bool) {
		if settings == "" {
			settings = Settings
		}
		var t timeouts
		if err := t.load(settings); err != nil {
			yield(nil, err)
			return
		}
		table, err := ctnetlink.Open()
		if err != nil {
			yield(nil, err)
			return
		}
		defer table.Close()
		if err := table.Dump(); err != nil {
			yield(nil, err)
			return
		}
		var parser ctnetlink.Parser
		var m ctnetlink.Message
		for {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			p, err := table.Receive()
			if errors.Is(err, ctnetlink.ErrNothing) {
				err = ctnetlink.ErrNoEnd
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for parser.Load(p); parser.Next(&m); {
				switch m.Kind {
				case ctnetlink.Changed:
					t.put(&m.Entry, m.TimeLeft)
					if !yield(&m.Entry, nil) {
						return
					}
				case ctnetlink.Done, ctnetlink.Failed:
					if m.Errno != 0 {
						yield(nil, m.Errno)
					}
					return
				}
			}
		}
	}
}
