package peering

import (
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// Status is what people are shown.
type Status struct {
	Self     block.Peer
	Name     string
	State    block.State
	Missing  int    // entries refused for lack of a service
	Sequence uint64 // of our adverts
	Taking   *PeerStatus
	Serving  int // snapshots
	Frame    int // bytes of the largest frame
	// Narrow is what probes found of links that take less than they claim:
	// bytes of the largest frame; 0: of this one they did not. While it is
	// being found out, it is the least.
	Narrow [maxLinks]int
	Peers  []PeerStatus
	// Failing are the classes whose objects cannot be used at the moment, and
	// why. The node does not know: who has the objects says so.
	Failing map[block.Class]error
}

// PeerStatus is one start of another director.
type PeerStatus struct {
	Peer     block.Peer
	Name     string
	Origin   Origin
	Proven   bool
	Lost     bool
	Twin     bool // another one with its sender ID is there, too
	Heard    time.Time
	State    block.State
	Entries  uint32
	Last     uint64              // sequence that is known of
	Missing  int                 // sequences that we wait for
	Since    time.Time           // that the one is missing that is longest; zero: none is
	Missed   uint64              // sequences that others came before, since it is known
	Repaired uint64              // of these, those that came after all
	Links    [maxLinks]time.Time // heard last on each, zero: never
	Resync   bool                // a snapshot of what it owns is going to be taken
}

// Status returns a copy.
func (n *Node) Status() Status {
	s := Status{Self: n.cfg.Self, Name: n.cfg.Name, State: n.join.state, Missing: n.join.missing, Sequence: n.sequence}
	s.Frame = n.room + n.cfg.Overhead
	for link, limit := range n.probe.limit {
		if limit > 0 && limit < n.cfg.Room {
			s.Narrow[link] = limit + n.cfg.Overhead
		}
	}
	for _, p := range n.peers.all {
		status := PeerStatus{
			Peer: p.id, Name: p.Name(), Origin: p.origin, Proven: p.proven, Lost: p.lost, Twin: p.twin,
			Heard: p.heard, State: p.state, Entries: p.entries, Last: p.gaps.top, Missing: p.gaps.missing,
			Since: p.gaps.since(), Missed: p.gaps.missed, Repaired: p.gaps.repaired,
			Resync: p.resync.wanted,
		}
		for i := range p.links {
			status.Links[i] = p.links[i].heard
		}
		s.Peers = append(s.Peers, status)
		if p == n.transfer.donor && n.transfer.inspection == nil {
			s.Taking = &status
		}
	}
	for i := range n.donor.all {
		if n.donor.all[i].peer != nil {
			s.Serving++
		}
	}
	return s
}
