package doctor

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
)

// ruleset is what `nft -j list ruleset` tells of the rules of nftables, so far as
// they are about whether a packet passes.
type ruleset struct {
	chains []chain
	rules  map[chainName][]rule
	sets   map[chainName]any // by table and name, like chains
}

type chainName struct{ family, table, name string }

func (n chainName) String() string { return n.family + " " + n.table + " " + n.name }

type chain struct {
	chainName
	kind, hook, policy string
	device             string
}

type rule struct {
	handle     int
	statements []map[string]any
}

// parseRuleset reads the output of nft.
func parseRuleset(text []byte) (ruleset, error) {
	var document struct {
		Nftables []struct {
			Chain *struct {
				Family, Table, Name, Type, Hook, Policy string
				Dev                                     any
			}
			Rule *struct {
				Family, Table, Chain string
				Handle               int
				Expr                 []map[string]any
			}
			Set *struct {
				Family, Table, Name string
				Elem                any
			}
		}
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return ruleset{}, fmt.Errorf("nft -j list ruleset: %w", err)
	}
	r := ruleset{rules: make(map[chainName][]rule), sets: make(map[chainName]any)}
	for _, object := range document.Nftables {
		switch {
		case object.Chain != nil:
			c := object.Chain
			device, _ := c.Dev.(string)
			r.chains = append(r.chains, chain{chainName{c.Family, c.Table, c.Name}, c.Type, c.Hook, c.Policy, device})
		case object.Rule != nil:
			name := chainName{object.Rule.Family, object.Rule.Table, object.Rule.Chain}
			r.rules[name] = append(r.rules[name], rule{object.Rule.Handle, object.Rule.Expr})
		case object.Set != nil:
			r.sets[chainName{object.Set.Family, object.Set.Table, object.Set.Name}] = object.Set.Elem
		}
	}
	return r, nil
}

// packet is one of the protocol, as rules see it.
type packet struct {
	outgoing     bool
	on           string // the interface
	source, dest netip.Addr
	protocol     int
	port         uint16 // at both ends; 0: no UDP
}

// truth is what is known of a condition.
type truth int

const (
	no truth = iota
	maybe
	yes
)

// fate is what becomes of a packet, so far as the rules tell.
type fate struct {
	drop  truth  // maybe: some condition is not known
	where string // that drops it, or may
}

// judge follows a packet through all chains of its hooks. The first that drops it
// is enough; one that may is remembered.
func (r ruleset) judge(p packet) fate {
	hooks := []string{"ingress", "prerouting", "input"}
	if p.outgoing {
		hooks = []string{"output", "postrouting", "egress"}
	}
	var worst fate
	for _, c := range r.chains {
		if !slices.Contains(hooks, c.hook) || c.kind == "nat" || !p.passes(c) {
			continue
		}
		w := walk{ruleset: r, packet: p}
		end := w.chain(c.chainName, 0)
		if end == nil {
			end = &verdict{drop: c.policy == "drop", where: "chain " + c.String() + ", by its policy"}
		}
		if f := w.fate(*end); f.drop > worst.drop {
			worst = f
		}
	}
	return worst
}

// passes reports whether packets like this one go through a base chain.
func (p packet) passes(c chain) bool {
	switch c.family {
	case "ip":
		return p.source.Is4()
	case "ip6":
		return p.source.Is6()
	case "netdev":
		return c.device == "" || c.device == p.on
	}
	return c.family == "inet"
}

// verdict ends the way through a base chain.
type verdict struct {
	drop  bool
	where string
}

// walk is a packet's way through one base chain. Rules whose conditions are not
// known may have ended it before.
type walk struct {
	ruleset
	packet
	mayAccept bool
	mayDrop   string // where
}

// fate is what the end of the walk means, with what may have come before.
func (w *walk) fate(end verdict) fate {
	switch {
	case end.drop && w.mayAccept:
		return fate{maybe, end.where}
	case end.drop:
		return fate{yes, end.where}
	case w.mayDrop != "":
		return fate{maybe, w.mayDrop}
	}
	return fate{}
}

const deepest = 16 // jumps, as in the kernel

