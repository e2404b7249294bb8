package peering

import (
	"errors"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// Why a table of a peer is not read.
var (
	ErrBusy    = errors.New("peering: another snapshot is being taken")
	ErrJoining = errors.New("peering: this director is joining")
	ErrNoPeer  = errors.New("peering: this peer is not there")
	ErrPeer    = errors.New("peering: the snapshot of the peer did not come to its end")
	ErrRefused = errors.New("peering: the peer refuses a snapshot: it serves others, or is joining")
)

// Inspection reads the table of a peer, and applies nothing of it: it is a
// snapshot that is handed to somebody else than the sink.
type Inspection struct {
	take func(block.Blocks)
	done func(error)
}

// Inspect begins to take a snapshot of everything that a peer has of these
// classes. take is called with the blocks of each chunk, which are valid during
// the call, and done once, at its end. What is wanted for synchronization waits
// meanwhile, as it does for another snapshot; an inspection never waits, but
// fails: it is the caller's to try again.
func (n *Node) Inspect(now time.Time, peer block.Peer, classes block.Classes, take func(block.Blocks), done func(error)) (*Inspection, error) {
	p := n.peers.index[peer]
	switch {
	case p == nil || !p.live():
		return nil, ErrNoPeer
	case n.join.phase != joined:
		return nil, ErrJoining
	case n.transfer.donor != nil:
		return nil, ErrBusy
	}
	i := &Inspection{take, done}
	n.request(now, p, transfer{classes: classes, inspection: i})
	n.counters.Counts.Add(Inspections, 1)
	return i, nil
}

// StopInspecting ends an inspection, if it is the one that is under way. Its
// done is not called any more.
func (n *Node) StopInspecting(now time.Time, i *Inspection) {
	if n.transfer.inspection == i {
		n.transfer = transfer{}
		n.wake(now)
	}
}

// inspected hands over how it ended.
func (n *Node) inspected(now time.Time, t *transfer, err error) {
	n.wake(now)
	switch err {
	case nil:
	case errRefused:
		err = ErrRefused
	default:
		err = ErrPeer
	}
	t.inspection.done(err)
}
