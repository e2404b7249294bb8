package wire_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire"
)

// conns returns n different TCP connections with the given flags.
func conns(n int, flags ipvs.Flags) []ipvs.Conn {
	list := make([]ipvs.Conn, n)
	for i := range list {
		list[i] = ipvs.Conn{
			Protocol: ipvs.TCP,
			Client:   netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), uint16(40000+i)),
			Virtual:  netip.MustParseAddrPort("198.51.100.1:80"),
			Dest:     netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 1}), 8080),
			Flags:    flags,
			State:    ipvs.State(i % 11),
		}
		if flags&ipvs.FlagSeqMask != 0 {
			list[i].In = ipvs.Sequence{Init: uint32(i), Delta: 1, PreviousDelta: 2}
			list[i].Out = ipvs.Sequence{Init: uint32(i) << 24, Delta: 3, PreviousDelta: 4}
		}
	}
	return list
}

func encode(t testing.TB, syncID uint8, list []ipvs.Conn) []byte {
	t.Helper()
	var e wire.Encoder
	if err := e.Reset(nil, syncID); err != nil {
		t.Fatal(err)
	}
	for i := range list {
		if err := e.Append(&list[i]); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	return e.Finish()
}

// layOut builds the advert of conns(n, flags) octet by octet from the layout,
// not by the encoder.
func layOut(n int, flags uint16, syncID uint8) []byte {
	frame := []byte{byte(n), syncID, 0, 0, 0, 0, 0, 0}
	for i := range n {
		cport := 40000 + i
		frame = append(frame,
			0, 6, byte(cport>>8), byte(cport), 0, 80, 0x1f, 0x90,
			192, 0, 2, byte(i),
			198, 51, 100, 1,
			10, 0, byte(i), 1,
			byte(flags>>8), byte(flags), 0, byte(i%11))
		if flags&0x0600 != 0 {
			frame = append(frame,
				0, 0, 0, byte(i), 0, 0, 0, 1, 0, 0, 0, 2,
				byte(i), 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 4)
		}
	}
	frame[2], frame[3] = byte(len(frame)>>8), byte(len(frame))
	return seal(frame)
}

// seal sets the checksum, 16 bits at a time as RFC 1071 describes it.
func seal(frame []byte) []byte {
	if len(frame) < 8 {
		return frame
	}
	frame[6], frame[7] = 0, 0
	var s uint32
	for i, octet := range frame {
		if i%2 == 0 {
			s += uint32(octet) << 8
		} else {
			s += uint32(octet)
		}
	}
	for s>>16 != 0 {
		s = s>>16 + s&0xffff
	}
	binary.BigEndian.PutUint16(frame[6:], ^uint16(s))
	return frame
}
