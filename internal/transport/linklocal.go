package transport

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// allNodes is the group of every IPv6 host on a link.
var allNodes = netip.MustParseAddr("ff02::1")

// linkLocal returns the link-local IPv6 address: the source of what goes to
// this link's hosts.
func (d device) linkLocal() (netip.Addr, error) {
	r, err := routeTo(allNodes, d)
	switch {
	case errors.Is(err, unix.EAFNOSUPPORT):
		return netip.Addr{}, fmt.Errorf("transport: %w in this kernel: boot without ipv6.disable=1, or use a link of IPv4", ErrNoIPv6)
	case err == nil && r.source.IsLinkLocalUnicast():
		return r.source, nil
	case disabledIPv6(d.name):
		return netip.Addr{}, fmt.Errorf("interface %s: %w: sysctl net.ipv6.conf.%[1]s.disable_ipv6=0", d.name, ErrNoIPv6)
	}
	switch address, flags := d.linkLocalFlags(); {
	case flags&unix.IFA_F_DADFAILED != 0:
		return netip.Addr{}, fmt.Errorf("interface %s %w: another host on the link has %v, too: ip address replace fe80::1/64 dev %[1]s, with an address that nobody has",
			d.name, ErrDuplicate, address)
	case flags&unix.IFA_F_TENTATIVE != 0:
		return netip.Addr{}, fmt.Errorf("interface %s %w: %v; that takes a second or two", d.name, ErrTentative, address)
	}
	return netip.Addr{}, fmt.Errorf("interface %s %w of IPv6 that is link-local: ip address add fe80::1/64 dev %[1]s", d.name, ErrNoAddress)
}

// linkLocalFlags returns a link-local address that cannot be used, with the
// kernel's flags of it (IFA_F_*): the kernel sends from what it says is usable.
// There are none where the interface has no such address.
func (d device) linkLocalFlags() (netip.Addr, int) {
	// A line is an address, and in hexadecimal the interface's index, the
	// length of the prefix, the scope and flags; then the interface's name.
	table, err := os.ReadFile("/proc/thread-self/net/if_inet6")
	if err != nil {
		return netip.Addr{}, 0
	}
	for line := range bytes.Lines(table) {
		fields := bytes.Fields(line)
		if len(fields) != 6 || string(fields[5]) != d.name {
			continue
		}
		var address [16]byte
		if n, err := hex.Decode(address[:], fields[0][:min(len(fields[0]), 32)]); n != 16 || err != nil {
			continue
		}
		flags, err := strconv.ParseInt(string(fields[4]), 16, 32)
		if a := netip.AddrFrom16(address); err == nil && a.IsLinkLocalUnicast() {
			return a, int(flags)
		}
	}
	return netip.Addr{}, 0
}

// disabledIPv6 reports whether a setting is why an interface has no IPv6.
func disabledIPv6(name string) bool {
	value, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6")
	return err == nil && bytes.HasPrefix(value, []byte("1"))
}
