package config

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/ssyncp/ssyncp/pkg/wire"
)

// Link is a way to the peers: an interface with a multicast group, or with the
// addresses of peers.
type Link struct {
	Interface string
	Group     netip.Addr   // multicast, IPv4 or IPv6; the zero value where there are Peers
	Peers     []netip.Addr // unicast, of one family
	UDPPort   uint16       // at both ends; 0: IP protocol 114
	TTL       int          // of what is sent; 255 with a group
}

// Multicast reports whether the link has a group.
func (l Link) Multicast() bool { return l.Group.IsValid() }

// String describes the link in a line.
func (l Link) String() string {
	to := "group " + l.Group.String()
	if !l.Multicast() {
		peers := make([]string, len(l.Peers))
		for i, peer := range l.Peers {
			peers[i] = peer.String()
		}
		to = "peers " + strings.Join(peers, ", ")
	}
	over := fmt.Sprintf("IP protocol %d", wire.Protocol)
	if l.UDPPort != 0 {
		over = fmt.Sprintf("UDP port %d", l.UDPPort)
	}
	return fmt.Sprintf("%s, %s, %s, TTL %d", l.Interface, to, over, l.TTL)
}

// Version1Link returns the first link that version 1 can use.
func (c Config) Version1Link() (Link, bool) {
	i := slices.IndexFunc(c.Links, func(l Link) bool { return l.Group.Is4() && l.UDPPort == 0 })
	if i < 0 {
		return Link{}, false
	}
	return c.Links[i], true
}

// SharesPort reports whether another link has the UDP port of one, on another
// interface.
func (c Config) SharesPort(l Link) bool {
	return slices.ContainsFunc(c.Links, func(other Link) bool { return l.samePort(other) && l.Interface != other.Interface })
}

// Limits of what a key takes.
const (
	LinksMax = 4
	PeersMax = 63 // a director keeps 64, with room for one that starts anew
)

func sameLinks(a, b []Link) bool {
	return slices.EqualFunc(a, b, func(a, b Link) bool {
		return a.Interface == b.Interface && a.Group == b.Group && slices.Equal(a.Peers, b.Peers) &&
			a.UDPPort == b.UDPPort && a.TTL == b.TTL
	})
}

// linkKeys are those of a link, in the file and in text.
var linkKeys = []string{"interface", "group", "peers", "udp_port", "ttl"}

// linkTables returns the tables of [[links]], from the file or from the text
// that a variable or a flag has:
//
//	eth1,group=224.0.0.81;eth2,peers=10.0.0.2+10.0.0.3,udp_port=7114
//
// It reports whether there is anything.
func (p *problems) linkTables(value any) ([]map[string]any, bool) {
	switch value := value.(type) {
	case string:
		if value == "" {
			return nil, false
		}
		return p.linkText(value), true
	case []any:
		var tables []map[string]any
		for i, element := range value {
			table, ok := element.(map[string]any)
			if !ok {
				p.add(linkKey(i, ""), element, "must be a table: write [[links]] and its keys under it")
			}
			tables = append(tables, table) // nil keeps the numbers of the others
		}
		return tables, len(value) > 0
	}
	p.add("links", nil, "must be a list of tables: write [[links]], with two brackets, for each link")
	return nil, true
}

func (p *problems) linkText(text string) []map[string]any {
	var tables []map[string]any
	for i, link := range strings.Split(text, ";") {
		name, rest, more := strings.Cut(link, ",")
		table := map[string]any{"interface": strings.TrimSpace(name)}
		for more {
			var setting string
			setting, rest, more = strings.Cut(rest, ",")
			key, value, ok := strings.Cut(strings.TrimSpace(setting), "=")
			switch {
			case !ok:
				p.add(linkKey(i, ""), setting, "not a setting: write %q", "eth2,peers=10.0.0.2+10.0.0.3,udp_port=7114")
			case key == "peers":
				var peers []any
				for peer := range strings.SplitSeq(value, "+") {
					peers = append(peers, peer)
				}
				table[key] = peers
			default:
				table[key] = value
			}
		}
		tables = append(tables, table)
	}
	return tables
}

// linkKey names a key of a link; the first link is number 1, to everybody who
// is told of it.
func linkKey(i int, key string) string {
	name := fmt.Sprintf("links[%d]", i+1)
	if key != "" {
		name += "." + key
	}
	return name
}

func (p *problems) links(tables []map[string]any, auth Auth) []Link {
	if len(tables) > LinksMax {
		p.add("links", nil, "too many: %d links, must be at most %d", len(tables), LinksMax)
	}
	var links []Link
	for i, table := range tables {
		if table == nil {
			continue
		}
		link := p.link(i, table, auth)
		if slices.ContainsFunc(links, link.overlaps) {
			p.add(linkKey(i, ""), nil, "has the peers of an earlier link on the same interface: remove one of the two")
		}
		if slices.ContainsFunc(links, link.collides) {
			p.add(linkKey(i, "udp_port"), table["udp_port"], "also that of an earlier link on the same interface: name another one, on all directors")
		}
		links = append(links, link)
	}
	return links
}

