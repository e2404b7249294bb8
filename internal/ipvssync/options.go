package ipvssync

import (
	"errors"
	"time"

	"github.com/ssyncp/ssyncp/internal/counters"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// Linger is how long the kernel keeps the queue for a daemon that is started
// again.
const Linger = 10 * time.Second

// ErrMasterRunning is why capture is paused.
var ErrMasterRunning = errors.New("the in-kernel sync master runs in this network namespace: nothing is captured until it is stopped (ipvsadm --stop-daemon master)")

// Device is what is used of a chardev.Device.
type Device interface {
	Attach(chardev.AttachOptions) error
	ReadBatch(*chardev.Batch) (bool, error)
	Write(records []byte) (int, error)
	Stats(*chardev.Stats) error
	Close() error
}

// Options of a source and a sink.
type Options struct {
	Open     func() (Device, error) // opens the device anew
	SyncID   uint8                  // 1..255
	Counters *Counters
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
	Encoded Count = iota // connections put into adverts
	Adverts              // of peers, valid and of our sync ID
	Decoded              // connections in them
	Writes               // calls of the device
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
	countNames   = [countsOfSync]string{"encoded", "adverts", "decoded", "writes"}
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
