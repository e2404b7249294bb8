package entry

import (
	"math/bits"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/compact"
)

// Order finds the order in which the connections of a batch take the fewest
// bytes: those of one service behind each other, and of these those of one real
// server. Templates come before the connections that they are for, and what
// one connection has to say stays in its order. The zero value is ready for
// use; it is not for concurrent use.
type Order struct {
	seed     compact.Seed
	bits     int      // 1 << bits places in the indexes
	byName   []uint32 // services: number and one, 0 where a place is free
	byDest   []uint32 // groups, likewise
	services []orderedService
	groups   []orderedGroup
	next     []int32 // connection of the same group and kind, behind this one
	order    []int32
}

// none ends a chain.
const none = -1

// orderedService has a chain of groups.
type orderedService struct {
	sample      int32 // a connection of it
	first, last int32
}

// orderedGroup has the connections of one service and real server, in chains.
type orderedGroup struct {
	sample  int32 // a connection of it
	service uint32
	next    int32 // group of the same service

	templates, conns chain
}

// chain is of connections.
type chain struct{ first, last int32 }

// Of returns the indexes of the connections in that order. The slice is valid
// until the next call.
func (o *Order) Of(conns []ipvs.Conn) []int32 {
	o.reset(len(conns))
	var last uint32 // the group of the connection before
	for i := range conns {
		c := &conns[i]
		if i == 0 || !sameService(c, &conns[i-1]) || c.Dest != conns[i-1].Dest {
			last = o.group(conns, c, int32(i), o.service(conns, c, int32(i)))
		}
		g := &o.groups[last]
		if c.Template() {
			o.append(&g.templates, int32(i))
		} else {
			o.append(&g.conns, int32(i))
		}
	}
	// The template of a service on every port, or of a firewall mark, is of
	// another virtual address than its connections, so it is not in their
	// group: these come before all others.
	for _, wide := range []bool{true, false} {
		for i := range o.services {
			s := &o.services[i]
			if isWide(&conns[s.sample]) != wide {
				continue
			}
			for at := s.first; at != none; at = o.groups[at].next {
				g := &o.groups[at]
				o.collect(g.templates)
				o.collect(g.conns)
			}
		}
	}
	return o.order
}

func isWide(c *ipvs.Conn) bool { return c.Template() && c.Virtual.Port() == 0 }

func sameService(a, b *ipvs.Conn) bool {
	return a.Virtual == b.Virtual && a.Protocol == b.Protocol && a.Fwmark == b.Fwmark
}

// reset makes room for n connections: indexes that are at most half full.
func (o *Order) reset(n int) {
	if o.seed == 0 {
		o.seed = compact.NewSeed()
	}
	o.bits = bits.Len(uint(n)) + 1
	size := 1 << o.bits
	if size > len(o.byName) {
		o.byName, o.byDest = make([]uint32, size), make([]uint32, size)
		o.services = make([]orderedService, 0, size/2)
		o.groups = make([]orderedGroup, 0, size/2)
		o.next = make([]int32, size/2)
		o.order = make([]int32, 0, size/2)
	}
	clear(o.byName[:size])
	clear(o.byDest[:size])
	o.services, o.groups, o.order = o.services[:0], o.groups[:0], o.order[:0]
}

// service returns the number of the service of c, which is connection i.
func (o *Order) service(conns []ipvs.Conn, c *ipvs.Conn, i int32) uint32 {
	mask := uint32(1)<<o.bits - 1
	at := uint32(o.seed.AddrPort(c.Virtual, uint64(c.Fwmark)<<8|uint64(c.Protocol))) & mask
	for ; o.byName[at] != 0; at = (at + 1) & mask {
		if n := o.byName[at] - 1; sameService(c, &conns[o.services[n].sample]) {
			return n
		}
	}
	o.services = append(o.services, orderedService{i, none, none})
	o.byName[at] = uint32(len(o.services))
	return uint32(len(o.services) - 1)
}

// group returns the number of the group of c, which is connection i.
func (o *Order) group(conns []ipvs.Conn, c *ipvs.Conn, i int32, service uint32) uint32 {
	mask := uint32(1)<<o.bits - 1
	at := uint32(o.seed.AddrPort(c.Dest, uint64(service))) & mask
	for ; o.byDest[at] != 0; at = (at + 1) & mask {
		n := o.byDest[at] - 1
		if g := &o.groups[n]; g.service == service && c.Dest == conns[g.sample].Dest {
			return n
		}
	}
	n := int32(len(o.groups))
	o.groups = append(o.groups, orderedGroup{i, service, none, chain{none, none}, chain{none, none}})
	o.byDest[at] = uint32(n) + 1
	s := &o.services[service]
	if s.first == none {
		s.first = n
	} else {
		o.groups[s.last].next = n
	}
	s.last = n
	return uint32(n)
}

// append puts a connection at the end of a chain.
func (o *Order) append(c *chain, i int32) {
	o.next[i] = none
	if c.first == none {
		c.first = i
	} else {
		o.next[c.last] = i
	}
	c.last = i
}

// collect appends the connections of a chain to the order.
func (o *Order) collect(c chain) {
	for i := c.first; i != none; i = o.next[i] {
		o.order = append(o.order, i)
	}
}
