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

	"github.com/ssyncp/ssyncp/internal/logging"
)

// DefaultFile is read where --config names no other; if it is not there, one of
// that name in YAML.
const DefaultFile = "/etc/ssyncp/ssyncpd.toml"

// Config is a valid configuration.
type Config struct {
	SyncID    uint8 // 1..255
	Device    Device
	Multicast Multicast
	Links     []Link // in use: those of [[links]], or the one of [multicast]
	Wire      Wire
	Filter    Filter
	Conntrack Conntrack
	Admin     Admin
	Metrics   Metrics
	VRRP      VRRP
	Log       Log
}

// Device is how the kernel module is reached.
type Device struct {
	Path   string
	Period time.Duration // between two reads
	Linger time.Duration // how long the kernel keeps the queue for the next daemon
}

// Multicast is the link that directors share, and the pace on every link.
type Multicast struct {
	Interface string     // "" where [[links]] has the links
	Group     netip.Addr // an IPv4 multicast address
	TTL       int        // 255
	MaxPPS    int        // adverts a second, news and snapshots together
}

// Admin is how operators reach the running daemon.
type Admin struct {
	Socket string // "" for none
}

// DefaultSocket is in the directory that the systemd unit makes.
const DefaultSocket = "/run/ssyncp/ssyncpd.sock"

// Required reports whether a daemon that cannot have its socket is not to
// start: where somebody chose the path, most likely something depends on it.
// The default is only a service to people. Connections matter more than that:
// a second daemon on the host, or one without a writable /run, goes on without.
// What counts is the path and not where it was set, as the sample file has the
// default, too.
func (a Admin) Required() bool { return a.Socket != "" && a.Socket != DefaultSocket }

// Metrics is where Prometheus and people look at the daemon.
type Metrics struct {
	Listen Listen
	Public bool // Listen need not be of this host alone
}

// Listen is an address to listen on; the zero value is none.
type Listen struct {
	Network string // "unix" or "tcp"
	Address string
}

// VRRP is how keepalived and the daemon tell each other.
type VRRP struct {
	FIFO      string // of roles, "" for none
	TrackFile string // that says whether this director is synced, "" for none
}

// DefaultTrackFile is in the directory that the systemd unit makes.
const DefaultTrackFile = "/run/ssyncp/synced"

// TrackFileRequired reports whether a daemon that cannot have its track file is
// not to start. It is with this file as with the socket: see Admin.Required.
func (v VRRP) TrackFileRequired() bool { return v.TrackFile != "" && v.TrackFile != DefaultTrackFile }

// Log is what goes to standard error.
type Log struct {
	Level  slog.Level
	Format logging.Format
}

// Limits of what a key takes.
const (
	PeriodMin = time.Millisecond
	PeriodMax = 10 * time.Second
	LingerMax = 5 * time.Minute
	MaxPPSMax = 1000000
	ttl       = 255

	socketMax = 107 // bytes of the path of a unix socket
)

// Reload returns what a running daemon takes over from next: period, pace, log
// level, and which files the keys are in, whose contents may have changed even
// where their names have not. The other keys are bound to descriptors, sockets
// and what peers know of this start; those that differ are returned by name and
// keep their running value until a restart.
func (c Config) Reload(next Config) (running Config, restart []string) {
	differs := func(key string, is bool) {
		if is {
			restart = append(restart, key)
		}
	}
	differs("sync_id", c.SyncID != next.SyncID)
	differs("device.path", c.Device.Path != next.Device.Path)
	differs("device.linger", c.Device.Linger != next.Device.Linger)
	differs("multicast.interface", c.Multicast.Interface != next.Multicast.Interface)
	differs("multicast.group", c.Multicast.Group != next.Multicast.Group)
	// The link of [multicast] was named above.
	differs("links", c.Multicast.Interface == "" && next.Multicast.Interface == "" && !sameLinks(c.Links, next.Links))
	differs("wire.version", c.Wire.Version != next.Wire.Version)
	differs("wire.auth", c.Wire.Auth != next.Wire.Auth)
	differs("wire.dual_until", !c.Wire.DualUntil.Equal(next.Wire.DualUntil))
	differs("wire.sender_id", c.Wire.SenderID != next.Wire.SenderID)
	differs("wire.name", c.Wire.Name != next.Wire.Name)
	differs("wire.join_timeout", c.Wire.JoinTimeout != next.Wire.JoinTimeout)
	differs("wire.ring_bytes", c.Wire.RingBytes != next.Wire.RingBytes)
	for _, key := range c.Filter.differences(next.Filter) {
		differs(key, true)
	}
	for _, key := range c.Conntrack.differences(next.Conntrack) {
		differs(key, true)
	}
	differs("admin.socket", c.Admin != next.Admin)
	differs("metrics.listen", c.Metrics.Listen != next.Metrics.Listen)

	differs("log.format", c.Log.Format != next.Log.Format)
	differs("vrrp.fifo", c.VRRP.FIFO != next.VRRP.FIFO)
	differs("vrrp.track_file", c.VRRP.TrackFile != next.VRRP.TrackFile)

	running = c
	running.Device.Period = next.Device.Period
	running.Multicast.MaxPPS = next.Multicast.MaxPPS
	running.Wire.KeyFile = next.Wire.KeyFile
	running.Wire.AcceptedKeyFile = next.Wire.AcceptedKeyFile
	running.Metrics.Public = next.Metrics.Public // of no effect but on what is valid
	running.Log.Level = next.Log.Level
	return running, restart
}
