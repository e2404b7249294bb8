package config

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// Filter is what version 2 sends; everything, where it is empty. It does not
// limit what is taken from peers.
type Filter struct {
	Protocols []ipvs.Protocol // of connections
	Services  []Service       // of connections and templates

	// States of connections, as [ipvs.StateName] has them. A template passes.
	States []string

	TemplatesOnly bool // no connections
}

// Service is a virtual service: by its address, or by its firewall mark.
type Service struct {
	Virtual netip.AddrPort // port 0: all services of the address
	Fwmark  uint32         // 0: by its address
}

// String returns the service as the configuration has it.
func (s Service) String() string {
	if s.Fwmark != 0 {
		return fwmarkPrefix + strconv.FormatUint(uint64(s.Fwmark), 10)
	}
	return s.Virtual.String()
}

const fwmarkPrefix = "fwmark:"

// filterProtocols are those that the filter takes, which are those with states.
var filterProtocols = []ipvs.Protocol{ipvs.TCP, ipvs.UDP, ipvs.SCTP}

// differences returns the keys that the two differ in.
func (f Filter) differences(other Filter) []string {
	var list []string
	for _, key := range []struct {
		name string
		same bool
	}{
		{"filter.protocols", slices.Equal(f.Protocols, other.Protocols)},
		{"filter.services", slices.Equal(f.Services, other.Services)},
		{"filter.states", slices.Equal(f.States, other.States)},
		{"filter.templates_only", f.TemplatesOnly == other.TemplatesOnly},
	} {
		if !key.same {
			list = append(list, key.name)
		}
	}
	return list
}

func (p *problems) filter(doc document) Filter {
	return Filter{
		Protocols:     list(p, "filter.protocols", doc.Filter.Protocols, p.protocol),
		Services:      list(p, "filter.services", doc.Filter.Services, p.service),
		States:        list(p, "filter.states", doc.Filter.States, p.state),
		TemplatesOnly: p.truth("filter.templates_only", doc.Filter.TemplatesOnly),
	}
}

// list judges the elements of a list, which is text with commas in a variable
// and a flag.
func list[T any](p *problems, key string, value any, judge func(key, element string) (T, bool)) []T {
	var elements []any
	switch value := value.(type) {
	case []any:
		elements = value
	case string:
		for element := range strings.SplitSeq(value, ",") {
			if element = strings.TrimSpace(element); element != "" {
				elements = append(elements, element)
			}
		}
	default:
		p.add(key, value, `not a list: write ["...", "..."]`)
	}
	var judged []T
	for _, element := range elements {
		s, ok := element.(string)
		if !ok {
			p.add(key, element, "not a text: put it in quotes")
			continue
		}
		if one, ok := judge(key, s); ok {
			judged = append(judged, one)
		}
	}
	return judged
}

func (p *problems) protocol(key, name string) (ipvs.Protocol, bool) {
	i := slices.IndexFunc(filterProtocols, func(protocol ipvs.Protocol) bool {
		return strings.EqualFold(name, protocol.String())
	})
	if i < 0 {
		p.add(key, name, "not a protocol: must be tcp, udp or sctp")
		return 0, false
	}
	return filterProtocols[i], true
}

func (p *problems) service(key, text string) (Service, bool) {
	if mark, ok := strings.CutPrefix(text, fwmarkPrefix); ok {
		n, err := strconv.ParseUint(mark, 10, 32)
		if err != nil || n == 0 {
			p.add(key, text, "not a firewall mark: must be 1 to 4294967295, such as %q", fwmarkPrefix+"5")
			return Service{}, false
		}
		return Service{Fwmark: uint32(n)}, true
	}
	addr, err := netip.ParseAddrPort(text)
	switch a := addr.Addr(); {
	case err != nil || a.Is4In6() || a.Zone() != "":
		p.add(key, text, `not a virtual service: write "192.0.2.80:80", "[2001:db8::80]:80", with port 0 for all of an address, or "fwmark:5"`)
		return Service{}, false
	case a.IsUnspecified() || a.IsMulticast():
		p.add(key, text, "not the address of a virtual service: `ipvsadm -Ln` shows those there are")
		return Service{}, false
	}
	return Service{Virtual: addr}, true
}

func (p *problems) state(key, name string) (string, bool) {
	known := stateNames()
	i := slices.IndexFunc(known, func(state string) bool { return strings.EqualFold(name, state) })
	if i < 0 {
		p.add(key, name, "not a state: use %s", strings.Join(known, ", "))
		return "", false
	}
	return known[i], true
}

// stateNames returns the states of all protocols, each name once.
func stateNames() []string {
	var names []string
	for _, protocol := range filterProtocols {
		unknown := ipvs.StateName(protocol, false, ^ipvs.State(0))
		for state := ipvs.State(0); ; state++ {
			name := ipvs.StateName(protocol, false, state)
			if name == unknown {
				break
			}
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

func (p *problems) truth(key string, value any) bool {
	switch value {
	case true, "true":
		return true
	case false, "false":
		return false
	}
	p.add(key, value, "must be true or false")
	return false
}
