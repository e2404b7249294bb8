package chardev

import (
	"iter"
	"strconv"
	"strings"
	"time"
)

// Counter is one of the module's counters. They count one network namespace,
// since the module was loaded.
type Counter int

// Counters, in the order of the module.
const (
	// capture
	CounterQueued         Counter = iota // connections put into the queue
	CounterReadCalls                     //
	CounterReadRecords                   // connection records read
	CounterWakeups                       // watermark or event
	CounterSkippedClosing                // closed before it was ever told
	CounterSkippedPersist                // sync_persist_mode: template only
	CounterDroppedNew                    // creation, queue over half full
	CounterDroppedFull                   // anything else, queue full: lost
	CounterDroppedFault                  // the reader's buffer faulted: lost
	CounterDroppedDrained                // queued when the reader went away
	CounterLostEvents
	CounterMasterEvents
	// snapshot
	CounterSnapshots
	CounterSnapshotRecords
	CounterSnapshotRestarts // the table moved under the cursor
	// inject
	CounterWriteCalls
	CounterWriteMalformed // batches ended by broken framing
	CounterCreated
	CounterUpdated
	CounterReplaced // created where another dest was known
	CounterClamped  // timeout over max_timeout
	CounterUnbound  // created without a real server
	// CounterRefused + Reason counts the refusals of that reason.
	CounterRefused
	Counters = CounterRefused + Counter(Reasons) // how many there are
)

var counterNames = [CounterRefused]string{
	CounterQueued:           "queued",
	CounterReadCalls:        "read_calls",
	CounterReadRecords:      "read_records",
	CounterWakeups:          "wakeups",
	CounterSkippedClosing:   "skipped_closing",
	CounterSkippedPersist:   "skipped_persist",
	CounterDroppedNew:       "dropped_new",
	CounterDroppedFull:      "dropped_full",
	CounterDroppedFault:     "dropped_fault",
	CounterDroppedDrained:   "dropped_drained",
	CounterLostEvents:       "lost_events",
	CounterMasterEvents:     "master_events",
	CounterSnapshots:        "snapshots",
	CounterSnapshotRecords:  "snapshot_records",
	CounterSnapshotRestarts: "snapshot_restarts",
	CounterWriteCalls:       "write_calls",
	CounterWriteMalformed:   "write_malformed",
	CounterCreated:          "created",
	CounterUpdated:          "updated",
	CounterReplaced:         "replaced",
	CounterClamped:          "clamped",
	CounterUnbound:          "unbound",
}

// String returns the name in snake_case, as in the module's enumeration:
// "dropped_new", "refused_stale".
func (c Counter) String() string {
	switch {
	case c >= 0 && c < CounterRefused:
		return counterNames[c]
	case c >= CounterRefused && c < Counters:
		return "refused_" + Reason(c-CounterRefused).String()
	}
	return "counter " + strconv.Itoa(int(c))
}

// State is what the module is doing in this network namespace.
type State uint32

// Bits of [State].
const (
	StateCapturing     State = 0x01 // a capture reader is attached
	StateLingering     State = 0x02 // its queue waits for the next one
	StateMasterRunning State = 0x04 // the in-kernel sync master runs
	StateInterposed    State = 0x08 // the module's hooks are in place
	StateBuried        State = 0x10 // somebody hooked on top of them
)

func (s State) String() string { return bitNames(uint32(s), stateNames[:]) }

// All returns every bit by its name, and whether it is set.
func (s State) All() iter.Seq2[string, bool] { return allBits(uint32(s), stateNames[:]) }

// Missing is what the module could not resolve in ip_vs.
type Missing uint32

// Bits of [Missing].
const (
	MissingFindDest    Missing = 0x01
	MissingTryBindDest Missing = 0x02
	MissingCtInGet     Missing = 0x04
	MissingPEGetByName Missing = 0x08
	MissingConnSeqNext Missing = 0x10
	MissingFillCPort   Missing = 0x20
	MissingConnListen  Missing = 0x40
	MissingServiceFind Missing = 0x80
)

func (m Missing) String() string { return bitNames(uint32(m), missingNames[:]) }

// All returns every bit by its name, and whether it is set.
func (m Missing) All() iter.Seq2[string, bool] { return allBits(uint32(m), missingNames[:]) }

// Names of the bits, from the lowest.
var (
	eventNames   = [...]string{"lost", "master_running", "master_stopped"}
	stateNames   = [...]string{"capturing", "lingering", "master_running", "interposed", "buried"}
	missingNames = [...]string{"find_dest", "try_bind_dest", "ct_in_get", "pe_getbyname", "conn_seq_next", "fill_cport", "conn_listen", "service_find"}
)

func allBits(bits uint32, names []string) iter.Seq2[string, bool] {
	return func(yield func(string, bool) bool) {
		for i, name := range names {
			if !yield(name, bits&(1<<i) != 0) {
				return
			}
		}
	}
}

// bitNames joins the names of the bits that are set by commas; it is "none"
// for 0, and bits without a name are shown in hexadecimal.
func bitNames(bits uint32, names []string) string {
	if bits == 0 {
		return "none"
	}
	var set []string
	for i, name := range names {
		if bits&(1<<i) != 0 {
			set = append(set, name)
			bits &^= 1 << i
		}
	}
	if bits != 0 {
		set = append(set, "0x"+strconv.FormatUint(uint64(bits), 16))
	}
	return strings.Join(set, ",")
}

// Stats are the module's statistics for one network namespace.
type Stats struct {
	ABIVersion uint32
	State      State
	Missing    Missing
	QueueLen   uint32 // how many connections the queue can hold
	ConnCount  uint32 // connections in this namespace's table
	// ShortestTimeout is the shortest one that an established or half-closed
	// connection can have here, to the millisecond (ipvsadm --set changes
	// it). See [AttachOptions.Due].
	ShortestTimeout time.Duration
	Counters        [Counters]uint64
}

// Refused returns how many records were refused for a reason.
func (s *Stats) Refused(r Reason) uint64 { return s.Counters[CounterRefused+Counter(r)] }

// All returns every counter with its value, in the order of the module.
func (s *Stats) All() iter.Seq2[Counter, uint64] {
	return func(yield func(Counter, uint64) bool) {
		for c := range Counters {
			if !yield(c, s.Counters[c]) {
				return
			}
		}
	}
}
