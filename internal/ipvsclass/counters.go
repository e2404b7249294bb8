package ipvsclass

import (
	"errors"

	"github.com/ssyncp/ssyncp/internal/counters"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
)

// Count is what is counted of what goes well.
type Count int

// Counts.
const (
	Encoded  Count = iota // connections put into bodies: news and walks
	Bodies                // with connections in them
	Decoded               // connections of peers
	Writes                // calls of the device
	Filtered              // connections that are not to be sent
	Retried               // connections of peers that were handed over once more
	countsOfClass
)

// Skip is why a connection was not sent.
type Skip int

// Reasons for a Skip.
const (
	SkipOnePacket Skip = iota
	SkipFamily
	SkipState
	SkipPersistenceEngine
	SkipOther
	SkipMalformed // records of the module that could not be read
	skips
)

// Refusal is why a frame of a peer was not looked into, or a connection in it
// not handed to the kernel, or is missing there. What else the kernel refuses,
// it counts itself.
type Refusal int

// Reasons for a Refusal: the first ones are of frames.
const (
	RefusedTruncated Refusal = iota
	RefusedIndex
	RefusedVarint
	RefusedReserved
	RefusedFwmark
	RefusedFields
	RefusedCount
	RefusedOther

	RefusedUnknownField
	RefusedDuplicateField
	RefusedPersistenceEngine
	RefusedRecord    // connections that the device has no record for
	RefusedMalformed // records that the module did not understand
	RefusedDevice    // records that a failing device did not take
	RefusedMissing   // there is no such service or real server here, see [Objects.Missing]
	RefusedWithheld  // connections in use here for which there was no room until another try
	refusals
)

// Counters outlive the objects: those that are opened again go on counting.
type Counters struct {
	Counts  *counters.Set[Count]
	Skipped *counters.Set[Skip]
	Refused *counters.Set[Refusal]
}

var (
	countNames   = [countsOfClass]string{"encoded", "bodies", "decoded", "writes", "filtered", "retried"}
	skipNames    = [skips]string{"one_packet", "family", "state", "persistence_engine", "other", "malformed_record"}
	refusalNames = [refusals]string{
		"truncated", "index", "varint", "reserved", "fwmark", "fields", "count", "other",
		"unknown_field", "duplicate_field", "persistence_engine", "no_record", "malformed_record", "device", "missing", "withheld",
	}
)

// NewCounters returns counters that are zero.
func NewCounters() *Counters {
	return &Counters{
		Counts:  counters.New[Count]("ipvs_entries", countNames[:]...),
		Skipped: counters.New[Skip]("ipvs_entries_not_sent", skipNames[:]...),
		Refused: counters.New[Refusal]("ipvs_entries_refused", refusalNames[:]...),
	}
}

// skipped returns the counter of an error of entry.Encoder.Append.
func skipped(err error) Skip {
	switch {
	case errors.Is(err, entry.ErrOnePacket):
		return SkipOnePacket
	case errors.Is(err, entry.ErrFamily):
		return SkipFamily
	case errors.Is(err, entry.ErrState):
		return SkipState
	case errors.Is(err, entry.ErrPE):
		return SkipPersistenceEngine
	}
	return SkipOther
}

var decodeErrors = []struct {
	err     error
	refusal Refusal
}{
	{entry.ErrTruncated, RefusedTruncated},
	{entry.ErrIndex, RefusedIndex},
	{entry.ErrVarint, RefusedVarint},
	{entry.ErrReserved, RefusedReserved},
	{entry.ErrFwmark, RefusedFwmark},
	{entry.ErrFields, RefusedFields},
	{entry.ErrCount, RefusedCount},
}

// refused returns the counter of an error of entry.Decoder.Reset.
func refused(err error) Refusal {
	for _, d := range decodeErrors {
		if errors.Is(err, d.err) {
			return d.refusal
		}
	}
	return RefusedOther
}
