// Package conntrackd is what the lab knows of conntrackd, which does for a pair of
// firewalls what the daemon does with [conntrack] enabled.
package conntrackd

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
)

// A Config is what differs between one host and the next.
type Config struct {
	Directory string       // for its log, lock and control socket
	Interface string       // the sync link
	Address   netip.Addr   // of this host on it
	Peers     []netip.Addr // the others there
}

// Text returns a configuration file: conntrackd's own example of the mode FT-FW
// over multicast, which is what its manual recommends, for TCP.
func (c Config) Text() string {
	var ignored strings.Builder
	for _, a := range append([]netip.Addr{netip.MustParseAddr("127.0.0.1"), c.Address}, c.Peers...) {
		fmt.Fprintf(&ignored, "\t\t\tIPv4_address %v\n", a)
	}
	file := func(name string) string { return filepath.Join(c.Directory, name) }
	return fmt.Sprintf(`Sync {
	Mode FTFW {
	}
	Multicast {
		IPv4_address 225.0.0.50
		Group 3780
		IPv4_interface %v
		Interface %s
		SndSocketBuffer 1249280
		RcvSocketBuffer 1249280
		Checksum on
	}
}
General {
	HashSize 32768
	HashLimit 131072
	LogFile %s
	LockFile %s
	UNIX {
		Path %s
	}
	NetlinkBufferSize 2097152
	NetlinkBufferSizeMaxGrowth 8388608
	Filter From Userspace {
		Protocol Accept {
			TCP
		}
		Address Ignore {
%s		}
	}
}
`, c.Address, c.Interface, file("log"), file("lock"), file("control"), &ignored)
}
