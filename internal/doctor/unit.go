package doctor

import (
	"net/netip"
	"path"
	"slices"
	"strings"
)

// unitFile is what counts of the systemd unit and its drop-ins.
type unitFile struct {
	path        string // "": there is none
	user        string
	deny, allow []string
	allowsLinks bool // it looks for the networks of the links before each start
}

// Where units are, the first one wins. Those of "control" are of
// `systemctl set-property`.
var unitDirectories = []string{"/etc/systemd/system.control", "/run/systemd/system.control", "/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

const unitName = "ssyncpd.service"

// readUnit reads the unit. Drop-ins come behind it, in the order of their names.
func readUnit(files Files) (u unitFile) {
	var texts []string
	dropIns := make(map[string]string)
	for _, directory := range unitDirectories {
		if text, err := files.ReadFile(directory + "/" + unitName); err == nil && u.path == "" {
			u.path = directory + "/" + unitName
			texts = append(texts, string(text))
		}
		for _, file := range files.Glob(directory + "/" + unitName + ".d/*.conf") {
			if _, known := dropIns[path.Base(file)]; known {
				continue
			}
			if text, err := files.ReadFile(file); err == nil {
				dropIns[path.Base(file)] = string(text)
			}
		}
	}
	var names []string
	for name := range dropIns {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		texts = append(texts, dropIns[name])
	}
	if u.path == "" {
		return unitFile{}
	}
	for _, text := range texts {
		u.parse(text)
	}
	return u
}

func (u *unitFile) parse(text string) {
	add := func(list *[]string, value string) {
		if value == "" {
			*list = nil // an empty one takes back what was said
		}
		*list = append(*list, strings.Fields(value)...)
	}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch value = strings.TrimSpace(value); strings.TrimSpace(key) {
		case "User":
			u.user = value
		case "ExecStartPre":
			u.allowsLinks = u.allowsLinks || strings.Contains(value, "IPAddressAllow=")
		case "IPAddressDeny":
			add(&u.deny, value)
		case "IPAddressAllow":
			add(&u.allow, value)
		}
	}
}

// unitNetworks are the words for lists of addresses.
var unitNetworks = map[string][]string{
	"any":        {"0.0.0.0/0", "::/0"},
	"localhost":  {"127.0.0.0/8", "::1/128"},
	"link-local": {"169.254.0.0/16", "fe80::/64"},
	"multicast":  {"224.0.0.0/4", "ff00::/8"},
}

// passes reports whether the unit lets packets of an address through.
func (u unitFile) passes(a netip.Addr) bool { return listed(u.allow, a) || !listed(u.deny, a) }

func listed(list []string, a netip.Addr) bool {
	for _, word := range list {
		networks, known := unitNetworks[word]
		if !known {
			networks = []string{word}
		}
		for _, network := range networks {
			if p, err := netip.ParsePrefix(network); err == nil && p.Contains(a) {
				return true
			} else if one, err := netip.ParseAddr(network); err == nil && one == a {
				return true
			}
		}
	}
	return false
}

// unit looks whether the unit lets packets of the links through. What it does
// not, nobody hears of.
func (x *examination) unit() {
	if x.ownUnit.path == "" {
		return
	}
	x.fact("%s", x.ownUnit.path)
	remedy := "systemctl edit ssyncpd, with [Service] and IPAddressAllow= and the networks of the links; then systemctl restart ssyncpd"
	if x.ownUnit.allowsLinks {
		if x.process == nil {
			return // nobody knows before it starts
		}
		remedy = "systemctl restart ssyncpd, which lets the networks through that the links have now; or " + remedy
	}
	for n, l := range x.Config.Links {
		addresses := slices.Clone(l.Peers)
		if l.Multicast() {
			// Those of peers are like our own one.
			if own, ok := x.interfaces[l.Interface].IPv4(); ok && l.Group.Is4() {
				addresses = append(addresses, own)
			}
			addresses = append(addresses, l.Group)
		}
		for _, a := range addresses {
			if x.ownUnit.passes(a) {
				continue
			}
			x.find(Failure, remedy, "link %d: the unit drops packets of %v without a word (IPAddressDeny=)", n+1, a)
			break
		}
	}
}
