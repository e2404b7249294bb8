package peering

import (
	"net/netip"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// Origin is where a frame came from, and where an answer goes.
type Origin struct {
	Addr netip.AddrPort
	Link int // which of the links
}

// Network seals and sends bodies. What is lost is not its concern. The memory
// of a body is the node's again when the call returns.
type Network interface {
	// Multicast sends to the group, on every link.
	Multicast(body []byte)
	// Unicast sends to one peer.
	Unicast(to Origin, body []byte)
	// Probe sends to the group, on one link.
	Probe(link int, body []byte)
}

// Sink applies what peers advertise.
type Sink interface {
	// Apply takes the ADVERT blocks among these, of the classes that it
	// knows. To the age of an entry, it adds what the block has as Held, or
	// held where that is more. The memory is valid during the call. An error
	// says that the entries of the frame are broken, and that none was
	// applied. What is refused for another reason is counted elsewhere.
	Apply(blocks block.Blocks, held time.Duration) error
	// Settle returns when all that it was given is applied or refused. It
	// returns how many entries were refused for lack of a service since it
	// was called last.
	Settle() (missing int)
}

// Source reads the tables of this director.
type Source interface {
	// Entries returns how many entries there are, of all classes.
	Entries() int
	// Walk begins to read the entries of these classes: all, or those that
	// this director owns.
	Walk(classes block.Classes, owned bool) (Walk, error)
}

// Walk goes once over the entries. Nothing is read before it is asked for.
type Walk interface {
	// Read appends ADVERT blocks to body, up to limit bytes in all. It
	// returns false with the last ones, which may be none.
	Read(body []byte, limit int) (read []byte, more bool, err error)
	Close()
}

// Observer is told what people want to know.
type Observer interface {
	Event(Event)
}

// Random is a source of randomness that nobody can guess: challenges are drawn
// from it. It must not be a generator that a clone of the machine would go on
// with at the same place.
type Random interface {
	Uint64() uint64
}

// Parts are what a node works with.
type Parts struct {
	Network Network
	Sink    Sink
	Source  Source

	Observer Observer
	Random   Random
	Finder   Finder // nil: QUERIES cannot be answered
}
