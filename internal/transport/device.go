package transport

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// device is what is known of an interface.
type device struct {
	name    string
	index   int
	mtu     int
	carrier bool
	address netip.Addr // the primary one: source of our adverts
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
	switch flags := request.Uint16(); {
	case flags&unix.IFF_UP == 0:
		return device{}, fmt.Errorf("interface %s %w: ip link set %[1]s up", name, ErrDown)
	case flags&unix.IFF_MULTICAST == 0:
		return device{}, fmt.Errorf("interface %s %w: ip link set %[1]s multicast on", name, ErrNoMulticast)
	default:
		d.carrier = flags&unix.IFF_RUNNING != 0
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFMTU, request); err != nil {
		return device{}, fmt.Errorf("transport: interface %s: MTU: %w", name, err)
	}
	d.mtu = int(request.Uint32())
	err = unix.IoctlIfreq(fd, unix.SIOCGIFADDR, request)
	if errors.Is(err, unix.EADDRNOTAVAIL) {
		return device{}, fmt.Errorf("interface %s %w, the source of adverts: ip address add ADDRESS/LENGTH dev %[1]s", name, ErrNoAddress)
	} else if err != nil {
		return device{}, fmt.Errorf("transport: interface %s: address: %w", name, err)
	}
	address, err := request.Inet4Addr()
	if err != nil {
		return device{}, fmt.Errorf("transport: interface %s: address: %w", name, err)
	}
	d.address = netip.AddrFrom4([4]byte(address))
	return d, nil
}

func missing(name string) error {
	return fmt.Errorf("interface %s %w: \"ip link\" shows those there are; name one of them as multicast.interface", name, ErrNoInterface)
}
