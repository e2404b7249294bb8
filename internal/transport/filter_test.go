package transport

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

var theFilter = filter{
	group:   netip.MustParseAddr("224.0.0.81"),
	ifIndex: 3,
	own:     netip.MustParseAddr("192.0.2.2"),
	maxSize: 100,
}

// datagram returns an IPv4 header of the given length and a payload.
func datagram(header int, ttl byte, source, destination string, payload int) []byte {
	d := make([]byte, header+payload)
	d[0] = 4<<4 | byte(header/4)
	binary.BigEndian.PutUint16(d[2:], uint16(len(d)))
	d[8], d[9] = ttl, 114
	copy(d[12:], netip.MustParseAddr(source).AsSlice())
	copy(d[16:], netip.MustParseAddr(destination).AsSlice())
	for i := header; i < len(d); i++ {
		d[i] = byte(i)
	}
	return d
}

func TestFilter(t *testing.T) {
	const peer, group = "192.0.2.1", "224.0.0.81"
	here := control{hasInterface: true, ifIndex: 3}
	good := datagram(20, 255, peer, group, 50)
	for _, tt := range []struct {
		name     string
		datagram []byte
		info     control
		drop     Drop // -1: taken
	}{
		{"an advert", good, here, -1},
		{"an advert after IP options", datagram(60, 255, peer, group, 50), here, -1},
		{"the longest advert", datagram(20, 255, peer, group, 100), here, -1},
		{"nothing", nil, here, DropHeader},
		{"half a header", good[:19], here, DropHeader},
		{"IPv6", append([]byte{0x65}, good[1:]...), here, DropHeader},
		{"header length under 20", append([]byte{0x44}, good[1:]...), here, DropHeader},
		{"header length past the end", append([]byte{0x4f}, good[1:30]...), here, DropHeader},
		{"no word of the interface", good, control{}, DropUnverified},
		{"another interface", good, control{hasInterface: true, ifIndex: 4}, DropInterface},
		{"unicast", datagram(20, 255, peer, "192.0.2.2", 50), here, DropDestination},
		{"another group", datagram(20, 255, peer, "224.0.0.18", 50), here, DropDestination},
		{"TTL 254", datagram(20, 254, peer, group, 50), here, DropTTL},
		{"TTL 1", datagram(20, 1, peer, group, 50), here, DropTTL},
		{"reassembled", good, control{hasInterface: true, ifIndex: 3, fragmented: true}, DropFragment},
		{"our own", datagram(20, 255, "192.0.2.2", group, 50), here, DropOwn},
		{"one byte too long", datagram(20, 255, peer, group, 101), here, DropTooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			advert, drop, ok := theFilter.judge(tt.datagram, tt.info)
			switch {
			case ok != (tt.drop == -1):
				t.Errorf("taken: %v, reason %v", ok, dropNames[drop])
			case !ok && drop != tt.drop:
				t.Errorf("dropped as %v, want %v", dropNames[drop], dropNames[tt.drop])
			case ok:
				header := int(tt.datagram[0]&0x0f) * 4
				if !slices.Equal(advert, tt.datagram[header:]) {
					t.Error("the advert is not what follows the header")
				}
			}
		})
	}
}

// cmsg returns one control message, padded.
func cmsg(level, kind int, data []byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(data)))
	binary.NativeEndian.PutUint64(b, uint64(unix.CmsgLen(len(data))))
	binary.NativeEndian.PutUint32(b[8:], uint32(level))
	binary.NativeEndian.PutUint32(b[12:], uint32(kind))
	copy(b[unix.CmsgLen(0):], data)
	return b
}

func TestControlMessages(t *testing.T) {
	u32 := func(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }
	overflow := cmsg(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, u32(9))
	info := cmsg(unix.IPPROTO_IP, unix.IP_PKTINFO, append(u32(3), make([]byte, 8)...))
	fragment := cmsg(unix.IPPROTO_IP, unix.IP_RECVFRAGSIZE, u32(1500))
	all := slices.Concat(overflow, info, fragment)

	want := control{ifIndex: 3, overruns: 9, hasInterface: true, hasOverruns: true, fragmented: true}
	if got := parseControl(all); got != want {
		t.Errorf("got %+v", got)
	}
	if got := parseControl(slices.Concat(cmsg(unix.SOL_SOCKET, 29, make([]byte, 16)), info)); got != (control{ifIndex: 3, hasInterface: true}) {
		t.Errorf("after an unknown message: %+v", got)
	}
	if n := len(all); n > oobSize {
		t.Errorf("buffer of %d bytes for %d", oobSize, n)
	}
	// Cut anywhere, it says what is there and does not panic.
	for n := range all {
		got := parseControl(all[:n])
		if got.fragmented && n < len(all)-4 {
			t.Errorf("cut at %d: %+v", n, got)
		}
	}
	if got := parseControl(make([]byte, 64)); got != (control{}) {
		t.Errorf("zeros: %+v", got)
	}
}
