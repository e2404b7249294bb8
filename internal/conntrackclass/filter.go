package conntrackclass

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

// Filter says which entries are sent: all, where it is empty, but for those
// that are never of use to a peer. It does not limit what is taken from peers.
type Filter struct {
	Protocols []conntrack.Protocol
	// Networks are those of which an entry has an address that the
	// connection came from or goes to, also behind NAT.
	Networks []netip.Prefix
	// Except are networks that no connection that is sent comes from or goes
	// to: the director's own addresses, mostly.
	Except []netip.Prefix
	// States, by their names, of protocols that have any. Peers do not hear
	// of states that are left out: copies stay in the one that they heard of
	// last, until its timeout.
	States []string
	// WithoutIPVS leaves out the entries of connections that IPVS translates.
	WithoutIPVS bool
}

// ErrState says that no protocol has a state of that name.
var ErrState = errors.New("no such state of connection tracking")

// What directors tell each other, and who of them is master, is their own.
const (
	protocolVRRP   conntrack.Protocol = 112
	protocolSSYNCP conntrack.Protocol = 114
)

// filter is a Filter that is quick to ask.
type filter struct {
	protocols        *[256]bool // nil: all
	networks, except []netip.Prefix
	states           map[conntrack.Protocol][]bool // nil: all
	withoutIPVS      bool
}

func (f *Filter) compile() (*filter, error) {
	c := &filter{networks: f.Networks, except: f.Except, withoutIPVS: f.WithoutIPVS}
	if len(f.Protocols) > 0 {
		c.protocols = new([256]bool)
		for _, p := range f.Protocols {
			c.protocols[p] = true
		}
	}
	if len(f.States) == 0 {
		return c, nil
	}
	c.states = make(map[conntrack.Protocol][]bool)
	var known []string
	for _, p := range []conntrack.Protocol{conntrack.TCP, conntrack.SCTP} {
		for _, name := range conntrack.States(p) {
			known = append(known, name)
			c.states[p] = append(c.states[p], slices.Contains(f.States, name))
		}
	}
	for _, name := range f.States {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("%w: %q", ErrState, name)
		}
	}
	return c, nil
}

// passes reports whether an entry is sent.
func (f *filter) passes(e *conntrack.Entry) bool {
	if e.Protocol == protocolVRRP || e.Protocol == protocolSSYNCP || f.protocols != nil && !f.protocols[e.Protocol] {
		return false
	}
	source, dest := e.Original.Source.Addr(), e.Original.Destination.Addr()
	if source.IsLoopback() || dest.IsMulticast() || within(f.except, source) || within(f.except, dest) {
		return false
	}
	if len(f.networks) > 0 && !within(f.networks, source) && !within(f.networks, dest) &&
		!within(f.networks, e.Reply.Source.Addr()) && !within(f.networks, e.Reply.Destination.Addr()) {
		return false
	}
	// The end of a connection passes whatever its state was.
	if states := f.states[e.Protocol]; states != nil && !e.Ended() {
		return int(e.State) < len(states) && states[e.State]
	}
	return true
}

// withheld says why peers never hear of an entry that passes.
func (f *filter) withheld(e *conntrack.Entry) (why Skip, withheld bool) {
	switch {
	case e.Protocol == conntrack.DCCP:
		return SkipProtocol, true
	case f.withoutIPVS && e.ForeignTranslation():
		return SkipIPVS, true
	case conntrack.Opening(e.Protocol, e.State) && !e.Ended():
		return SkipHandshake, true
	}
	return 0, false
}

func within(networks []netip.Prefix, a netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}
