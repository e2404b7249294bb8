package wire_test

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"reflect"
	"testing"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/goldentest"
)

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// The frames in testdata are written by hand from the layout.
var golden = []struct {
	file   string
	syncID uint8
	conns  []ipvs.Conn
}{
	{"tcp.hex", 7, []ipvs.Conn{{
		Protocol: ipvs.TCP,
		Client:   addr("192.0.2.1:40000"), Virtual: addr("198.51.100.1:80"), Dest: addr("10.0.0.1:8080"),
		Flags: ipvs.Flags(ipvs.Masquerade), State: ipvs.TCPEstablished,
	}}},
	{"sequence.hex", 255, []ipvs.Conn{{
		Protocol: ipvs.TCP,
		Client:   addr("192.0.2.99:60000"), Virtual: addr("198.51.100.1:21"), Dest: addr("10.0.0.2:21"),
		Flags: ipvs.FlagInSeq | ipvs.FlagOutSeq, State: ipvs.TCPEstablished,
		In:  ipvs.Sequence{Init: 0x12345678, Delta: 5, PreviousDelta: 3},
		Out: ipvs.Sequence{Init: 0x9abcdef0, Delta: 0xfffffffe, PreviousDelta: 0xffffffff},
	}}},
	{"mixed.hex", 42, []ipvs.Conn{{
		Protocol: ipvs.TCP,
		Client:   addr("192.0.2.10:0"), Virtual: addr("198.51.100.2:0"), Dest: addr("10.0.0.3:0"),
		Flags: ipvs.FlagTemplate | ipvs.Flags(ipvs.DirectRouting), State: ipvs.TemplateAssured,
	}, {
		Protocol: ipvs.TCP,
		Client:   addr("192.0.2.10:50000"), Virtual: addr("198.51.100.2:443"), Dest: addr("10.0.0.3:443"),
		Flags: ipvs.FlagInactive | ipvs.FlagNoOutput | ipvs.Flags(ipvs.DirectRouting), State: ipvs.TCPFinWait,
	}, {
		Protocol: ipvs.TCP,
		Client:   addr("192.0.2.99:0"), Virtual: addr("198.51.100.1:32769"), Dest: addr("10.0.0.2:32770"),
		Flags: ipvs.FlagNoCPort | ipvs.FlagOutSeq, State: ipvs.TCPNone,
		Out: ipvs.Sequence{Init: 0x80000000, Delta: 0x7fffffff, PreviousDelta: 1},
	}, {
		Protocol: ipvs.UDP,
		Client:   addr("203.0.113.5:5353"), Virtual: addr("198.51.100.3:53"), Dest: addr("172.16.0.9:53"),
		Flags: ipvs.Flags(ipvs.Tunnel), State: ipvs.UDPNormal,
	}, {
		Protocol: ipvs.SCTP,
		Client:   addr("203.0.113.6:2905"), Virtual: addr("198.51.100.4:2905"), Dest: addr("198.51.100.4:2905"),
		Flags: ipvs.Flags(ipvs.LocalNode), State: ipvs.SCTPEstablished,
	}, {
		Protocol: ipvs.TCP,
		Client:   addr("203.0.113.7:65535"), Virtual: addr("198.51.100.5:80"), Dest: addr("198.51.100.5:80"),
		Flags: ipvs.FlagSync | ipvs.Flags(ipvs.Bypass), State: ipvs.TCPSynAck,
	}}},
}

func TestEncodesTheGoldenFrames(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.file, func(t *testing.T) {
			if got, want := encode(t, tt.syncID, tt.conns), goldentest.Read(t, tt.file); !bytes.Equal(got, want) {
				t.Errorf("got\n%s, want\n%s", hex.Dump(got), hex.Dump(want))
			}
		})
	}
}

func TestDecodesTheGoldenFrames(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.file, func(t *testing.T) {
			advert, err := wire.Decode(goldentest.Read(t, tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if advert.SyncID() != tt.syncID || advert.Count() != len(tt.conns) {
				t.Errorf("sync ID %d, %d connections; want %d, %d", advert.SyncID(), advert.Count(), tt.syncID, len(tt.conns))
			}
			if got := take(&advert); !reflect.DeepEqual(got, tt.conns) {
				t.Errorf("got\n%v, want\n%v", got, tt.conns)
			}
		})
	}
}

// take returns all connections of an advert.
func take(advert *wire.Advert) []ipvs.Conn {
	var list []ipvs.Conn
	var c ipvs.Conn
	for advert.Next(&c) {
		list = append(list, c.Clone())
	}
	return list
}