// chain returns how a chain ends the walk; nil: it returns.
func (w *walk) chain(name chainName, depth int) *verdict {
	if depth > deepest {
		return nil
	}
	for _, rule := range w.rules[name] {
		holds := yes
		for _, statement := range rule.statements {
			for kind, body := range statement {
				if end, done := w.statement(kind, body, name, rule.handle, &holds, depth); done {
					return end
				}
			}
			if holds == no {
				break
			}
		}
	}
	return nil
}

// statement takes one statement of a rule. done says that the chain is over.
func (w *walk) statement(kind string, body any, name chainName, handle int, holds *truth, depth int) (end *verdict, done bool) {
	where := fmt.Sprintf("chain %v, rule with handle %d", name, handle)
	switch kind {
	case "match":
		*holds = min(*holds, w.match(body, name))
	case "accept":
		if *holds == yes {
			return &verdict{where: where}, true
		}
		w.mayAccept = true
	case "drop", "reject":
		if *holds == yes {
			return &verdict{drop: true, where: where}, true
		}
		w.note(where)
	case "return":
		return nil, *holds == yes
	case "jump", "goto":
		target, _ := body.(map[string]any)
		to, _ := target["target"].(string)
		end := w.chain(chainName{name.family, name.table, to}, depth+1)
		switch {
		case *holds == yes:
			return end, end != nil || kind == "goto"
		case end != nil && end.drop:
			w.note(end.where)
		case end != nil:
			w.mayAccept = true
		}
	case "vmap":
		return w.mapped(body, name, handle, *holds, depth)
	case "counter", "log", "comment", "notrack", "mangle":
	default: // limits, extensions of iptables, queues ...
		*holds = min(*holds, maybe)
	}
	return nil, false
}

// mapped takes a map from values to verdicts.
func (w *walk) mapped(body any, name chainName, handle int, holds truth, depth int) (end *verdict, done bool) {
	m, _ := body.(map[string]any)
	for _, element := range elements(w.resolve(m["data"], name)) {
		pair, _ := element.([]any)
		if len(pair) != 2 {
			continue
		}
		matches := min(holds, w.match(map[string]any{"op": "==", "left": m["key"], "right": pair[0]}, name))
		statement, _ := pair[1].(map[string]any)
		for kind, body := range statement {
			if matches == no {
				continue
			}
			if end, done := w.statement(kind, body, name, handle, &matches, depth); done {
				return end, true
			}
		}
	}
	return nil, false
}

func (w *walk) note(where string) {
	if w.mayDrop == "" {
		w.mayDrop = where
	}
}

// match says whether a condition holds for the packet.
func (w *walk) match(body any, name chainName) truth {
	m, _ := body.(map[string]any)
	left, _ := m["left"].(map[string]any)
	holds := maybe
	if values, known := w.field(left); known {
		if _, ofHeader := left["payload"]; ofHeader && len(values) == 0 {
			return no // whatever is asked of a header that is not there
		}
		holds = w.among(values, w.resolve(m["right"], name))
	}
	switch m["op"] {
	case "==", "in":
		return holds
	case "!=":
		return yes - holds
	}
	return maybe
}

