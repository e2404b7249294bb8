package chardev

import "strconv"

// Reason is why the module refused a record.
type Reason uint32

// Reasons, in the order of the module.
const (
	RefusedStale      Reason = iota // older than what is known here
	RefusedLocalHold                // local packets a moment ago
	RefusedExpired                  // age >= timeout: dead already
	RefusedConflict                 // closing news of a replaced connection
	RefusedFamily                   // address family unknown or not built in
	RefusedProtocol                 // IPVS does not know it
	RefusedState                    // out of the protocol's range
	RefusedFlags                    // one packet; no client port; method
	RefusedPE                       // persistence engine not loaded
	RefusedNoDest                   // no such real server here (yet)
	RefusedTableFull                // max_conns reached
	RefusedNoMemory                 // for a new connection
	RefusedUnresolved               // needs a helper that is missing
	Reasons                         // how many there are
)

var reasonNames = [Reasons]string{
	RefusedStale:      "stale",
	RefusedLocalHold:  "local_hold",
	RefusedExpired:    "expired",
	RefusedConflict:   "conflict",
	RefusedFamily:     "family",
	RefusedProtocol:   "protocol",
	RefusedState:      "state",
	RefusedFlags:      "flags",
	RefusedPE:         "pe",
	RefusedNoDest:     "no_dest",
	RefusedTableFull:  "table_full",
	RefusedNoMemory:   "no_memory",
	RefusedUnresolved: "unresolved",
}

func (r Reason) String() string {
	if r < Reasons {
		return reasonNames[r]
	}
	return "reason " + strconv.FormatUint(uint64(r), 10)
}

// Refusal is a record of the last write that was not applied.
type Refusal struct {
	Index  uint32 // of the record in the batch, from 0
	Reason Reason
}
