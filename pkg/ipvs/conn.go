package ipvs

import (
	"bytes"
	"net/netip"
	"time"
)

// Sequence is the sequence number adjustment of one direction of a TCP
// connection (struct ip_vs_seq): packets after Init are moved by Delta, those
// before it by PreviousDelta.
type Sequence struct {
	Init          uint32 `json:"init"`
	Delta         uint32 `json:"delta"`
	PreviousDelta uint32 `json:"previous_delta"`
}

// Marks are what a director knows of a connection beyond its IPVS flags. They
// are local to it and not sent to peers.
type Marks uint8

// Marks of a connection.
const (
	MarkLocal Marks = 1 << iota // this director saw packets of it: it owns it
	MarkKnown                   // it was advertised before
	MarkBound                   // bound to a real server of a service
)

// Conn is one IPVS connection, or one persistence template where
// [FlagTemplate] is set.
//
// Client and Virtual are of one address family, Dest may be of the other.
// Ports are 0 where they are not part of the connection: in templates and,
// with [FlagNoCPort], the client's. In and Out matter only where [FlagSeqMask]
// says so.
type Conn struct {
	Client, Virtual, Dest netip.AddrPort

	Protocol Protocol
	Marks    Marks
	State    State
	Flags    Flags
	Fwmark   uint32 // firewall mark of the packet that made it

	Timeout time.Duration // of the state; 0: unknown
	Age     time.Duration // since the owner last saw a packet
	// Advert is, of a connection that a director owns, the time since the
	// packet that peers were told of last; of a copy, since a peer told of it;
	// 0 where that is not known. It is local, and not sent with connections.
	Advert time.Duration

	In, Out Sequence

	PEName string // persistence engine of a template, "" for none
	PEData []byte // what it knows the client by, at most 255 bytes
}

// Template reports whether it is a persistence template.
func (c *Conn) Template() bool { return c.Flags&FlagTemplate != 0 }

// Method returns the forwarding method.
func (c *Conn) Method() Method { return c.Flags.Method() }

// StateName returns the state as /proc/net/ip_vs_conn shows it.
func (c *Conn) StateName() string { return StateName(c.Protocol, c.Template(), c.State) }

// Remaining returns how long the connection lives if no further packet comes:
// Timeout - Age, never negative.
func (c *Conn) Remaining() time.Duration { return max(c.Timeout-c.Age, 0) }

// Key is what IPVS tells connections apart by. It is comparable.
type Key struct {
	Client, Virtual netip.AddrPort
	Protocol        Protocol
	Template        bool
	PE              string // name and data of the persistence engine
}

// Key returns the identity of the connection. It allocates only for templates
// of a persistence engine.
func (c *Conn) Key() Key {
	k := Key{Client: c.Client, Virtual: c.Virtual, Protocol: c.Protocol, Template: c.Template()}
	if c.PEName != "" {
		k.PE = c.PEName + "\x00" + string(c.PEData)
	}
	return k
}

// Clone returns a copy that shares no memory with c, to be kept where c is
// decoded into again.
func (c *Conn) Clone() Conn {
	clone := *c
	clone.PEData = bytes.Clone(c.PEData)
	return clone
}

// Owned reports whether the director that has these marks and flags speaks for
// the connection: it saw packets of it, or it made it, and nobody has spoken of
// it yet. What is not owned is a copy.
func (c *Conn) Owned() bool {
	return c.Marks&MarkLocal != 0 || c.Flags&FlagSync == 0 && c.Marks&MarkKnown == 0
}
