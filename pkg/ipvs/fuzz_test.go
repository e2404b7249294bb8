package ipvs_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// Whatever the numbers are, a connection is one line of text and one valid
// JSON object.
func FuzzText(f *testing.F) {
	f.Add(uint8(6), uint16(1), uint32(0), uint32(900000), uint32(3000), []byte{192, 0, 2, 1}, "", []byte(nil))
	f.Add(uint8(17), uint16(1), uint32(0x1023), uint32(360000), uint32(0), []byte("0123456789abcdef"), "sip", []byte("a\nb\x00"))
	f.Add(uint8(255), uint16(0xffff), uint32(0xffffffff), uint32(0xffffffff), uint32(0xffffffff), []byte(nil), "\n", []byte("\xff"))
	f.Fuzz(func(t *testing.T, protocol uint8, state uint16, flags, timeout, age uint32, addr []byte, pe string, data []byte) {
		ip, _ := netip.AddrFromSlice(addr)
		c := ipvs.Conn{
			Protocol: ipvs.Protocol(protocol),
			State:    ipvs.State(state),
			Flags:    ipvs.Flags(flags),
			Client:   netip.AddrPortFrom(ip, state),
			Timeout:  time.Duration(timeout) * time.Millisecond,
			Age:      time.Duration(age) * time.Millisecond,
			PEName:   pe,
			PEData:   data,
		}
		if line := c.String(); strings.ContainsAny(line, "\n\x00") {
			t.Errorf("not one line: %q", line)
		}
		object, err := json.Marshal(&c)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(object) {
			t.Errorf("not JSON: %s", object)
		}
	})
}
