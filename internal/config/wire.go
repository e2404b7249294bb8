package config

import (
	"fmt"
	"math"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// Wire is the protocol that is sent and understood. Everything but Version is
// for version 2.
type Wire struct {
	Version int // 1 or 2
	Auth    Auth

	// KeyFile has the key to seal with and to open with, AcceptedKeyFile one
	// that opens as well: "" for none. They count with AuthPSK.
	KeyFile         string
	AcceptedKeyFile string

	// DualUntil ends the time in which version 1 is sent and accepted beside
	// version 2; zero for none. It may be in the past.
	DualUntil time.Time

	SenderID    uint32 // 0: derived from the machine's identity
	Name        string // "": the host's name
	JoinTimeout time.Duration
	RingBytes   int
}

// Auth is how a peer proves to be one.
type Auth string

// What wire.auth takes.
const (
	AuthPSK  Auth = "psk"  // with a pre-shared key
	AuthNone Auth = "none" // not at all
)

// Dual reports whether version 1 is spoken beside version 2.
func (w Wire) Dual(now time.Time) bool { return now.Before(w.DualUntil) }

// Limits of what a key takes.
const (
	DualMax        = 7 * 24 * time.Hour // ahead
	JoinTimeoutMin = time.Second
	JoinTimeoutMax = 5 * time.Minute
	RingBytesMin   = 1 << 16 // the longest frame
	RingBytesMax   = 1 << 28 // as many of those as the ring keeps
)

// Warnings returns what is valid and yet worth a line in the log.
func (c Config) Warnings(now time.Time) []string {
	var list []string
	if c.Wire.Version == 2 && c.Wire.Auth == AuthNone {
		list = append(list, `wire.auth = "none": whoever can send on the links can do all that a director can`)
	}
	switch until := c.Wire.DualUntil; {
	case until.IsZero():
	case c.Wire.Dual(now):
		list = append(list, fmt.Sprintf("wire.dual_until: until %s version 1 is sent and accepted, too, which has no authentication",
			until.Format(time.RFC3339)))
	default:
		list = append(list, fmt.Sprintf("wire.dual_until: %s is over, version 1 is not spoken: remove the key", until.Format(time.RFC3339)))
	}
	return list
}

func (p *problems) wire(doc document) Wire {
	w := Wire{
		Version:         int(p.integer("wire.version", doc.Wire.Version, 1, 2, "")),
		Auth:            p.auth(doc.Wire.Auth),
		KeyFile:         p.path("wire.key_file", doc.Wire.KeyFile, "/etc/ssyncp/key"),
		AcceptedKeyFile: p.optionalPath("wire.key_file_accepted", doc.Wire.KeyFileAccepted, "/etc/ssyncp/key.new"),
		DualUntil:       p.dualUntil(doc.Wire.DualUntil),
		SenderID: uint32(p.integer("wire.sender_id", doc.Wire.SenderID, 0, math.MaxUint32,
			"; 0 derives it from the machine's identity")),
		Name:        p.name(doc.Wire.Name),
		JoinTimeout: p.duration("wire.join_timeout", doc.Wire.JoinTimeout, JoinTimeoutMin, JoinTimeoutMax),
		RingBytes:   int(p.integer("wire.ring_bytes", doc.Wire.RingBytes, RingBytesMin, RingBytesMax, "")),
	}
	if w.AcceptedKeyFile != "" && w.AcceptedKeyFile == w.KeyFile {
		p.add("wire.key_file_accepted", w.AcceptedKeyFile, "the same file as wire.key_file: name another one, or remove the key")
	}
	return w
}

func (p *problems) auth(value any) Auth {
	switch s, _ := value.(string); Auth(s) {
	case AuthPSK:
		return AuthPSK
	case AuthNone:
		return AuthNone
	}
	p.add("wire.auth", value, `must be %q, or %q for no authentication at all`, AuthPSK, AuthNone)
	return AuthPSK
}

func (p *problems) dualUntil(value any) time.Time {
	const key = "wire.dual_until"
	if value == "" {
		return time.Time{}
	}
	// TOML has times; elsewhere they are text.
	until, ok := value.(time.Time)
	if s, isText := value.(string); isText {
		t, err := time.Parse(time.RFC3339, s)
		until, ok = t, err == nil
	}
	limit := p.now.Add(DualMax).Truncate(time.Second)
	switch {
	case !ok:
		p.add(key, fmt.Sprint(value), "not a time with its zone: write %q", p.now.Add(24*time.Hour).Format(time.RFC3339))
	case until.After(limit):
		p.add(key, until.Format(time.RFC3339), "too far ahead: must be within %d days, that is until %s; version 1 has no authentication",
			DualMax/(24*time.Hour), limit.Format(time.RFC3339))
	}
	return until
}

func (p *problems) name(value any) string {
	const key = "wire.name"
	s, ok := value.(string)
	switch {
	case !ok:
		p.add(key, value, "not a text: write %q", "lb1")
	case len(s) > block.MaxName:
		p.add(key, value, "too long: must be at most %d bytes", block.MaxName)
	case !block.ValidName([]byte(s)):
		p.add(key, value, "not a name: must be UTF-8 without control characters")
	}
	return s
}

// version refuses what version 1 would silently not do, and a time of two
// versions without a link for the older one.
func (p *problems) version(c Config, linksGiven bool) {
	const only = "only version 2 has it: set wire.version = 2, or remove the key"
	if c.Wire.Version == 2 {
		if _, ok := c.Version1Link(); !ok && !c.Wire.DualUntil.IsZero() {
			p.add("wire.dual_until", c.Wire.DualUntil.Format(time.RFC3339),
				"no link is one for version 1: it needs an IPv4 multicast group and no udp_port")
		}
		return
	}
	if linksGiven {
		p.add("links", nil, "only version 2 has several links: set wire.version = 2, or name one link in multicast.interface")
	}
	if c.Wire.Auth == AuthNone {
		p.add("wire.auth", string(c.Wire.Auth), only+"; version 1 is never authenticated")
	}
	if !c.Wire.DualUntil.IsZero() {
		p.add("wire.dual_until", c.Wire.DualUntil.Format(time.RFC3339), only)
	}
	for _, key := range append(c.Filter.differences(Filter{}), c.Conntrack.differences(Conntrack{})...) {
		p.add(key, nil, only)
	}
}
