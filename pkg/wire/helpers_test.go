package wire_test

import (
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
