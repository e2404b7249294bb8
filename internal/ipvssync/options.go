package ipvssync

import (
	"time"

	"github.com/ssyncp/ssyncp/internal/counters"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
)

// Options of a source and a sink.
type Options struct {
	Open     ipvsdevice.Opener
	SyncID   uint8         // 1..255
	Linger   time.Duration // how long the queue waits for the next daemon
	Counters *Counters
	// Bilingual says that version 2 is spoken beside: its frames are no
	// trouble.
	Bilingual bool
}

// Skip is why a connection was not sent.
type Skip int

// Reasons for a Skip.
const (
	SkipIPv6 Skip = iota
	SkipFwmarkTemplate
	SkipPersistenceEngine
	SkipOnePacket
	SkipOther     // not a connection that wire knows
	SkipMalformed // records of the module that could not be read
	skips
)

// Refusal is why an advert was not looked into, or a connection in it not
// handed to the kernel. What the kernel refuses, it counts itself.
type Refusal int

// Reasons for a Refusal.
const (
	RefusedShort Refusal = iota
	RefusedOtherVersion
	RefusedReserved
	RefusedTooLong
	RefusedSize
	RefusedSyncIDZero
	RefusedTooMany
	RefusedChecksum
	RefusedCount
	RefusedEntryReserved
	RefusedForeignSyncID // of another cluster
	RefusedOther
	RefusedRecord    // connections that the device has no record for
	RefusedMalformed // records that the module did not understand
	refusals
)

// Count is what is counted beside.
type Count int

// Counts of a source and a sink.
const (
	Encoded     Count = iota // connections put into adverts
	Adverts                  // of peers, valid and of our sync ID
	Decoded                  // connections in them
	Writes                   // calls of the device
	OtherTongue              // frames of version 2, where both are spoken
	countsOfSync
)

// Counters outlive source and sink: those that are opened again go on
// counting.
type Counters struct {
	Counts  *counters.Set[Count]
	Skipped *counters.Set[Skip]
	Refused *counters.Set[Refusal]
}

var (
	countNames   = [countsOfSync]string{"encoded", "adverts", "decoded", "writes", "version_2"}
	skipNames    = [skips]string{"ipv6", "fwmark_template", "persistence_engine", "one_packet", "other", "malformed_record"}
	refusalNames = [refusals]string{
		"short", "other_version", "reserved", "too_long", "size", "sync_id_zero", "too_many", "checksum",
		"count", "entry_reserved", "foreign_sync_id", "other", "no_record", "malformed_record",
	}
)

// NewCounters returns counters that are zero.
func NewCounters() *Counters {
	return &Counters{
		Counts:  counters.New[Count]("ipvs", countNames[:]...),
		Skipped: counters.New[Skip]("ipvs_not_sent", skipNames[:]...),
		Refused: counters.New[Refusal]("ipvs_refused", refusalNames[:]...),
	}
}
