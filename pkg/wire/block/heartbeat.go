package block

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"
)

// State is what a director knows of its own completeness.
type State uint8

// States.
const (
	StateJoining     State = 1
	StateSynced      State = 2
	StateSyncedAlone State = 3
	StateDegraded    State = 4 // synced, but for entries that services are missing for
)

// String returns the name that people know it by.
func (s State) String() string {
	switch s {
	case StateJoining:
		return "joining"
	case StateSynced:
		return "synced"
	case StateSyncedAlone:
		return "synced (alone)"
	case StateDegraded:
		return "degraded"
	}
	return "state " + strconv.Itoa(int(s))
}

// MaxName is how long a name may be, in bytes.
const MaxName = 64

// Heartbeat is a HEARTBEAT.
type Heartbeat struct {
	Last     uint64 // highest sequence of an ADVERT sent so far, 0 for none
	State    State
	Interval time.Duration // until the next one, whole milliseconds
	Entries  uint32        // in its tables, of all classes
	Gaps     uint32        // sequences of all senders that it waits for
	Name     []byte        // of the host, UTF-8 without control characters; refers to the body
}

// Offsets in a HEARTBEAT.
const (
	offLast              = 0
	offState             = 8
	offHeartbeatReserved = 9
	offInterval          = 10
	offEntries           = 12
	offGaps              = 16
	offNameLength        = 20
	offName              = 21
)

// AppendHeartbeat appends a HEARTBEAT. An interval over 65,535 ms is sent as
// that.
func AppendHeartbeat(dst []byte, h *Heartbeat) ([]byte, error) {
	if len(h.Name) > MaxName {
		return dst, ErrName
	}
	p := begin(dst, TypeHeartbeat)
	p = binary.BigEndian.AppendUint64(p, h.Last)
	p = append(p, uint8(h.State), 0)
	p = binary.BigEndian.AppendUint16(p, uint16(min(milliseconds(h.Interval), math.MaxUint16)))
	p = binary.BigEndian.AppendUint32(p, h.Entries)
	p = binary.BigEndian.AppendUint32(p, h.Gaps)
	p = append(p, uint8(len(h.Name)))
	return end(dst, append(p, h.Name...))
}

// Heartbeat decodes a HEARTBEAT.
func (b Block) Heartbeat() (Heartbeat, error) {
	p := b.Payload
	if len(p) < offName {
		return Heartbeat{}, ErrShort
	}
	n := int(p[offNameLength])
	if n > MaxName {
		return Heartbeat{}, ErrName
	}
	if len(p) < offName+n {
		return Heartbeat{}, ErrShort
	}
	h := Heartbeat{
		Last:     binary.BigEndian.Uint64(p[offLast:]),
		State:    State(p[offState]),
		Interval: time.Duration(binary.BigEndian.Uint16(p[offInterval:])) * time.Millisecond,
		Entries:  binary.BigEndian.Uint32(p[offEntries:]),
		Gaps:     binary.BigEndian.Uint32(p[offGaps:]),
		Name:     p[offName : offName+n : offName+n],
	}
	switch {
	case p[offHeartbeatReserved] != 0:
		return Heartbeat{}, ErrReserved
	case h.State < StateJoining || h.State > StateDegraded, h.Interval == 0:
		return Heartbeat{}, ErrRange
	case !ValidName(h.Name):
		return Heartbeat{}, ErrName
	}
	return h, nil
}

// ValidName reports whether a name may be shown as it is: UTF-8 without control
// characters. Its length is another matter.
func ValidName(p []byte) bool {
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		if r == utf8.RuneError && n == 1 || unicode.IsControl(r) {
			return false
		}
		p = p[n:]
	}
	return true
}
