package inspect

import (
	"bytes"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// Connection is one, as a director has it. The names are those of `ssyncpd
// dump --json`, as far as both have them.
type Connection struct {
	Protocol    string   `json:"protocol"`
	Client      string   `json:"client"`
	Virtual     string   `json:"virtual"`
	Dest        string   `json:"dest"`
	Method      string   `json:"method"`
	State       string   `json:"state"`
	Flags       []string `json:"flags"`
	Template    bool     `json:"template"`
	Fwmark      uint32   `json:"fwmark"`
	TimeoutMS   int64    `json:"timeout_ms"`
	AgeMS       int64    `json:"age_ms"` // since the last packet, as far as this director knows
	RemainingMS int64    `json:"remaining_ms"`

	In     *ipvs.Sequence `json:"in_seq,omitempty"`
	Out    *ipvs.Sequence `json:"out_seq,omitempty"`
	PEName string         `json:"pe_name,omitempty"`
	PEData []byte         `json:"pe_data,omitempty"`
}

// Held is a connection, and what its director knows of it.
type Held struct {
	Connection
	Owned bool `json:"owned"` // not a copy: it had packets there, or is older than the module
	Told  bool `json:"told"`  // peers were told of it, or told of it
	Bound bool `json:"bound"` // to a real server of a service

	// Owners are the directors that say that it is theirs, by their names.
	Owners []string `json:"owners"`
}

func connectionOf(c *ipvs.Conn) Connection {
	shown := Connection{
		Protocol: c.Protocol.String(), Client: c.Client.String(), Virtual: c.Virtual.String(), Dest: c.Dest.String(),
		Method: c.Method().String(), State: c.StateName(), Flags: c.Flags.AppendNames([]string{}), Template: c.Template(), Fwmark: c.Fwmark,
		TimeoutMS: c.Timeout.Milliseconds(), AgeMS: c.Age.Milliseconds(), RemainingMS: c.Remaining().Milliseconds(),
		PEName: c.PEName, PEData: bytes.Clone(c.PEData),
	}
	if c.Flags&ipvs.FlagSeqMask != 0 {
		in, out := c.In, c.Out
		shown.In, shown.Out = &in, &out
	}
	return shown
}

func heldOf(c *ipvs.Conn, owned bool) Held {
	return Held{
		Connection: connectionOf(c), Owned: owned,
		Told: c.Marks&ipvs.MarkKnown != 0, Bound: c.Marks&ipvs.MarkBound != 0, Owners: []string{},
	}
}
