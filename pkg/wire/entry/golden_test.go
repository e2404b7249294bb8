package entry_test

import (
	"bytes"
	"encoding/hex"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/block/blocktest"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/goldentest"
)

// The blocks in testdata are written by hand from the layout. They have
// sequence 7.
var golden = []struct {
	file  string
	conns []ipvs.Conn
}{
	{"ipv4.hex", []ipvs.Conn{{
		Protocol: ipvs.TCP,
		Client:   addr("192.0.2.1:40000"), Virtual: addr("198.51.100.1:80"), Dest: addr("10.0.0.1:8080"),
		State: ipvs.TCPEstablished, Timeout: 15 * time.Minute, Age: 5 * time.Millisecond,
	}, {
		Protocol: ipvs.TCP,
		Client:   addr("192.0.2.2:40001"), Virtual: addr("198.51.100.1:80"), Dest: addr("10.0.0.1:8080"),
		State: ipvs.TCPEstablished, Timeout: 15 * time.Minute, Age: 300 * time.Millisecond,
	}, {
		Protocol: ipvs.TCP,
		Client:   addr("203.0.113.7:65535"), Virtual: addr("198.51.100.1:443"), Dest: addr("10.0.0.1:443"),
		State: ipvs.TCPFinWait, Timeout: 2 * time.Minute,
		Flags: ipvs.FlagInactive | ipvs.FlagNoOutput | ipvs.Flags(ipvs.DirectRouting),
	}, {
		Protocol: ipvs.TCP,
		Client:   addr("192.0.2.3:40002"), Virtual: addr("198.51.100.1:80"), Dest: addr("10.0.0.2:8081"),
		State: ipvs.TCPEstablished, Timeout: 15 * time.Minute, Age: math.MaxUint32 * time.Millisecond,
	}}},
	{"mixed.hex", []ipvs.Conn{{
		Protocol: ipvs.IP,
		Client:   addr("192.0.2.10:0"), Virtual: addr("0.0.0.5:0"), Dest: addr("10.0.0.3:0"), Fwmark: 5,
		State: ipvs.TemplateAssured, Timeout: 6 * time.Minute, Age: time.Millisecond,
		Flags: ipvs.FlagTemplate | ipvs.Flags(ipvs.DirectRouting),
	}, {
		Protocol: ipvs.UDP,
		Client:   addr("[2001:db8::1]:0"), Virtual: addr("[2001:db8::100]:5060"), Dest: addr("10.0.0.4:5060"),
		State: ipvs.TemplateAssured, Timeout: 6 * time.Minute, Age: 128 * time.Millisecond,
		Flags:  ipvs.FlagTemplate | ipvs.Flags(ipvs.Tunnel),
		PEName: "sip", PEData: []byte("call-1"),
	}, {
		Protocol: ipvs.TCP,
		Client:   addr("[2001:db8::2]:60000"), Virtual: addr("[2001:db8::100]:21"), Dest: addr("[fd00::1]:2121"),
		State: ipvs.TCPEstablished, Age: 127 * time.Millisecond,
		Flags: ipvs.FlagNFCT | ipvs.FlagSync | ipvs.FlagInSeq | ipvs.FlagOutSeq,
		In:    ipvs.Sequence{Init: 0x12345678, Delta: 5, PreviousDelta: 3},
		Out:   ipvs.Sequence{Init: 0x9abcdef0, Delta: 0xfffffffe, PreviousDelta: 0xffffffff},
	}, {
		Protocol: ipvs.TCP,
		Client:   addr("[2001:db8::2]:0"), Virtual: addr("[2001:db8::100]:21"), Dest: addr("[fd00::1]:2121"),
		State: ipvs.TCPListen, Flags: ipvs.FlagNoCPort,
	}}},
}

func TestEncodesTheGoldenBlocks(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.file, func(t *testing.T) {
			body := blocktest.Body(encode(t, tt.conns))
			block.Stamp(body, 7, 0)
			if got, want := body[block.HeaderSize:], goldentest.Read(t, tt.file); !bytes.Equal(got, want) {
				t.Errorf("got\n%s, want\n%s", hex.Dump(got), hex.Dump(want))
			}
		})
	}
}

func TestDecodesTheGoldenBlocks(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.file, func(t *testing.T) {
			if got := decode(t, goldentest.Read(t, tt.file)); !reflect.DeepEqual(got, tt.conns) {
				t.Errorf("got\n%+v, want\n%+v", got, tt.conns)
			}
		})
	}
}
