package doctor

import (
	"context"
	"net/netip"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/identity"
	"github.com/ssyncp/ssyncp/internal/ipvsnetlink"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// Host is what a director is asked by. [System] has the real one.
type Host struct {
	User  int // that asks, by its number
	Files Files

	Device     func(path string) (Device, error)
	Interfaces func() []Interface

	// SyncDaemons returns those of the kernel.
	SyncDaemons func() ([]SyncDaemon, error)

	// SourceTo returns the address that this host sends from to another one.
	SourceTo func(netip.Addr) (netip.Addr, error)

	// Probe sends something to the group of a link that does not leave this
	// host and, to hear it, waits until it comes in. Its errors are
	// errNotHeard, errSendDropped, and what kept it from being sent.
	Probe func(ctx context.Context, link config.Link, on Interface, hear bool) error

	// Run runs a program, and returns what it writes.
	Run func(ctx context.Context, name string, args ...string) ([]byte, error)

	Status   func(ctx context.Context, socket string) (admin.Status, error)
	Key      func(path string, user int) (frame.Key, error) // as that user would read it
	Identity func(senderID uint32, name string) (identity.Identity, error)
}

// Device is the kernel module's.
type Device interface {
	Stats(*chardev.Stats) error
	Close() error
}

// SyncDaemon is one of the kernel.
type SyncDaemon = ipvsnetlink.Daemon

// Interface is a network interface.
type Interface struct {
	Name      string
	Index     int
	MTU       int
	Up        bool
	Carrier   bool
	Multicast bool
	Loopback  bool
	Addresses []netip.Prefix
}

// IPv4 returns the first address, which multicast comes from.
func (i Interface) IPv4() (netip.Addr, bool) {
	for _, p := range i.Addresses {
		if p.Addr().Is4() {
			return p.Addr(), true
		}
	}
	return netip.Addr{}, false
}

// has reports whether an address is one of the interface.
func (i Interface) has(a netip.Addr) bool {
	for _, p := range i.Addresses {
		if p.Addr() == a {
			return true
		}
	}
	return false
}

// near reports whether an address is in one of the interface's networks.
func (i Interface) near(a netip.Addr) bool {
	for _, p := range i.Addresses {
		if p.Masked().Contains(a) {
			return true
		}
	}
	return false
}

// Files are those of the host, among them /proc and /sys, by their absolute
// paths.
type Files interface {
	ReadFile(path string) ([]byte, error)
	Stat(path string) (FileStat, error)
	Glob(pattern string) []string
	Readlink(path string) (string, error)
}

// FileStat is whose a file is, and for whom.
type FileStat struct {
	User, Group int
	Mode        uint32 // the permission bits
	Device      bool   // a character device
	Directory   bool
}
