package config

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ifNameMax is IFNAMSIZ without its terminating zero.
const ifNameMax = 15

// config judges every value and keeps the valid ones.
func (p *problems) config(doc document) Config {
	return Config{
		SyncID: uint8(p.syncID(doc.SyncID)),
		Device: Device{
			Path:   p.path("device.path", doc.Device.Path),
			Period: p.duration("device.period", doc.Device.Period, PeriodMin, PeriodMax),
		},
		Multicast: Multicast{
			Interface: p.interfaceName(doc.Multicast.Interface),
			Group:     p.group(doc.Multicast.Group),
			TTL:       p.ttl(doc.Multicast.TTL),
			MaxPPS:    p.integer("multicast.max_pps", doc.Multicast.MaxPPS, 1, MaxPPSMax, ""),
		},
		Wire: Wire{Version: p.version(doc.Wire.Version)},
		Log:  Log{Level: p.level(doc.Log.Level)},
	}
}

func (p *problems) syncID(value any) int {
	const why = ": the number that the directors of one cluster share; 0 would take part in every cluster"
	if value == keys[0].preset {
		p.add("sync_id", nil, "not set: must be 1 to 255%s", why)
		return 0
	}
	return p.integer("sync_id", value, 1, 255, why)
}

func (p *problems) ttl(value any) int {
	n, ok := whole(value)
	if !ok || n != ttl {
		p.add("multicast.ttl", value, "must be 255: receivers drop any other, because only 255 proves that no router forwarded the advert; remove the key")
	}
	return ttl
}

func (p *problems) version(value any) int {
	n, ok := whole(value)
	if !ok || n != 1 {
		p.add("wire.version", value, "must be 1, the only version there is; remove the key")
	}
	return 1
}

// integer takes a whole number between least and most.
func (p *problems) integer(key string, value any, least, most int, why string) int {
	n, ok := whole(value)
	if !ok {
		p.add(key, value, "not a whole number: must be %d to %d%s", least, most, why)
		return least
	}
	if n < int64(least) || n > int64(most) {
		p.add(key, value, "out of range: must be %d to %d%s", least, most, why)
		return least
	}
	return int(n)
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

func (p *problems) path(key string, value any) string {
	s, ok := value.(string)
	if !ok || !filepath.IsAbs(s) {
		p.add(key, value, `not an absolute path: write %q`, "/dev/ssyncp")
	}
	return s
}

func (p *problems) interfaceName(value any) string {
	const key = "multicast.interface"
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
