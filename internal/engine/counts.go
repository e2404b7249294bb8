package engine

import "github.com/ssyncp/ssyncp/internal/counters"

// Count is what the engine does.
type Count int

// Counts of the engine.
const (
	Sessions       Count = iota // opened
	Reads                       // of news, one system call each
	ReadEntries                 // objects read
	SentAdverts                 // news and snapshots
	SentBytes                   //
	SentSnapshot                // of the adverts, those of snapshots
	SentSweep                   // and those of sweeps
	Paced                       // waits for max_pps
	Snapshots                   // begun, of everything that is owned
	Sweeps                      // begun: snapshots of what is due
	AppliedBatches              // of adverts, handed to the sink
	counts
)

// Trouble is what went wrong.
type Trouble int

// Troubles of the engine.
const (
	Lost            Trouble = iota // times that news was lost
	Unsent                         // adverts that were not sent: the link failed, or time was up
	SnapshotsFailed                // ended by an error
	SweepsFailed                   //
	troubles
)

// Counters of an engine.
type Counters struct {
	Counts   *counters.Set[Count]
	Troubles *counters.Set[Trouble]
}

var (
	countNames = [counts]string{
		"sessions", "reads", "read_entries", "sent_adverts", "sent_bytes", "sent_snapshot", "sent_sweep",
		"paced", "snapshots", "sweeps", "applied_batches",
	}
	troubleNames = [troubles]string{"lost", "unsent_adverts", "snapshots_failed", "sweeps_failed"}
)

func newCounters() Counters {
	return Counters{
		Counts:   counters.New[Count]("engine", countNames[:]...),
		Troubles: counters.New[Trouble]("engine_trouble", troubleNames[:]...),
	}
}
