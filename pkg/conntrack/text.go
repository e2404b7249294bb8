package conntrack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Remaining returns how long the entry lives if no further packet comes.
func (e *Entry) Remaining() time.Duration { return max(e.Timeout-e.Age, 0) }

var statusNames = []struct {
	flag Status
	name string
}{
	{Expected, "EXPECTED"}, {SeenReply, "SEEN_REPLY"}, {Assured, "ASSURED"}, {Confirmed, "CONFIRMED"}, {SourceNAT, "SRC_NAT"}, {DestNAT, "DST_NAT"},
	{SeqAdjusted, "SEQ_ADJUST"}, {Dying, "DYING"}, {FixTimeout, "FIXED_TIMEOUT"},
}

// Names returns the names of the flags that have one here.
func (s Status) Names() []string {
	names := []string{}
	for _, n := range statusNames {
		if s&n.flag != 0 {
			names = append(names, n.name)
		}
	}
	return names
}

// AppendTo appends the entry in one line: protocol, remaining lifetime, state,
// both directions, and what few have. There is no newline.
func (e *Entry) AppendTo(b []byte) []byte {
	left := int64(e.Remaining() / time.Second)
	b = fmt.Appendf(b, "%-7v %02d:%02d  %-12s %v > %v, reply %v > %v", e.Protocol, left/60, left%60, e.StateName(),
		e.Original.Source, e.Original.Destination, e.Reply.Source, e.Reply.Destination)
	if e.Status&Assured != 0 {
		b = append(b, " assured"...)
	}
	if e.Mark != 0 {
		b = fmt.Appendf(b, " mark=%d", e.Mark)
	}
	if z := e.Zones; z != (Zones{}) {
		b = fmt.Appendf(b, " zones=%d,%d", z.Original, z.Reply)
	}
	if e.Helper != "" {
		b = fmt.Appendf(b, " helper=%q", e.Helper)
	}
	return b
}

// Shown is an entry as JSON has it. It has the field names that scripts rely on:
// they only ever grow. Times are in milliseconds, as the names say; labels are
// base64; zones are those of the two directions.
type Shown struct {
	Protocol    string     `json:"protocol"`
	Original    ShownTuple `json:"original"`
	Reply       ShownTuple `json:"reply"`
	Zones       [2]uint16  `json:"zones"`
	State       string     `json:"state"`
	Status      []string   `json:"status"`
	Mark        uint32     `json:"mark"`
	TimeoutMS   int64      `json:"timeout_ms"`
	AgeMS       int64      `json:"age_ms"` // since the last packet, as far as the director knows
	RemainingMS int64      `json:"remaining_ms"`
	Labels      []byte     `json:"labels,omitempty"`
	Helper      string     `json:"helper,omitempty"`
}

// ShownTuple is one direction.
type ShownTuple struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
}

// Shown returns what JSON has. It shares no memory with e.
func (e *Entry) Shown() Shown {
	s := Shown{
		Protocol: e.Protocol.String(), Zones: [2]uint16{e.Zones.Original, e.Zones.Reply}, State: e.StateName(), Status: e.Status.Names(), Mark: e.Mark,
		Original:  ShownTuple{e.Original.Source.String(), e.Original.Destination.String()},
		Reply:     ShownTuple{e.Reply.Source.String(), e.Reply.Destination.String()},
		TimeoutMS: e.Timeout.Milliseconds(), AgeMS: e.Age.Milliseconds(), RemainingMS: e.Remaining().Milliseconds(), Helper: e.Helper,
	}
	if e.Labels != ([16]byte{}) {
		s.Labels = bytes.Clone(e.Labels[:])
	}
	return s
}

// MarshalJSON returns one object: [Shown].
func (e *Entry) MarshalJSON() ([]byte, error) { return json.Marshal(e.Shown()) }
