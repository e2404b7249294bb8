package ipvsclass

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// Filter says which connections are sent: all, where it is empty. A template
// says to which real server a client goes, whatever protocol and state its
// connections have: only its service counts.
type Filter struct {
	// Protocols of connections.
	Protocols []ipvs.Protocol
	// Services of connections and templates.
	Services []Service
	// States of connections, by the names of /proc/net/ip_vs_conn. Peers do
	// not hear of states that are left out: copies stay in the one that they
	// heard of last, until its timeout.
	States []string
	// TemplatesOnly leaves out all connections.
	TemplatesOnly bool
}

// Service is a virtual service, by its address or its firewall mark.
type Service struct {
	// Virtual is its address. Port 0 stands for all services of the address.
	Virtual netip.AddrPort
	// Fwmark is its firewall mark; 0 where it is known by its address.
	Fwmark uint32
}

// ErrState says that no protocol has a state of that name.
var ErrState = errors.New("no such state")

// filter is a Filter that is quick to ask.
type filter struct {
	all           bool // passes
	templatesOnly bool
	protocols     *[256]bool
	services      map[netip.AddrPort]struct{}
	addresses     map[netip.Addr]struct{} // of services of which any port will do
	templates     map[netip.Addr]struct{} // of all services: a template may be of every port
	fwmarks       map[uint32]struct{}
	states        map[ipvs.Protocol][]bool
}

// protocolsWithStates are those that IPVS keeps states of.
var protocolsWithStates = [...]ipvs.Protocol{ipvs.TCP, ipvs.UDP, ipvs.SCTP}

// compile checks the filter.
func (f *Filter) compile() (*filter, error) {
	c := &filter{
		all:           len(f.Protocols)+len(f.Services)+len(f.States) == 0 && !f.TemplatesOnly,
		templatesOnly: f.TemplatesOnly,
	}
	if len(f.Protocols) > 0 {
		c.protocols = new([256]bool)
		for _, p := range f.Protocols {
			c.protocols[p] = true
		}
	}
	if len(f.Services) > 0 {
		c.services = make(map[netip.AddrPort]struct{})
		c.addresses, c.templates = make(map[netip.Addr]struct{}), make(map[netip.Addr]struct{})
		c.fwmarks = make(map[uint32]struct{})
	}
	for _, s := range f.Services {
		switch addr := s.Virtual.Addr(); {
		case s.Fwmark != 0:
			c.fwmarks[s.Fwmark] = struct{}{}
		case s.Virtual.Port() == 0:
			c.addresses[addr] = struct{}{}
		default:
			c.services[s.Virtual] = struct{}{}
			c.templates[addr] = struct{}{}
		}
	}
	if len(f.States) == 0 {
		return c, nil
	}
	c.states = make(map[ipvs.Protocol][]bool)
	known := make(map[string]bool)
	for _, p := range protocolsWithStates {
		for s := ipvs.State(0); ; s++ {
			name := ipvs.StateName(p, false, s)
			if name == ipvs.StateName(p, false, ^ipvs.State(0)) {
				break // behind the last one
			}
			known[name] = true
			c.states[p] = append(c.states[p], slices.Contains(f.States, name))
		}
	}
	for _, name := range f.States {
		if !known[name] {
			return nil, fmt.Errorf("%w: %q", ErrState, name)
		}
	}
	return c, nil
}

// passes reports whether a connection is sent.
func (f *filter) passes(c *ipvs.Conn) bool {
	if f.all {
		return true
	}
	if f.services != nil && !f.served(c) {
		return false
	}
	if c.Template() {
		return true
	}
	if f.templatesOnly || f.protocols != nil && !f.protocols[c.Protocol] {
		return false
	}
	if f.states != nil {
		states := f.states[c.Protocol]
		return int(c.State) < len(states) && states[c.State]
	}
	return true
}

// served reports whether it is of one of the services.
func (f *filter) served(c *ipvs.Conn) bool {
	if _, ok := f.fwmarks[c.Fwmark]; ok {
		return true
	}
	if _, ok := f.services[c.Virtual]; ok {
		return true
	}
	addr := c.Virtual.Addr()
	if _, ok := f.addresses[addr]; ok {
		return true
	}
	// That of a service on every port, and of FTP.
	if c.Template() && c.Virtual.Port() == 0 {
		_, ok := f.templates[addr]
		return ok
	}
	return false
}