// overlaps reports whether somebody would get everything twice over the same
// wire.
func (l Link) overlaps(other Link) bool {
	return l.Interface == other.Interface &&
		(l.Multicast() && l.Group == other.Group ||
			slices.ContainsFunc(l.Peers, func(peer netip.Addr) bool { return slices.Contains(other.Peers, peer) }))
}

// collides reports whether the system would not give both the port.
func (l Link) collides(other Link) bool { return l.samePort(other) && l.Interface == other.Interface }

func (l Link) samePort(other Link) bool {
	return l.UDPPort != 0 && l.UDPPort == other.UDPPort && l.ipv4() == other.ipv4()
}

func (l Link) ipv4() bool { return l.Group.Is4() || len(l.Peers) > 0 && l.Peers[0].Is4() }

func (p *problems) link(i int, table map[string]any, auth Auth) Link {
	at := func(key string) string { return linkKey(i, key) }
	for _, key := range slices.Sorted(maps.Keys(table)) {
		if !slices.Contains(linkKeys, key) {
			p.add(at(key), table[key], "unknown key: remove it, or use one of %s", strings.Join(linkKeys, ", "))
		}
	}
	link := Link{TTL: ttl}
	name, ok := table["interface"]
	if !ok {
		name = ""
	}
	link.Interface = p.interfaceName(at("interface"), name)

	group, hasGroup := table["group"]
	peers, hasPeers := table["peers"]
	switch {
	case hasGroup && hasPeers:
		p.add(at("peers"), nil, "beside a group: a link has one of the two; write another [[links]] for the peers")
	case hasPeers:
		link.Peers = p.peers(at("peers"), peers)
		if auth == AuthNone {
			p.add(at("peers"), nil, `with wire.auth = "none": anybody who can reach this host could pass for a peer; set wire.auth = "psk"`)
		}
	case hasGroup:
		link.Group = p.linkGroup(at("group"), group)
	default:
		link.Group = defaultGroup
	}

	if port, ok := table["udp_port"]; ok {
		link.UDPPort = uint16(p.integer(at("udp_port"), port, 0, math.MaxUint16, "; 0 is none: IP protocol 114"))
	}
	value, ok := table["ttl"]
	switch n, isWhole := whole(value); {
	case !ok:
	case hasPeers:
		link.TTL = int(p.integer(at("ttl"), value, 1, 255, ""))
	case !isWhole || n != ttl:
		p.add(at("ttl"), value, "must be 255 with a group: receivers drop any other, because only 255 proves that no router forwarded the frame; remove the key")
	}
	return link
}

func (p *problems) linkGroup(key string, value any) netip.Addr {
	s, _ := value.(string)
	addr, err := netip.ParseAddr(s)
	switch {
	case err != nil || addr.Is4In6():
		p.add(key, value, "not an address: write %q or %q", defaultGroup, "ff12::81")
	case addr.Zone() != "":
		p.add(key, value, "with a zone: the link's interface says it; write %q", addr.WithZone(""))
	case !addr.IsMulticast():
		p.add(key, value, "not a multicast address: must be in 224.0.0.0/4 or ff00::/8, such as %q or %q", defaultGroup, "ff12::81")
	case addr.IsInterfaceLocalMulticast():
		p.add(key, value, "never leaves this host: write %q", "ff12::81")
	}
	return addr
}

func (p *problems) peers(key string, value any) []netip.Addr {
	list, ok := value.([]any)
	if !ok || len(list) == 0 {
		p.add(key, nil, `must be a list with an address at least: write ["10.0.0.2", "10.0.0.3"]`)
		return nil
	}
	if len(list) > PeersMax {
		p.add(key, nil, "too many: %d peers, must be at most %d", len(list), PeersMax)
	}
	var peers []netip.Addr
	for _, element := range list {
		s, _ := element.(string)
		addr, err := netip.ParseAddr(s)
		switch {
		case err != nil || addr.Is4In6():
			p.add(key, element, "not an address: write %q, and no name", "10.0.0.2")
		case addr.Zone() != "":
			p.add(key, element, "with a zone: the link's interface says it; write %q", addr.WithZone(""))
		case addr.IsMulticast() || addr.IsUnspecified() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
			p.add(key, element, "not the address of one host: a group belongs into group")
		case slices.Contains(peers, addr):
			p.add(key, element, "named twice")
		case len(peers) > 0 && addr.Is4() != peers[0].Is4():
			p.add(key, element, "of another family than %v: write another [[links]] for it", peers[0])
		default:
			peers = append(peers, addr)
		}
	}
	return peers
}
