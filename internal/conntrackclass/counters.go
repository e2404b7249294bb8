package conntrackclass

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/counters"
	"github.com/ssyncp/ssyncp/pkg/wire/ctentry"
)

// Count is what is counted of what goes well.
type Count int

// Counts.
const (
	Events    Count = iota // that the kernel told
	Completed              // entries that were asked for, as the event did not say all
	Encoded                // entries put into bodies: news and walks
	Bodies                 // with entries in them
	Decoded                // entries of peers
	Created                // copies
	Updated                // copies
	Ended                  // copies, because their connection did at its owner
	Claimed                // copies that had packets here
	Filtered               // entries that are not to be sent
	Stale                  // peers' entries that are not fresher than what is known here
	Local                  // of connections that had packets here just now
	Expired                // of which no time is left
	Retried                // of connections that had packets here just before
	countsOfClass
)

// Skip is why an entry was not sent.
type Skip int

// Reasons for a Skip.
const (
	SkipHandshake Skip = iota // not established yet
	SkipBrief                 // over before it was told of
	SkipGone                  // when it was asked for
	SkipProtocol
	SkipIPVS
	SkipOther
	skips
)

// Refusal is why a frame of a peer was not looked into, or an entry in it is
// not in the kernel.
type Refusal int

// Reasons for a Refusal: the first ones are of frames.
const (
	RefusedTruncated Refusal = iota
	RefusedIndex
	RefusedVarint
	RefusedReserved
	RefusedZone
	RefusedFields
	RefusedCount
	RefusedOther

	RefusedUnknownField
	RefusedDuplicateField
	RefusedField
	RefusedProtocol
	RefusedClash     // another connection has its reply
	RefusedNoNAT     // the kernel cannot translate, or has no such helper
	RefusedTableFull // the kernel's
	RefusedKernel    // for another reason
	RefusedWithheld  // had packets here just now, and there was no room until another try
	refusals
)

// Trouble is what is lost or cannot be.
type Trouble int

// Troubles.
const (
	Overrun      Trouble = iota // the socket was full: events were lost
	CopiesFull                  // copies that pass for this director's own
	WithoutExtra                // copies without their helper or labels, which the kernel refused
	troubles
)

// Counters outlive the objects: those that are opened again go on counting.
type Counters struct {
	Counts   *counters.Set[Count]
	Skipped  *counters.Set[Skip]
	Refused  *counters.Set[Refusal]
	Troubles *counters.Set[Trouble]
}

// NewCounters returns counters that are zero.
func NewCounters() *Counters {
	countNames := [countsOfClass]string{
		"events", "completed", "encoded", "bodies", "decoded", "created", "updated", "ended", "claimed", "filtered", "stale", "local", "expired", "retried",
	}
	skipNames := [skips]string{"handshake", "brief", "gone", "protocol", "ipvs", "other"}
	refusalNames := [refusals]string{
		"truncated", "index", "varint", "reserved", "zone", "fields", "count", "other",
		"unknown_field", "duplicate_field", "field", "protocol", "clash", "no_nat", "table_full", "kernel", "withheld",
	}
	troubleNames := [troubles]string{"overrun", "copies_full", "without_extra"}
	return &Counters{
		Counts:   counters.New[Count]("conntrack_entries", countNames[:]...),
		Skipped:  counters.New[Skip]("conntrack_entries_not_sent", skipNames[:]...),
		Refused:  counters.New[Refusal]("conntrack_entries_refused", refusalNames[:]...),
		Troubles: counters.New[Trouble]("conntrack_troubles", troubleNames[:]...),
	}
}

// refused returns the counter of an error of ctentry.Decoder.Reset.
func refused(err error) Refusal {
	for _, d := range [...]struct {
		err     error
		refusal Refusal
	}{
		{ctentry.ErrTruncated, RefusedTruncated},
		{ctentry.ErrIndex, RefusedIndex},
		{ctentry.ErrVarint, RefusedVarint},
		{ctentry.ErrReserved, RefusedReserved},
		{ctentry.ErrZone, RefusedZone},
		{ctentry.ErrFields, RefusedFields},
		{ctentry.ErrCount, RefusedCount},
	} {
		if errors.Is(err, d.err) {
			return d.refusal
		}
	}
	return RefusedOther
}

// refusedByKernel returns the counter of what the kernel says.
func refusedByKernel(errno unix.Errno) Refusal {
	switch errno {
	case unix.EEXIST:
		return RefusedClash
	case unix.EOPNOTSUPP:
		return RefusedNoNAT
	case unix.ENOMEM:
		return RefusedTableFull
	}
	return RefusedKernel
}
