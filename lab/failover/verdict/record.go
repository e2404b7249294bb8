package verdict

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Group is a kind of traffic: one row of the table.
type Group string

// The first three are long TCP streams, by forwarding method. A member of
// Persistent is a client address and the real server that it belongs to, a
// member of UDP a flow of datagrams.
const (
	NAT        Group = "NAT"
	DR         Group = "DR"
	TUN        Group = "TUN"
	Persistent Group = "persistent"
	UDP        Group = "UDP"
)

// Groups lists all groups in the order of the table.
func Groups() []Group { return []Group{NAT, DR, TUN, Persistent, UDP} }

// Outcome is what became of a stream.
type Outcome string

const (
	// Survived: the same instance of the same real server answered a fresh
	// nonce; for TCP streams, on the same connection.
	Survived Outcome = "survived"
	// Reset: the peer, or the director in its place, refused to go on.
	Reset Outcome = "reset"
	// Hung: neither an answer nor a refusal before the deadline.
	Hung Outcome = "hung"
	// Moved: another real server answered.
	Moved Outcome = "moved"
)

// Record is one stream, as its client saw it.
type Record struct {
	Group       Group
	Idle        bool          // silent between its first exchange and the failover
	Established time.Duration // on the client's monotonic clock
	Outcome     Outcome
}

// ErrRecord is returned for a line that is no record.
var ErrRecord = errors.New("not a stream record")

// String formats r as a line: group, idle or busy, nanoseconds, outcome.
func (r Record) String() string {
	pattern := "busy"
	if r.Idle {
		pattern = "idle"
	}
	return fmt.Sprintf("%s %s %d %s", r.Group, pattern, r.Established.Nanoseconds(), r.Outcome)
}

// Parse is the inverse of String.
func Parse(line string) (Record, error) {
	field := strings.Fields(line)
	if len(field) != 4 || field[1] != "idle" && field[1] != "busy" {
		return Record{}, fmt.Errorf("%w: %q", ErrRecord, line)
	}
	at, err := strconv.ParseInt(field[2], 10, 64)
	if err != nil {
		return Record{}, fmt.Errorf("%w: %q: %w", ErrRecord, line, err)
	}
	switch outcome := Outcome(field[3]); outcome {
	case Survived, Reset, Hung, Moved:
	default:
		return Record{}, fmt.Errorf("%w: %q: outcome %q", ErrRecord, line, outcome)
	}
	return Record{
		Group:       Group(field[0]),
		Idle:        field[1] == "idle",
		Established: time.Duration(at),
		Outcome:     Outcome(field[3]),
	}, nil
}
