package transport

import (
	"net/netip"
	"slices"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What a router said of a path is forgotten, the next word about it counts, and
// the smallest of all paths decides.
func TestAReportedMTUExpires(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	r := newReports(&Options{Peers: []netip.Addr{a, b}, Counters: NewCounters()})
	say := func(peer netip.Addr, mtu int) { r.add(PeerReport{Peer: peer, Kind: PeerFragNeeded, MTU: mtu}) }
	want := func(mtu int) {
		t.Helper()
		if got := r.limit(1500); got != mtu {
			t.Errorf("limited to %d, want %d", got, mtu)
		}
	}
	want(1500)
	say(a, 1400)
	say(b, 1300)
	want(1300)
	say(b, 1450)
	want(1400)
	say(a, 68)
	want(ipv4Least)
	say(netip.MustParseAddr("192.0.2.3"), 600) // no peer
	r.lowered[0].until = time.Now().Add(-time.Second)
	want(1450)
	r.lowered[1].until = time.Now().Add(-time.Second)
	want(1500)
}

func TestErrorMessages(t *testing.T) {
	message := func(level, kind int32, e unix.SockExtendedErr, offender []byte) []byte {
		raw := (*[sizeofExtendedErr]byte)(unsafe.Pointer(&e))
		return controlMessage(level, kind, slices.Concat(raw[:], offender))
	}
	v4 := []byte{unix.AF_INET, 0, 0, 0, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0}
	router6 := netip.MustParseAddr("fd00::1")
	v6 := slices.Concat([]byte{unix.AF_INET6, 0, 0, 0, 0, 0, 0, 0}, router6.AsSlice(), make([]byte, 4))
	for _, tt := range []struct {
		name string
		oob  []byte
		want PeerReport
		ok   bool
	}{
		{"IPv4", message(unix.IPPROTO_IP, unix.IP_RECVERR, unix.SockExtendedErr{Origin: unix.SO_EE_ORIGIN_ICMP, Type: 3, Code: 4, Info: 1400}, v4),
			PeerReport{Kind: PeerFragNeeded, By: netip.MustParseAddr("192.0.2.1"), MTU: 1400}, true},
		{"IPv6", message(unix.IPPROTO_IPV6, unix.IPV6_RECVERR, unix.SockExtendedErr{Origin: unix.SO_EE_ORIGIN_ICMP6, Type: 1, Code: 1}, v6),
			PeerReport{Kind: PeerProhibited, By: router6}, true},
		{"nobody says so", message(unix.IPPROTO_IP, unix.IP_RECVERR, unix.SockExtendedErr{Origin: unix.SO_EE_ORIGIN_ICMP, Type: 11}, nil),
			PeerReport{Kind: PeerTTLExceeded}, true},
		{"this host", message(unix.IPPROTO_IP, unix.IP_RECVERR, unix.SockExtendedErr{Origin: unix.SO_EE_ORIGIN_LOCAL, Info: 1500}, v4),
			PeerReport{}, false},
		{"another message", controlMessage(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, make([]byte, 32)), PeerReport{}, false},
		{"nothing", nil, PeerReport{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := parseError(tt.oob)
			if ok != tt.ok || ok && got != tt.want {
				t.Errorf("got %+v, %v", got, ok)
			}
			for n := range tt.oob { // cut anywhere, it does not panic
				if _, ok := parseError(tt.oob[:n]); ok && n < unix.CmsgLen(sizeofExtendedErr) {
					t.Errorf("cut at %d it is an error", n)
				}
			}
		})
	}
}

func TestEveryICMPErrorHasAKind(t *testing.T) {
	for _, tt := range []struct {
		kind, code uint8
		v4, v6     PeerError
	}{
		{1, 0, PeerOther, PeerNetUnreachable},
		{1, 3, PeerOther, PeerHostUnreachable},
		{1, 4, PeerOther, PeerPortUnreachable},
		{1, 5, PeerOther, PeerProhibited},
		{2, 0, PeerOther, PeerFragNeeded},
		{3, 0, PeerNetUnreachable, PeerTTLExceeded},
		{3, 2, PeerProtocolUnreachable, PeerTTLExceeded},
		{3, 13, PeerProhibited, PeerTTLExceeded},
		{4, 1, PeerOther, PeerProtocolUnreachable},
		{4, 0, PeerOther, PeerOther},
		{11, 0, PeerTTLExceeded, PeerOther},
		{255, 255, PeerOther, PeerOther},
	} {
		if got := icmpError(tt.kind, tt.code); got != tt.v4 {
			t.Errorf("ICMP %d/%d is %v, want %v", tt.kind, tt.code, got, tt.v4)
		}
		if got := icmp6Error(tt.kind, tt.code); got != tt.v6 {
			t.Errorf("ICMPv6 %d/%d is %v, want %v", tt.kind, tt.code, got, tt.v6)
		}
	}
}
