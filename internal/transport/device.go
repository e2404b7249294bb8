package transport

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// device is what is known of an interface. There is none where the index is 0.
type device struct {
	name      string
	index     int
	mtu       int
	carrier   bool
	multicast bool
}

// lookup asks for one interface by ioctl: unlike a netlink dump its cost does
// not grow with their number, and Check asks every second.
func lookup(name string) (device, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return device{}, fmt.Errorf("transport: socket: %w", err)
	}
	defer unix.Close(fd)

	d := device{name: name}
	request, err := unix.NewIfreq(name)
	if err != nil {
		return device{}, missing(name)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request); err != nil {
		return device{}, missing(name)
	}
	d.index = int(request.Uint32())
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, request); err != nil {
		return device{}, missing(name)
	}
	flags := request.Uint16()
	if flags&unix.IFF_UP == 0 {
		return device{}, fmt.Errorf("interface %s %w: ip link set %[1]s up", name, ErrDown)
	}
	d.carrier = flags&unix.IFF_RUNNING != 0
	d.multicast = flags&unix.IFF_MULTICAST != 0
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFMTU, request); err != nil {
		return device{}, fmt.Errorf("transport: interface %s: MTU: %w", name, err)
	}
	d.mtu = int(request.Uint32())
	return d, nil
}

func missing(name string) error {
	return fmt.Errorf("interface %s %w: \"ip link\" shows those there are; name one of them", name, ErrNoInterface)
}

// bind binds a socket to the interface.
func (d device) bind(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, d.index); err != nil {
		return fmt.Errorf("interface %s: %w", d.name, err)
	}
	return nil
}

// address returns the one that datagrams to a group come from: the primary one
// of IPv4, the link-local one of IPv6.
func (d device) address(ipv6 bool) (netip.Addr, error) {
	if !d.multicast {
		return netip.Addr{}, fmt.Errorf("interface %s %w: ip link set %[1]s multicast on", d.name, ErrNoMulticast)
	}
	if ipv6 {
		return d.linkLocal()
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("transport: socket: %w", err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(d.name)
	if err != nil {
		return netip.Addr{}, missing(d.name)
	}
	err = unix.IoctlIfreq(fd, unix.SIOCGIFADDR, request)
	if errors.Is(err, unix.EADDRNOTAVAIL) {
		return netip.Addr{}, fmt.Errorf("interface %s %w of IPv4, the source of datagrams: ip address add ADDRESS/LENGTH dev %[1]s", d.name, ErrNoAddress)
	} else if err != nil {
		return netip.Addr{}, fmt.Errorf("transport: interface %s: address: %w", d.name, err)
	}
	address, err := request.Inet4Addr()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("transport: interface %s: address: %w", d.name, err)
	}
	return netip.AddrFrom4([4]byte(address)), nil
}
