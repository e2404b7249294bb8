package transport

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// route is how the kernel sends to an address.
type route struct {
	source netip.Addr
	mtu    int
}

// discard is the port that the kernel is asked about. Nothing is sent there.
const discard = 9

// routeTo asks the kernel by connecting a UDP socket, which sends nothing: one
// question for address and MTU, whatever the tables and rules are.
func routeTo(to netip.Addr, d device) (route, error) {
	family, level, option := unix.AF_INET, unix.IPPROTO_IP, unix.IP_MTU
	if to.Is6() {
		family, level, option = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_MTU
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return route{}, fmt.Errorf("transport: socket: %w", err)
	}
	defer unix.Close(fd)
	if d.index != 0 {
		if err := d.bind(fd); err != nil {
			return route{}, fmt.Errorf("transport: %w", err)
		}
	}
	var address unix.Sockaddr = &unix.SockaddrInet6{Port: discard, ZoneId: uint32(d.index), Addr: to.As16()}
	if to.Is4() {
		address = &unix.SockaddrInet4{Port: discard, Addr: to.As4()}
	}
	if err := unix.Connect(fd, address); err != nil {
		return route{}, fmt.Errorf("route to %v: %w", to, err)
	}
	local, err := unix.Getsockname(fd)
	if err != nil {
		return route{}, fmt.Errorf("route to %v: source address: %w", to, err)
	}
	mtu, err := unix.GetsockoptInt(fd, level, option)
	if err != nil {
		return route{}, fmt.Errorf("route to %v: MTU: %w", to, err)
	}
	r := route{mtu: mtu}
	switch local := local.(type) {
	case *unix.SockaddrInet4:
		r.source = netip.AddrFrom4(local.Addr)
	case *unix.SockaddrInet6:
		r.source = netip.AddrFrom16(local.Addr)
	}
	return r, nil
}
