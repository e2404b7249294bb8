// Package inspect is what operators ask of connections: where one is, here and at
// the peers; whether the tables of two directors are equal; and that copies go.
//
// It reads tables with descriptors of its own, beside the director, which waits
// for none of this.
package inspect

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// Director is who knows the peers: *cluster.Director.
type Director interface {
	Status(ctx context.Context) (peering.Status, error)
	Ask(ctx context.Context, class block.Class, selector []byte, take func(block.Peer, *block.Answer)) (silent []block.Peer, err error)
	Inspect(ctx context.Context, peer block.Peer, class block.Class, take func(block.Blocks)) error
}

// Table is that of this director: *ipvsclass.Table.
type Table interface {
	All(ctx context.Context) iter.Seq2[*ipvs.Conn, error]
	Matching(ctx context.Context, s *block.Selector) (found []ipvs.Conn, more bool, err error)
	Told(*ipvs.Conn) bool
}

// Parts are what an inspector works with.
type Parts struct {
	Director Director
	Table    Table
	Device   ipvsdevice.Opener
	Period   func() time.Duration // between two looks for news
}

// Inspector answers. It is safe for concurrent use.
type Inspector struct {
	Parts
	long sync.Mutex // held by what goes over whole tables
}

// New returns an inspector.
func New(p Parts) *Inspector { return &Inspector{Parts: p} }

// ErrBusy says that a whole table is being gone over for somebody else.
var ErrBusy = errors.New("inspect: tables are being compared or flushed for somebody else")
