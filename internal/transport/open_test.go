package transport_test

import (
	"errors"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/transport"
)

func TestOpenSaysWhatIsWrong(t *testing.T) {
	l := newLab(t)
	l.here.IP(t, "link add down0 type veth peer name down1")
	l.here.IP(t, "link add bare0 type veth peer name bare1")
	l.here.IP(t, "link set bare0 up")
	l.here.IP(t, "link add old0 type veth peer name old1")
	l.here.IP(t, "link set old0 up")
	l.here.Set(t, "ipv6/conf/old0/disable_ipv6", "1")
	address := netip.MustParseAddr
	peers := func(addresses ...string) func(*transport.Options) {
		return func(o *transport.Options) {
			o.Interface, o.Group, o.Peers = "", netip.Addr{}, nil
			for _, a := range addresses {
				o.Peers = append(o.Peers, address(a))
			}
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*transport.Options) // of IPv4 multicast
		err    error
		says   string
	}{
		{"missing", func(o *transport.Options) { o.Interface = "eth9" }, transport.ErrNoInterface, "interface eth9 does not exist"},
		{"not a name", func(o *transport.Options) { o.Interface = "a-name-much-too-long" }, transport.ErrNoInterface, "a-name-much-too-long"},
		{"down", func(o *transport.Options) { o.Interface = "down0" }, transport.ErrDown, "interface down0 is down: ip link set down0 up"},
		{"without address", func(o *transport.Options) { o.Interface = "bare0" }, transport.ErrNoAddress, "ip address add ADDRESS/LENGTH dev bare0"},
		{"without link-local address", func(o *transport.Options) { o.Interface, o.Group = "eth1", address("ff02::5353") },
			transport.ErrNoAddress, "interface eth1 has no address of IPv6 that is link-local"},
		{"without IPv6", func(o *transport.Options) { o.Interface, o.Group = "old0", address("ff02::5353") },
			transport.ErrNoIPv6, "sysctl net.ipv6.conf.old0.disable_ipv6=0"},
		{"without multicast", func(o *transport.Options) { o.Interface = "lo" }, transport.ErrNoMulticast, "ip link set lo multicast on"},
		{"MTU too small", func(o *transport.Options) { o.Interface, o.MaxSize = "eth1", 1481 }, transport.ErrMTU, "1500 bytes, an advert takes 1501: ip link set eth1 mtu 1501"},
		{"group not multicast", func(o *transport.Options) { o.Group = address("10.0.0.1") }, transport.ErrGroup, "10.0.0.1"},
		{"group not multicast, IPv6", func(o *transport.Options) { o.Group = address("fd00::1") }, transport.ErrGroup, "fd00::1"},
		{"group without interface", func(o *transport.Options) { o.Interface = "" }, transport.ErrNoInterface, "group 224.0.0.81 takes an interface"},
		{"port out of range", func(o *transport.Options) { o.Port = 65536 }, transport.ErrPort, "65536"},
		{"TTL out of range", func(o *transport.Options) { o.TTL = 256 }, transport.ErrTTL, "256"},
		{"TTL of a group", func(o *transport.Options) { o.TTL = 254 }, transport.ErrTTL, "254"},
		{"neither group nor peers", peers(), transport.ErrPeers, "neither a group nor peers"},
		{"group and peers", func(o *transport.Options) { o.Peers = []netip.Addr{address("192.0.2.1")} }, transport.ErrPeers, "224.0.0.81"},
		{"families mixed", peers("192.0.2.1", "fd00:1::1"), transport.ErrPeers, "192.0.2.1 and fd00:1::1 are of two families"},
		{"a peer twice", peers("192.0.2.1", "192.0.2.1"), transport.ErrPeers, "192.0.2.1 is there twice"},
		{"a peer that is a group", peers("224.0.0.81"), transport.ErrPeers, "224.0.0.81 is no host's address"},
		{"a peer that is us", peers("192.0.2.1", "198.51.100.2"), transport.ErrPeers, "198.51.100.2 is an address of this host"},
		{"a link-local peer without interface", peers("fe80::1"), transport.ErrPeers, "fe80::1 is link-local"},
		{"a peer with a zone", peers("fe80::1%eth0"), transport.ErrPeers, "write fe80::1"},
		{"no route", peers("203.0.113.1", "203.0.113.2"), transport.ErrNoRoute, "ip route get 203.0.113.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := modes[0].options()
			tt.change(&o)
			var err error
			l.here.Do(t, func() { _, err = transport.Open(o) })
			if !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("err = %v", err)
			}
		})
	}
}

// An address that the kernel still looks for duplicates of can be used in a
// moment, one that has a duplicate cannot.
func TestAddressBeingCheckedIsToldFromADuplicate(t *testing.T) {
	l := newLab(t)
	l.here.Set(t, "ipv6/conf/eth1/accept_dad", "1")
	o := modes[0].options()
	o.Interface, o.Group = "eth1", netip.MustParseAddr("ff02::5353")
	open := func() error {
		var link *transport.Link
		var err error
		l.here.Do(t, func() { link, err = transport.Open(o) })
		if err == nil {
			link.Close()
		}
		return err
	}
	until := func(t *testing.T, want error) {
		t.Helper()
		var err error
		for range 400 {
			if err = open(); errors.Is(err, want) || want == nil && err == nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Errorf("err = %v, want %v", err, want)
	}

	l.here.IP(t, "address add fe80::2/64 dev eth1")
	if err := open(); !errors.Is(err, transport.ErrTentative) || !strings.Contains(err.Error(), "interface eth1") || !strings.Contains(err.Error(), "fe80::2") {
		t.Errorf("while it is checked: %v", err)
	}
	until(t, nil)
	l.here.IP(t, "address delete fe80::2/64 dev eth1")

	addIPv6(t, l.peer, "fe80::3", "eth1")
	l.here.IP(t, "address add fe80::3/64 dev eth1")
	until(t, transport.ErrDuplicate)
	if err := open(); err == nil || !strings.Contains(err.Error(), "another host on the link has fe80::3") {
		t.Errorf("a duplicate: %v", err)
	}
}

// Two links may share a port where one is of IPv4 and the other of IPv6.
func TestAPortInUseIsNamed(t *testing.T) {
	l := newLab(t)
	for _, m := range modes {
		if !m.udp || m.unicast {
			continue
		}
		open(t, l.here, m.options())
		var err error
		l.here.Do(t, func() { _, err = transport.Open(m.options()) })
		if !errors.Is(err, transport.ErrPortInUse) || !strings.Contains(err.Error(), "8848") {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}

func TestMissingCapabilityIsNamed(t *testing.T) {
	l := newLab(t)
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			var link *transport.Link
			var err error
			l.here.Do(t, func() {
				// Of this thread alone, which ends with Do.
				if err = dropNetRaw(); err == nil {
					link, err = transport.Open(m.options())
				}
			})
			switch {
			case m.udp && err == nil:
				link.Close() // it takes none
			case m.udp || !errors.Is(err, transport.ErrPermission) || !strings.Contains(err.Error(), "CAP_NET_RAW"):
				t.Errorf("err = %v", err)
			}
		})
	}
}

func dropNetRaw() error {
	runtime.LockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	data[0].Effective &^= 1 << unix.CAP_NET_RAW
	return unix.Capset(&header, &data[0])
}
