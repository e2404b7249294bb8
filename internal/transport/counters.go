package transport

import "github.com/ssyncp/ssyncp/internal/counters"

// Drop is why a datagram was not taken.
type Drop int

// The reasons, in the order in which they are looked for.
const (
	DropHeader      Drop = iota // no valid IPv4 header before it
	DropUnverified              // the kernel did not say where it came in, or where it was going
	DropInterface               // came in on another interface
	DropDestination             // not addressed to the group, or to this host
	DropTTL                     // multicast link: TTL not 255, crossed a router
	DropFragment                // reassembled from fragments
	DropOwn                     // from our own address
	DropNotAPeer                // unicast link: from an address that is not in the list
	DropTooLong                 // longer than a datagram can be here
	DropOverrun                 // socket buffer full: lost by the kernel
	drops
)

var dropNames = [drops]string{
	"header", "unverified", "interface", "destination", "ttl", "fragment", "own", "not_a_peer", "too_long", "overrun",
}

// Count is what is counted beside drops.
type Count int

// Counts of a link.
const (
	ReceivedDatagrams Count = iota
	ReceivedBytes
	ReceiveCalls
	countsOfLink
)

var countNames = [countsOfLink]string{"datagrams", "bytes", "calls"}

// PeerError is why one peer is not reached by unicast.
type PeerError int

// The kinds of errors: those that this host finds, and those that come by ICMP,
// which nobody answers for.
const (
	PeerNoRoute  PeerError = iota // this host has none
	PeerTooLarge                  // more than fits one packet
	PeerFirewall                  // dropped by a rule of this host
	PeerQueue                     // this host's queue was full

	PeerNetUnreachable
	PeerHostUnreachable     // nobody answers for the address; also said by this host
	PeerProtocolUnreachable // nobody listens there
	PeerPortUnreachable     // the same in UDP
	PeerProhibited          // dropped by a rule on the way
	PeerFragNeeded          // more than fits a packet on the way
	PeerTTLExceeded

	PeerOther
	peerErrors
)

var peerErrorNames = [peerErrors]string{
	"no_route", "too_large", "firewall", "queue_full", "net_unreachable", "host_unreachable", "protocol_unreachable",
	"port_unreachable", "prohibited", "fragmentation_needed", "ttl_exceeded", "other",
}

// String returns the name of its counter.
func (k PeerError) String() string { return peerErrorNames[k] }

// Counters of a link outlive it: a link that is opened again goes on counting.
type Counters struct {
	Received   *counters.Set[Count]
	Dropped    *counters.Set[Drop]
	PeerErrors *counters.Set[PeerError]
}

// NewCounters returns counters that are zero.
func NewCounters() *Counters {
	return &Counters{
		Received:   counters.New[Count]("received", countNames[:]...),
		Dropped:    counters.New[Drop]("receive_dropped", dropNames[:]...),
		PeerErrors: counters.New[PeerError]("peer_unreachable", peerErrorNames[:]...),
	}
}
