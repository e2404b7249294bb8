package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Setting is the value of a key, and where it comes from.
type Setting struct {
	Key    string `json:"key"`
	Value  any    `json:"value"` // a number, a text, true or false, or a list of texts
	Source Source `json:"source"`
	Origin string `json:"origin"` // the file, variable or flag; "" for a default
}

// Source is a kind of place that settings come from.
type Source string

// Sources, from the strongest.
const (
	FromFlag        Source = "flag"
	FromEnvironment Source = "environment"
	FromFile        Source = "file"
	FromDefault     Source = "default"
)

// Show returns all settings that Load would return, in the order of the manual.
// None is secret: keys are in files of their own, which are not looked at.
func Show(flags *pflag.FlagSet) ([]Setting, error) {
	cfg, p, err := judge(flags)
	if err != nil {
		return nil, err
	}
	if len(p.list) > 0 {
		return nil, &Error{Problems: p.list}
	}
	values := cfg.values()
	settings := make([]Setting, len(keys))
	for i, k := range keys {
		settings[i] = Setting{Key: k.name, Value: values[k.name]}
		settings[i].Source, settings[i].Origin = p.origins.source(k)
	}
	return settings, nil
}

// source returns where the value of a key comes from.
func (o origins) source(k key) (Source, string) {
	switch {
	case !o.set(k.name):
		return FromDefault, ""
	case o.flags.Changed(k.flag()):
		return FromFlag, "--" + k.flag()
	case k.inEnvironment():
		return FromEnvironment, k.env()
	}
	return FromFile, o.file
}

// values are those of all keys, as a file could have them.
func (c Config) values() map[string]any {
	links := []string{}
	if c.Multicast.Interface == "" {
		for _, l := range c.Links {
			links = append(links, l.setting())
		}
	}
	dual := ""
	if !c.Wire.DualUntil.IsZero() {
		dual = c.Wire.DualUntil.Format(time.RFC3339)
	}
	listen := c.Metrics.Listen.Address
	if c.Metrics.Listen.Network == "unix" {
		listen = unixPrefix + listen
	}
	return map[string]any{
		"sync_id":                c.SyncID,
		"device.path":            c.Device.Path,
		"device.period":          c.Device.Period.String(),
		"device.linger":          c.Device.Linger.String(),
		"multicast.interface":    c.Multicast.Interface,
		"multicast.group":        c.Multicast.Group.String(),
		"multicast.ttl":          c.Multicast.TTL,
		"multicast.max_pps":      c.Multicast.MaxPPS,
		"links":                  links,
		"wire.version":           c.Wire.Version,
		"wire.auth":              string(c.Wire.Auth),
		"wire.key_file":          c.Wire.KeyFile,
		"wire.key_file_accepted": c.Wire.AcceptedKeyFile,
		"wire.dual_until":        dual,
		"wire.sender_id":         c.Wire.SenderID,
		"wire.name":              c.Wire.Name,
		"wire.join_timeout":      c.Wire.JoinTimeout.String(),
		"wire.ring_bytes":        c.Wire.RingBytes,
		"filter.protocols":       lower(texts(c.Filter.Protocols)),
		"filter.services":        texts(c.Filter.Services),
		"filter.states":          append([]string{}, c.Filter.States...),
		"filter.templates_only":  c.Filter.TemplatesOnly,
		"conntrack.enabled":      c.Conntrack.Enabled,
		"conntrack.protocols":    lower(texts(c.Conntrack.Protocols)),
		"conntrack.networks":     texts(c.Conntrack.Networks),
		"conntrack.except":       texts(c.Conntrack.Except),
		"conntrack.states":       append([]string{}, c.Conntrack.States...),
		"conntrack.without_ipvs": c.Conntrack.WithoutIPVS,
		"admin.socket":           c.Admin.Socket,
		"vrrp.fifo":              c.VRRP.FIFO,
		"vrrp.track_file":        c.VRRP.TrackFile,
		"metrics.listen":         listen,
		"metrics.public":         c.Metrics.Public,
		"log.format":             string(c.Log.Format),
		"log.level":              strings.ToLower(c.Log.Level.String()),
	}
}

// texts returns a list as a file could have it: not nil.
func texts[T fmt.Stringer](list []T) []string {
	all := make([]string, len(list))
	for i, one := range list {
		all[i] = one.String()
	}
	return all
}

func lower(list []string) []string {
	for i := range list {
		list[i] = strings.ToLower(list[i])
	}
	return list
}

// setting is the link as a variable or a flag has it.
func (l Link) setting() string {
	text := l.Interface
	if l.Multicast() {
		text += ",group=" + l.Group.String()
	} else {
		peers := make([]string, len(l.Peers))
		for i, peer := range l.Peers {
			peers[i] = peer.String()
		}
		text += ",peers=" + strings.Join(peers, "+")
	}
	if l.UDPPort != 0 {
		text += fmt.Sprintf(",udp_port=%d", l.UDPPort)
	}
	return fmt.Sprintf("%s,ttl=%d", text, l.TTL)
}
