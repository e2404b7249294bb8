package ipvs

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
)

// String returns the connection in one line: see [Conn.AppendTo].
func (c *Conn) String() string { return string(c.AppendTo(nil)) }

// AppendTo appends the connection in the columns of "ipvsadm -Lcn": protocol,
// remaining lifetime (minutes:seconds), state, client, virtual service, real
// server; then the forwarding method and, where there are any, the names of
// the marks and the persistence engine with its data. There is no newline.
func (c *Conn) AppendTo(b []byte) []byte {
	start := len(b)
	b = append(b, c.Protocol.String()...)
	b = pad(b, start+4)
	s := int64(c.Remaining() / time.Second)
	b = appendTwo(b, s/60)
	b = append(b, ':')
	b = appendTwo(b, s%60)
	b = append(b, "  "...)
	at := len(b)
	b = append(b, c.StateName()...)
	b = pad(b, at+12)
	at = len(b)
	b = c.Client.AppendTo(b)
	b = pad(b, at+19)
	at = len(b)
	b = c.Virtual.AppendTo(b)
	b = pad(b, at+19)
	at = len(b)
	b = c.Dest.AppendTo(b)
	b = pad(b, at+19)
	b = append(b, c.Method().String()...)
	for _, m := range markNames {
		if c.Marks&m.mark != 0 {
			b = append(b, ' ')
			b = append(b, m.name...)
		}
	}
	if c.PEName != "" {
		b = append(b, ' ')
		if strconv.CanBackquote(c.PEName) {
			b = append(b, c.PEName...)
		} else {
			b = strconv.AppendQuoteToASCII(b, c.PEName)
		}
		b = append(b, ' ')
		b = strconv.AppendQuoteToASCII(b, string(c.PEData))
	}
	return b
}

var markNames = [...]struct {
	mark Marks
	name string
}{{MarkLocal, "local"}, {MarkKnown, "known"}, {MarkBound, "bound"}}

// pad fills with blanks up to column end, at least one.
func pad(b []byte, end int) []byte {
	b = append(b, ' ')
	for len(b) < end {
		b = append(b, ' ')
	}
	return b
}

func appendTwo(b []byte, n int64) []byte {
	if n < 10 {
		b = append(b, '0')
	}
	return strconv.AppendInt(b, n, 10)
}

// Shown is a connection as JSON has it, without what its director alone knows
// of it. It has the field names that scripts rely on: they only ever grow. Times
// are in milliseconds, as the names say; pe_data is base64; in_seq and out_seq are
// there where [FlagSeqMask] is set.
type Shown struct {
	Protocol    string    `json:"protocol"`
	Client      string    `json:"client"`
	Virtual     string    `json:"virtual"`
	Dest        string    `json:"dest"`
	Method      string    `json:"method"`
	State       string    `json:"state"`
	Flags       []string  `json:"flags"`
	Template    bool      `json:"template"`
	Fwmark      uint32    `json:"fwmark"`
	TimeoutMS   int64     `json:"timeout_ms"`
	AgeMS       int64     `json:"age_ms"` // since the last packet, as far as the director knows
	RemainingMS int64     `json:"remaining_ms"`
	In          *Sequence `json:"in_seq,omitempty"`
	Out         *Sequence `json:"out_seq,omitempty"`
	PEName      string    `json:"pe_name,omitempty"`
	PEData      []byte    `json:"pe_data,omitempty"`
}

// Shown returns what JSON has. It shares no memory with c.
func (c *Conn) Shown() Shown {
	s := Shown{
		Protocol:    c.Protocol.String(),
		Client:      c.Client.String(),
		Virtual:     c.Virtual.String(),
		Dest:        c.Dest.String(),
		Method:      c.Method().String(),
		State:       c.StateName(),
		Flags:       c.Flags.AppendNames([]string{}),
		Template:    c.Template(),
		Fwmark:      c.Fwmark,
		TimeoutMS:   c.Timeout.Milliseconds(),
		AgeMS:       c.Age.Milliseconds(),
		RemainingMS: c.Remaining().Milliseconds(),
		PEName:      c.PEName,
		PEData:      bytes.Clone(c.PEData),
	}
	if c.Flags&FlagSeqMask != 0 {
		in, out := c.In, c.Out
		s.In, s.Out = &in, &out
	}
	return s
}

// MarshalJSON returns one object: [Shown], and the marks.
func (c *Conn) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Shown
		Local bool `json:"local"`
		Known bool `json:"known"`
		Bound bool `json:"bound"`
	}{c.Shown(), c.Marks&MarkLocal != 0, c.Marks&MarkKnown != 0, c.Marks&MarkBound != 0})
}
