package transport

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// Namespaces show what drops what; here is what the kernel does not leave out.
func TestWhatIsNotVerifiedIsDropped(t *testing.T) {
	group, peer := netip.MustParseAddr("224.0.0.81"), netip.MustParseAddr("192.0.2.1")
	f := filter{ifIndex: 3, elsewhere: func(ifIndex int) bool { return ifIndex == 4 }, group: group, maxSize: 100}
	whole := arrival{ifIndex: 3, destination: group, ttl: 255, hasInfo: true, hasTTL: true}
	if drop, ok := f.judge(100, peer, &whole); !ok {
		t.Fatalf("dropped as %v", dropNames[drop])
	}
	for _, tt := range []struct {
		name   string
		size   int
		change func(*arrival)
		drop   Drop
	}{
		{"no word of the interface", 100, func(a *arrival) { a.hasInfo = false }, DropUnverified},
		{"no word of the TTL", 100, func(a *arrival) { a.hasTTL = false }, DropUnverified},
		{"another interface", 100, func(a *arrival) { a.ifIndex = 5 }, DropInterface},
		{"the interface of another link", 100, func(a *arrival) { a.ifIndex = 4 }, notOurs},
		{"too long", 101, func(*arrival) {}, DropTooLong},
		{"cut by the kernel", 100, func(a *arrival) { a.truncated = true }, DropTooLong},
	} {
		a := whole
		tt.change(&a)
		if drop, ok := f.judge(tt.size, peer, &a); ok || drop != tt.drop {
			t.Errorf("%s: taken %v, %d", tt.name, ok, drop)
		}
	}
}

func TestBehindHeader(t *testing.T) {
	packet := make([]byte, 80)
	packet[0] = 0x45
	with := func(first byte, n int) []byte { return append([]byte{first}, packet[1:n]...) }
	for _, tt := range []struct {
		name   string
		packet []byte
		rest   int // -1: none
	}{
		{"plain", with(0x45, 80), 60},
		{"with options", with(0x4f, 80), 20},
		{"nothing behind it", with(0x45, 20), 0},
		{"empty", nil, -1},
		{"half a header", with(0x45, 19), -1},
		{"IPv6", with(0x65, 80), -1},
		{"header length under 20", with(0x44, 80), -1},
		{"header length past the end", with(0x4f, 30), -1},
	} {
		rest, ok := behindHeader(tt.packet)
		if ok != (tt.rest >= 0) || ok && len(rest) != tt.rest {
			t.Errorf("%s: %d bytes, %v", tt.name, len(rest), ok)
		}
	}
}

func TestControlMessages(t *testing.T) {
	u32 := func(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }
	host, group := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("224.0.0.81")
	group6 := netip.MustParseAddr("ff02::5353")
	overflow := controlMessage(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, u32(9))
	for _, tt := range []struct {
		name string
		oob  []byte
		want arrival
	}{
		{"IPv4", slices.Concat(overflow,
			controlMessage(unix.IPPROTO_IP, unix.IP_PKTINFO, slices.Concat(u32(3), host.AsSlice(), group.AsSlice())),
			controlMessage(unix.IPPROTO_IP, unix.IP_TTL, u32(254)),
			controlMessage(unix.IPPROTO_IP, unix.IP_RECVFRAGSIZE, u32(1500)),
		), arrival{
			ifIndex: 3, local: host, destination: group, ttl: 254, overruns: 9,
			hasInfo: true, hasTTL: true, hasOverruns: true, fragmented: true,
		}},
		{"IPv6", slices.Concat(overflow,
			controlMessage(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, slices.Concat(group6.AsSlice(), u32(4))),
			controlMessage(unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, u32(255)),
			controlMessage(unix.IPPROTO_IPV6, unix.IPV6_RECVFRAGSIZE, u32(1500)),
		), arrival{
			ifIndex: 4, destination: group6, ttl: 255, overruns: 9,
			hasInfo: true, hasTTL: true, hasOverruns: true, fragmented: true,
		}},
		{"an unknown one before", slices.Concat(controlMessage(unix.SOL_SOCKET, 29, make([]byte, 16)), overflow),
			arrival{overruns: 9, hasOverruns: true}},
		{"zeros", make([]byte, 64), arrival{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseArrival(tt.oob); got != tt.want {
				t.Errorf("got %+v", got)
			}
			if len(tt.oob) > arrivalSize {
				t.Errorf("buffer of %d bytes for %d", arrivalSize, len(tt.oob))
			}
			// Cut anywhere, it says what is there and does not panic.
			for n := range tt.oob {
				if got := parseArrival(tt.oob[:n]); got.fragmented && n < len(tt.oob)-4 {
					t.Errorf("cut at %d: %+v", n, got)
				}
			}
		})
	}
}
