package vrrp

import "github.com/ssyncp/ssyncp/internal/counters"

// Count is what is done.
type Count int

// Counts.
const (
	Changes       Count = iota // of roles
	Announcements              // asked of the director, for a new master
	Resyncs                    // asked of the director, for a new backup
	Covered                    // resyncs that joining did
	Lines                      // of the FIFO with a role
	OtherLines                 // about groups, priorities, servers
	countsOfAll
)

// Trouble is what ought not to be.
type Trouble int

// Troubles.
const (
	UnknownLines   Trouble = iota // of the FIFO
	LongLines                     // of the FIFO
	PartialLines                  // of the FIFO, whose writer was gone
	RefusedRoles                  // with a bad name, or of too many instances
	FIFOFailed                    // opening or reading it
	AnnounceFailed                // the director did not answer
	ResyncFailed                  // the director did not answer
	Unanswered                    // the director did not say how it is
	TrackFailed                   // writing the track file
	NotHandedOver                 // it was master still when it stopped
	troublesOfAll
)

var (
	countNames   = [countsOfAll]string{"changes", "announcements", "resyncs", "resyncs_covered_by_joining", "fifo_lines", "fifo_other_lines"}
	troubleNames = [troublesOfAll]string{
		"fifo_unknown_lines", "fifo_long_lines", "fifo_partial_lines", "refused_roles", "fifo_failed", "announce_failed", "resync_failed",
		"director_unanswered", "track_file_failed", "not_handed_over",
	}
)

// Counters are those of the package.
type Counters struct {
	Counts   *counters.Set[Count]
	Troubles *counters.Set[Trouble]
}

// NewCounters returns counters at zero.
func NewCounters() Counters {
	return Counters{
		Counts:   counters.New[Count]("vrrp", countNames[:]...),
		Troubles: counters.New[Trouble]("vrrp_troubles", troubleNames[:]...),
	}
}
