// Package config loads and validates what ssyncpd is told: the keys of a TOML
// file, SSYNCP_* environment variables and flags.
//
// A flag beats the environment, the environment beats the file, the file
// beats the default. Every load starts from nothing: there is no global
// state, so that a reload is the same as a start and a refused one leaves no
// trace.
package config

import (
	"log/slog"
	"net/netip"
	"time"
)

// DefaultFile is read where --config names no other.
const DefaultFile = "/etc/ssyncp/ssyncpd.toml"

// Config is a valid configuration.
type Config struct {
	SyncID    uint8 // 1..255
	Device    Device
	Multicast Multicast
	Wire      Wire
	Log       Log
}

// Device is how the kernel module is reached.
type Device struct {
	Path   string
	Period time.Duration // between two reads
}

// Multicast is the link that directors share.
type Multicast struct {
	Interface string
	Group     netip.Addr // an IPv4 multicast address
	TTL       int        // 255
	MaxPPS    int        // adverts a second, news and snapshots together
}

// Wire is the protocol that is sent and understood.
type Wire struct {
	Version int // 1
}

// Log is what goes to standard error.
type Log struct {
	Level slog.Level
}

// Limits of what a key takes.
const (
	PeriodMin = time.Millisecond
	PeriodMax = 10 * time.Second
	MaxPPSMax = 1000000
	ttl       = 255
)

// Reload returns what a running daemon takes over from next: period, pace and
// log level. The other keys are bound to descriptors and sockets; those that
// differ are returned by name and keep their running value until a restart.
func (c Config) Reload(next Config) (running Config, restart []string) {
	differs := func(key string, is bool) {
		if is {
			restart = append(restart, key)
		}
	}
	differs("sync_id", c.SyncID != next.SyncID)
	differs("device.path", c.Device.Path != next.Device.Path)
	differs("multicast.interface", c.Multicast.Interface != next.Multicast.Interface)
	differs("multicast.group", c.Multicast.Group != next.Multicast.Group)
	differs("wire.version", c.Wire.Version != next.Wire.Version)

	running = c
	running.Device.Period = next.Device.Period
	running.Multicast.MaxPPS = next.Multicast.MaxPPS
	running.Log = next.Log
	return running, restart
}
