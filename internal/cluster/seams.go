package cluster

import (
	"errors"
	"net/netip"
	"time"

	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// Datagram is a message that came over a link, and who sent it. It is not
// authenticated, and may be written to.
type Datagram struct {
	Payload []byte
	From    netip.AddrPort // port 0 where there are none
}

// Link is one of the ways to the peers: an interface with a multicast group, or
// with a list of peers. Send, SendTo and Check are used by one goroutine,
// Receive by another.
type Link interface {
	// Send sends frames, in order, to the group or to each peer of the list.
	// It returns how many were sent before an error.
	Send(frames [][]byte) (int, error)
	// SendTo sends frames to one peer, as Receive named it.
	SendTo(to netip.AddrPort, frames [][]byte) (int, error)
	// Receive waits for datagrams, which stay valid until the next call.
	Receive() ([]Datagram, error)
	// Unblock ends a waiting Receive and every later one.
	Unblock()
	// Check fails when the link must be opened again. It returns whether
	// anybody can be reached: whether there is a carrier.
	Check() (carrier bool, err error)
	// Room returns the size of the longest frame that fits one packet.
	Room() int
	Close() error
}

// Kind is which objects a walk goes over.
type Kind int

const (
	// All that there are.
	All Kind = iota
	// Owned by this director.
	Owned
	// Due to be told again, of what this director owns: peers' copies would
	// otherwise expire early, because what came after they were told was no
	// news.
	Due
)

// Objects are those of one class, in the kernel. One goroutine uses them.
type Objects interface {
	Class() block.Class

	// News takes what news there is, in one call to the kernel, and adds the
	// bodies that it makes to out. What they say of ages is true for the time
	// of the call.
	News(out *Outbox) (Reading, error)
	// Walk begins to read objects.
	Walk(Kind) (peering.Walk, error)
	// SweepEvery returns the time between two walks over what is due, more
	// than 0. It is asked anew for each, as timeouts change.
	SweepEvery() (time.Duration, error)
	// Entries returns how many objects there are. It is cheap.
	Entries() int

	// Apply takes the ADVERT blocks of this class, as peering.Sink has it. It
	// may keep them back until Flush. The memory of the blocks does not
	// outlive the call.
	Apply(blocks block.Blocks, held time.Duration) error
	// Flush hands to the kernel what Apply kept back. An error is the
	// kernel's: the objects must be opened again.
	Flush() error
	// Missing returns how many objects were refused for lack of a service
	// since it was called last. Flush was called before.
	Missing() int
	// Services returns a number that changes when services appear.
	Services() (uint64, error)

	Close() error
}

// Reading is what one look for news found, beside news.
type Reading struct {
	Entries int  // objects that were read
	More    bool // look again at once
	Lost    bool // news was dropped
	// Pause is set as long as something else owns the objects, and says
	// what: there is no news until it is nil again.
	Pause error
}

// ErrNotYet is what cannot be opened for a moment, whatever anybody does.
var ErrNotYet = errors.New("not yet")

// Parts open what a director works with.
type Parts struct {
	// Links are opened and, where they fail, opened again, each on its own.
	// What fails with ErrNotYet is waited for at the start, up to 5 s.
	Links []func() (Link, error)
	// Objects of every class.
	Objects []func() (Objects, error)
	// Tables are what peers may ask for objects of.
	Tables []Table
}
