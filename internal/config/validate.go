package config

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ssyncp/ssyncp/internal/logging"
)

// defaultGroup is what adverts of both versions go to.
var defaultGroup = netip.AddrFrom4([4]byte{224, 0, 0, 81})

// ifNameMax is IFNAMSIZ without its terminating zero.
const ifNameMax = 15

// config judges every value and keeps the valid ones.
func (p *problems) config(doc document) Config {
	c := Config{
		SyncID: uint8(p.syncID(doc.SyncID)),
		Device: Device{
			Path:   p.path("device.path", doc.Device.Path, "/dev/ssyncp"),
			Period: p.duration("device.period", doc.Device.Period, PeriodMin, PeriodMax),
			Linger: p.duration("device.linger", doc.Device.Linger, 0, LingerMax),
		},
	}
	tables, linksGiven := p.linkTables(doc.Links)
	c.Multicast = p.multicast(doc, linksGiven)
	c.Wire = p.wire(doc)
	if linksGiven {
		c.Links = p.links(tables, c.Wire.Auth)
	} else {
		c.Links = []Link{{Interface: c.Multicast.Interface, Group: c.Multicast.Group, TTL: c.Multicast.TTL}}
	}
	c.Filter = p.filter(doc)
	c.Conntrack = p.conntrack(doc)
	c.Admin = Admin{Socket: p.socket(doc.Admin.Socket)}
	c.Metrics = p.metrics(doc)
	c.VRRP = p.vrrp(doc)
	c.Log = Log{Level: p.level(doc.Log.Level), Format: p.format(doc.Log.Format)}
	p.files(c)
	p.version(c, linksGiven)
	return c
}

// multicast judges the one link that is not in a list. Where there is a list,
// only the pace is of use.
func (p *problems) multicast(doc document, linksGiven bool) Multicast {
	m := Multicast{Group: defaultGroup, TTL: ttl}
	if linksGiven {
		for _, key := range []string{"multicast.interface", "multicast.group"} {
			if p.origins.set(key) {
				p.add(key, nil, "set beside links: a link is in one of the two places; remove this key, or move it into a [[links]]")
			}
		}
	} else {
		m.Interface = p.interfaceName("multicast.interface", doc.Multicast.Interface)
		m.Group = p.group(doc.Multicast.Group)
	}
	p.ttl(doc.Multicast.TTL)
	m.MaxPPS = int(p.integer("multicast.max_pps", doc.Multicast.MaxPPS, 1, MaxPPSMax, ""))
	return m
}

func (p *problems) syncID(value any) int64 {
	const why = ": the number that the directors of one cluster share; 0 would take part in every cluster"
	if value == keys[0].preset {
		p.add("sync_id", nil, "not set: must be 1 to 255%s", why)
		return 0
	}
	return p.integer("sync_id", value, 1, 255, why)
}

func (p *problems) ttl(value any) {
	n, ok := whole(value)
	if !ok || n != ttl {
		p.add("multicast.ttl", value, "must be 255: receivers drop any other, because only 255 proves that no router forwarded the advert; remove the key")
	}
}

// integer takes a whole number between least and most.
func (p *problems) integer(key string, value any, least, most int64, why string) int64 {
	n, ok := whole(value)
	if !ok {
		p.add(key, value, "not a whole number: must be %d to %d%s", least, most, why)
		return least
	}
	if n < least || n > most {
		p.add(key, value, "out of range: must be %d to %d%s", least, most, why)
		return least
	}
	return n
}

// whole is a number as the file or a text has it, and nothing like one.
func whole(value any) (int64, bool) {
	switch n := value.(type) {
	case int:
		return int64(n), true
	case int64:
		return n, true
	case string:
		i, err := strconv.ParseInt(n, 10, 64)
		return i, err == nil
	}
	return 0, false
}

func (p *problems) duration(key string, value any, least, most time.Duration) time.Duration {
	if n, ok := whole(value); ok {
		p.add(key, value, `a duration without a unit: write "%dms" or "%ds"`, n, n)
		return least
	}
	s, ok := value.(string)
	d, err := time.ParseDuration(s)
	switch {
	case !ok || err != nil:
		p.add(key, value, `not a duration: write "100ms" or "1s"`)
		return least
	case d < least || d > most:
		p.add(key, value, "out of range: must be %v to %v", least, most)
		return least
	}
	return d
}

func (p *problems) path(key string, value any, such string) string {
	s, ok := value.(string)
	if !ok || !filepath.IsAbs(s) {
		p.add(key, value, `not an absolute path: write %q`, such)
	}
	return s
}

func (p *problems) optionalPath(key string, value any, such string) string {
	if value == "" {
		return ""
	}
	return p.path(key, value, such)
}

func (p *problems) socket(value any) string {
	const key = "admin.socket"
	if value == "" {
		return ""
	}
	before := len(p.list)
	s := p.path(key, value, DefaultSocket)
	if len(p.list) == before && len(s) > socketMax {
		p.add(key, value, "too long: the path of a socket is at most %d bytes", socketMax)
	}
	return s
}

func (p *problems) vrrp(doc document) VRRP {
	return VRRP{
		FIFO:      p.optionalPath("vrrp.fifo", doc.VRRP.FIFO, "/run/ssyncp/vrrp.fifo"),
		TrackFile: p.optionalPath("vrrp.track_file", doc.VRRP.TrackFile, DefaultTrackFile),
	}
}

// files looks for one path in the places of two files that the daemon makes.
func (p *problems) files(c Config) {
	files := []struct{ key, path string }{
		{"admin.socket", c.Admin.Socket}, {"metrics.listen", ""}, {"vrrp.fifo", c.VRRP.FIFO}, {"vrrp.track_file", c.VRRP.TrackFile},
	}
	if c.Metrics.Listen.Network == "unix" {
		files[1].path = c.Metrics.Listen.Address
	}
	for i, one := range files {
		for _, before := range files[:i] {
			if one.path != "" && filepath.Clean(one.path) == filepath.Clean(before.path) {
				p.add(one.key, one.path, "the same file as %s: name another one", before.key)
				break
			}
		}
	}
}

func (p *problems) interfaceName(key string, value any) string {
	s, ok := value.(string)
	switch {
	case s == "" && ok:
		p.add(key, nil, "not set: name the interface that the directors share, such as %q", "eth1")
	case !ok || len(s) > ifNameMax || strings.ContainsAny(s, "/ \t\n"):
		p.add(key, value, "not an interface name: `ip link` shows those there are")
	}
	return s
}

func (p *problems) group(value any) netip.Addr {
	const key = "multicast.group"
	s, _ := value.(string)
	addr, err := netip.ParseAddr(s)
	switch {
	case err != nil || !addr.Is4():
		p.add(key, value, "not an IPv4 address: write %q", "224.0.0.81")
	case !addr.IsMulticast():
		p.add(key, value, "not a multicast address: must be in 224.0.0.0/4, such as %q", "224.0.0.81")
	}
	return addr
}

func (p *problems) level(value any) slog.Level {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	s, _ := value.(string)
	level, ok := levels[s]
	if !ok {
		p.add("log.level", value, "not a level: must be debug, info, warn or error")
	}
	return level
}

func (p *problems) format(value any) logging.Format {
	s, _ := value.(string)
	format := logging.Format(s)
	if format != logging.Text && format != logging.JSON {
		p.add("log.format", value, "not a format: must be %s or %s", logging.Text, logging.JSON)
	}
	return format
}
