package cluster

import (
	"errors"

	"github.com/ssyncp/ssyncp/internal/counters"
	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// Count is what a director does.
type Count int

// Counts of a director.
const (
	Opened      Count = iota // frames of peers that were opened
	OtherTongue              // messages of version 1, where both are spoken
	Reads                    // looks for news
	ReadEntries              //
	Paced                    // periods without a look: the pace had no room
	SentFrames               // on all links
	SentBytes                // of these frames
	Sweeps                   // walks over what is due
	SentSwept                // frames of these
	Reopened                 // links and objects
	countsOfDirector
)

// Trouble is what went wrong on this side.
type Trouble int

// Troubles of a director.
const (
	Lost          Trouble = iota // the kernel lost news: everything is announced
	LinkFailed                   //
	ObjectsFailed                //
	Unsent                       // frames: no link, or it failed
	TooLong                      // frames that a link has no room for any more
	Unapplied                    // frames of peers: the objects were not open
	SweepFailed                  //
	NoRandom                     // frames not sealed
	troublesOfDirector
)

// Refusal is why a message was not a frame of a peer.
type Refusal int

// Refusals of messages, in the order in which they are looked for.
const (
	RefusedShort Refusal = iota
	RefusedOtherVersion
	RefusedSize
	RefusedSyncIDZero
	RefusedForeignSyncID
	RefusedNotSealed // no authentication: never taken by who has a key
	RefusedSealed    // where there is no key
	RefusedSuite
	RefusedReserved
	RefusedChecksum
	RefusedKey
	RefusedSeal // forged, or damaged
	RefusedUnknownBlock
	RefusedBody
	RefusedBlock
	RefusedOther
	refusals
)

// Counters of a director, those of its node included. They outlive links,
// objects and nodes.
type Counters struct {
	Counts   *counters.Set[Count]
	Troubles *counters.Set[Trouble]
	Refused  *counters.Set[Refusal]
	Peering  peering.Counters
}

var (
	countNames = [countsOfDirector]string{
		"opened_frames", "version_1", "reads", "read_entries", "paced", "sent_frames", "sent_bytes", "sweeps", "sent_swept", "reopened",
	}
	troubleNames = [troublesOfDirector]string{
		"lost", "link_failed", "objects_failed", "unsent", "too_long", "unapplied", "sweep_failed", "no_random",
	}
	refusalNames = [refusals]string{
		"short", "other_version", "size", "sync_id_zero", "foreign_sync_id", "not_sealed", "sealed", "suite",
		"reserved", "checksum", "key", "seal", "unknown_block", "body", "block", "other",
	}
)

func newCounters() Counters {
	return Counters{
		Counts:   counters.New[Count]("cluster", countNames[:]...),
		Troubles: counters.New[Trouble]("cluster_trouble", troubleNames[:]...),
		Refused:  counters.New[Refusal]("cluster_refused", refusalNames[:]...),
		Peering:  peering.NewCounters(),
	}
}

// Groups returns the counters, group by group.
func (c *Counters) Groups() []counters.Group {
	return append([]counters.Group{c.Counts, c.Peering.Counts}, c.Bad()...)
}

// Bad returns the groups that ought to stay where they are.
func (c *Counters) Bad() []counters.Group {
	return []counters.Group{c.Troubles, c.Refused, c.Peering.Troubles}
}

// openErrors are what Opener.Open and block.Parse return.
var openErrors = []struct {
	err     error
	refusal Refusal
}{
	{frame.ErrSeal, RefusedSeal},
	{frame.ErrKey, RefusedKey},
	{frame.ErrNotSealed, RefusedNotSealed},
	{frame.ErrVersion, RefusedOtherVersion},
	{frame.ErrShort, RefusedShort},
	{frame.ErrSize, RefusedSize},
	{frame.ErrSyncIDZero, RefusedSyncIDZero},
	{frame.ErrForeignSyncID, RefusedForeignSyncID},
	{frame.ErrSealed, RefusedSealed},
	{frame.ErrSuite, RefusedSuite},
	{frame.ErrReserved, RefusedReserved},
	{frame.ErrChecksum, RefusedChecksum},
	{block.ErrUnknownBlock, RefusedUnknownBlock},
	{block.ErrBody, RefusedBody},
	{block.ErrBlock, RefusedBlock},
}

// refusal returns the counter of an error.
func refusal(err error) Refusal {
	for _, e := range openErrors {
		if errors.Is(err, e.err) {
			return e.refusal
		}
	}
	return RefusedOther
}
