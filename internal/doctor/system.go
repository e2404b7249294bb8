package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/identity"
	"github.com/ssyncp/ssyncp/internal/ipvsnetlink"
	"github.com/ssyncp/ssyncp/internal/keyring"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// System returns this host, in the network namespace of the process.
func System() Host {
	return Host{
		User:        os.Geteuid(),
		Files:       systemFiles{},
		Device:      func(path string) (Device, error) { return chardev.Open(path) },
		Interfaces:  interfaces,
		SyncDaemons: ipvsnetlink.Daemons,
		SourceTo:    sourceTo,
		Probe:       probe,
		Run: func(ctx context.Context, name string, args ...string) ([]byte, error) {
			return exec.CommandContext(ctx, name, args...).Output()
		},
		Status: func(ctx context.Context, socket string) (admin.Status, error) {
			return admin.NewClient(socket).Status(ctx)
		},
		Key:      keyring.ReadAs,
		Identity: identity.Of,
	}
}

type systemFiles struct{}

func (systemFiles) ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }
func (systemFiles) Readlink(path string) (string, error) { return os.Readlink(path) }

func (systemFiles) Stat(path string) (FileStat, error) {
	var s unix.Stat_t
	if err := unix.Stat(path, &s); err != nil {
		return FileStat{}, err
	}
	kind := s.Mode & unix.S_IFMT
	return FileStat{
		User: int(s.Uid), Group: int(s.Gid), Mode: s.Mode & 0o7777,
		Device: kind == unix.S_IFCHR, Directory: kind == unix.S_IFDIR,
	}, nil
}

func (systemFiles) Glob(pattern string) []string {
	found, err := filepath.Glob(pattern)
	if err != nil {
		return nil // the patterns are ours
	}
	return found
}

// interfaces returns those there are; a host that does not tell has none.
func interfaces() []Interface {
	all, err := net.Interfaces()
	if err != nil {
		return nil
	}
	var list []Interface
	for _, i := range all {
		one := Interface{
			Name: i.Name, Index: i.Index, MTU: i.MTU,
			Up: i.Flags&net.FlagUp != 0, Carrier: i.Flags&net.FlagRunning != 0,
			Multicast: i.Flags&net.FlagMulticast != 0, Loopback: i.Flags&net.FlagLoopback != 0,
		}
		addresses, err := i.Addrs()
		if err != nil {
			continue // it is gone
		}
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				one.Addresses = append(one.Addresses, p)
			}
		}
		list = append(list, one)
	}
	return list
}

// sourceTo connects a UDP socket, which sends nothing.
func sourceTo(to netip.Addr) (netip.Addr, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9)))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("route to %v: %w", to, err)
	}
	defer c.Close()
	from, err := netip.ParseAddrPort(c.LocalAddr().String())
	return from.Addr().Unmap(), err
}