// field returns what the packet has there, by all the names and numbers that it
// goes by;
// none of them is a packet without that field.
func (p packet) field(left map[string]any) (values []string, known bool) {
	at := func(kind, key string) string {
		m, _ := left[kind].(map[string]any)
		s, _ := m[key].(string)
		return s
	}
	switch at("meta", "key") {
	case "iif", "iifname":
		return p.only(!p.outgoing), true
	case "oif", "oifname":
		return p.only(p.outgoing), true
	case "l4proto":
		return p.protocolNames(), true
	case "nfproto", "protocol":
		if p.source.Is4() {
			return []string{"ipv4", "ip"}, true
		}
		return []string{"ipv6", "ip6"}, true
	case "pkttype":
		if p.dest.IsMulticast() && !p.outgoing {
			return []string{"multicast", "2"}, true
		}
		return nil, false
	}
	if at("ct", "key") == "state" {
		// A group never answers. Peers that are told from both sides do.
		if p.dest.IsMulticast() {
			return []string{"new", "8"}, true
		}
		return []string{"new", "8", "established", "2"}, true
	}
	protocol, field := at("payload", "protocol"), at("payload", "field")
	if (protocol == "ip" && !p.source.Is4()) || (protocol == "ip6" && !p.source.Is6()) {
		return nil, true
	}
	switch protocol + " " + field {
	case "ip saddr", "ip6 saddr":
		return []string{p.source.String()}, true
	case "ip daddr", "ip6 daddr":
		return []string{p.dest.String()}, true
	case "ip protocol", "ip6 nexthdr":
		return p.protocolNames(), true
	case "udp dport", "udp sport", "th dport", "th sport":
		if p.port == 0 {
			return nil, true
		}
		return []string{strconv.Itoa(int(p.port))}, true
	}
	switch protocol {
	case "tcp", "sctp", "dccp", "icmp", "icmpv6", "igmp", "esp", "ah":
		return nil, true
	}
	return nil, false
}

// only is the interface, where the packet has one of that direction.
func (p packet) only(has bool) []string {
	if !has {
		return nil
	}
	return []string{p.on}
}

func (p packet) protocolNames() []string {
	if p.port != 0 {
		return []string{"17", "udp"}
	}
	return []string{strconv.Itoa(p.protocol)}
}

// resolve returns the elements of a set that is named.
func (r ruleset) resolve(right any, name chainName) any {
	if s, ok := right.(string); ok && strings.HasPrefix(s, "@") {
		if elements, known := r.sets[chainName{name.family, name.table, s[1:]}]; known {
			return map[string]any{"set": elements}
		}
	}
	return right
}

// elements returns those of a set, or the one value.
func elements(right any) []any {
	if m, ok := right.(map[string]any); ok {
		if set, ok := m["set"].([]any); ok {
			return set
		}
	}
	if list, ok := right.([]any); ok {
		return list
	}
	return []any{right}
}

// among says whether one of the values is the right side of a condition.
func (r ruleset) among(values []string, right any) truth {
	best := no
	for _, element := range elements(right) {
		for _, value := range values {
			best = max(best, equal(value, element))
		}
	}
	return best
}

func equal(value string, element any) truth {
	switch e := element.(type) {
	case string:
		if strings.HasPrefix(e, "@") {
			return maybe // a set that is not there
		}
		if matched, err := path.Match(e, value); err == nil && matched || e == value {
			return yes
		}
		return no
	case float64:
		return boolean(value == strconv.FormatFloat(e, 'f', -1, 64))
	case map[string]any:
		return compound(value, e)
	}
	return maybe
}

// compound compares with {"prefix": {"addr": ..., "len": ...}}, with
// {"range": [from, to]}, or with an element that has more to it.
func compound(value string, element map[string]any) truth {
	if inner, ok := element["elem"].(map[string]any); ok {
		return equal(value, inner["val"])
	}
	if prefix, ok := element["prefix"].(map[string]any); ok {
		network, err := netip.ParsePrefix(fmt.Sprintf("%v/%v", prefix["addr"], prefix["len"]))
		address, err2 := netip.ParseAddr(value)
		if err != nil || err2 != nil {
			return maybe
		}
		return boolean(network.Contains(address))
	}
	if bounds, ok := element["range"].([]any); ok && len(bounds) == 2 {
		if address, err := netip.ParseAddr(value); err == nil {
			from, err := netip.ParseAddr(fmt.Sprint(bounds[0]))
			to, err2 := netip.ParseAddr(fmt.Sprint(bounds[1]))
			if err != nil || err2 != nil {
				return maybe
			}
			return boolean(from.Compare(address) <= 0 && address.Compare(to) <= 0)
		}
		from, ok := bounds[0].(float64)
		to, ok2 := bounds[1].(float64)
		if n, err := strconv.ParseFloat(value, 64); err == nil && ok && ok2 {
			return boolean(from <= n && n <= to)
		}
	}
	return maybe
}

func boolean(b bool) truth {
	if b {
		return yes
	}
	return no
}
