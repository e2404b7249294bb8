// Package inspect is what operators ask of connections: where one is, here and at
// the peers; whether the tables of two directors are equal; and that copies go.
//
// It reads tables with descriptors of its own, beside the director, which waits
// for none of this.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/ssyncp/ssyncp/internal/conntrackclass"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// Director is who knows the peers: *cluster.Director.
type Director interface {
	Status(ctx context.Context) (peering.Status, error)
	Ask(ctx context.Context, class block.Class, selector []byte, take func(block.Peer, *block.Answer)) (silent []block.Peer, err error)
	Inspect(ctx context.Context, peer block.Peer, class block.Class, take func(block.Blocks)) error
}

// Table is that of this director's IPVS connections: *ipvsclass.Table.
type Table interface {
	All(ctx context.Context) iter.Seq2[*ipvs.Conn, error]
	Matching(ctx context.Context, s *block.Selector) (found []ipvs.Conn, more bool, err error)
	Told(*ipvs.Conn) bool
}

// Tracked is that of its conntrack entries: *conntrackclass.Table.
type Tracked interface {
	All(ctx context.Context) iter.Seq2[*conntrack.Entry, error]
	Matching(ctx context.Context, s *block.Selector) (found []conntrackclass.Held, more bool, err error)
	Told(*conntrack.Entry) bool
	Flush(ctx context.Context) (*conntrackclass.Flushed, error)
}

// Parts are what an inspector works with.
type Parts struct {
	Director Director
	Table    Table
	Tracked  Tracked // nil: conntrack entries are not carried
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

// Classes are those that this director carries.
func (i *Inspector) Classes() []block.Class {
	if i.Tracked == nil {
		return []block.Class{block.ClassIPVS}
	}
	return []block.Class{block.ClassIPVS, block.ClassConntrack}
}

// Why a table is not gone over.
var (
	ErrBusy       = errors.New("inspect: tables are being compared or flushed for somebody else")
	ErrNotCarried = errors.New("inspect: this director does not carry conntrack entries (conntrack.enabled)")
	ErrPeer       = errors.New("inspect: the peer does not carry conntrack entries or cannot read them (its log says more), or its ssyncpd is older than this one")
	ErrSilent     = errors.New("inspect: the peer does not answer whether it carries conntrack entries")
)

// carried says what is against asking for a class.
func (i *Inspector) carried(class block.Class) error {
	switch {
	case class == block.ClassIPVS, class == block.ClassConntrack && i.Tracked != nil:
		return nil
	case class == block.ClassConntrack:
		return ErrNotCarried
	}
	return fmt.Errorf("inspect: class %v: %w", class, errors.ErrUnsupported)
}
