package peering

import (
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// Kind is what happened.
type Kind int

// Kinds of events.
const (
	PeerProven         Kind = iota // a peer is there, and what it sends is fresh
	PeerLost                       // it fell silent
	PeerBack                       // it is heard again
	PeerRestarted                  // a later start of it is there instead
	PeerForgotten                  // it was silent for so long that it is a new one when it comes back
	LinkSilent                     // a peer is heard, but on this link (Origin.Link) no more
	LinkBack                       // it is again
	TwinPeers                      // two live starts of one sender ID
	TwinOfOurs                     // another director has our sender ID
	ClonedWhileRunning             // and our start ID: this machine was cloned; start anew

	StateChanged       // from joining to synced, for example
	JoinedWithoutDonor // synced, but nobody that could have given a snapshot did
	GapsGivenUp        // what a peer sent is lost: a snapshot of what it owns follows

	SnapshotBegun // of a peer
	SnapshotDone
	SnapshotFailed

	ServingBegun // a snapshot to a peer
	ServingDone
	ServingFailedEvent

	AnnouncingFailedEvent // reading what this director owns

	MTUTooSmall // a link (Origin.Link) does not take what it claims, to a peer; Room is what it does
	MTUBack     // it does again
)

var kindNames = [...]string{
	PeerProven:            "peer is there",
	PeerLost:              "peer is lost",
	PeerBack:              "peer is back",
	PeerRestarted:         "peer was restarted",
	PeerForgotten:         "peer is forgotten",
	LinkSilent:            "link is silent",
	LinkBack:              "link is back",
	TwinPeers:             "two directors have one sender ID",
	TwinOfOurs:            "another director has our sender ID",
	ClonedWhileRunning:    "another director has our sender ID and start ID",
	StateChanged:          "state changed",
	JoinedWithoutDonor:    "no donor gave a snapshot",
	GapsGivenUp:           "adverts are lost, asking for a snapshot",
	SnapshotBegun:         "taking a snapshot",
	SnapshotDone:          "took a snapshot",
	SnapshotFailed:        "snapshot failed",
	ServingBegun:          "serving a snapshot",
	ServingDone:           "served a snapshot",
	ServingFailedEvent:    "serving a snapshot failed",
	AnnouncingFailedEvent: "reading what this director owns failed",
	MTUTooSmall:           "a link loses full-size frames",
	MTUBack:               "a link takes full-size frames again",
}

// String returns it in words.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return "unknown event"
	}
	return kindNames[k]
}

// Event is something to log. What does not belong to its kind is zero.
type Event struct {
	Kind   Kind
	Peer   block.Peer
	Name   string // what it calls itself
	Origin Origin // where it was heard last

	Other       block.Peer // the twin
	OtherName   string
	OtherOrigin Origin

	From, To block.State
	Missing  int // entries refused for lack of a service
	Chunks   uint32
	Took     time.Duration
	Room     int // bytes of a body
	Err      error
}

// event begins one about a peer, or about none.
func (n *Node) event(k Kind, p *peer) Event {
	e := Event{Kind: k}
	if p != nil {
		e.Peer, e.Name, e.Origin = p.id, p.Name(), p.origin
	}
	return e
}

func (n *Node) tell(k Kind, p *peer) { n.Observer.Event(n.event(k, p)) }
