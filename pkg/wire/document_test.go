package wire_test

import (
	"encoding/hex"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire"
)

var dumpLine = regexp.MustCompile(`(?m)^ +0x[0-9a-f]{4}:  ([0-9a-f ]+)$`)

// The frame that docs/protocol.md takes apart decodes to what it says.
func TestFrameOfTheProtocolDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	var frame []byte
	for _, line := range dumpLine.FindAllStringSubmatch(string(text), -1) {
		b, err := hex.DecodeString(strings.ReplaceAll(line[1], " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		frame = append(frame, b...)
	}
	const ethernetAndIP = 34
	if len(frame) != ethernetAndIP+wire.HeaderSize+24 {
		t.Fatalf("the document has a frame of %d bytes", len(frame))
	}
	advert, err := wire.Decode(frame[ethernetAndIP:])
	if err != nil {
		t.Fatal(err)
	}
	if advert.SyncID() != 7 || advert.Count() != 1 {
		t.Errorf("sync ID %d, %d connections", advert.SyncID(), advert.Count())
	}
	var c ipvs.Conn
	if !advert.Next(&c) {
		t.Fatal("no connection")
	}
	if c.Protocol != ipvs.TCP || c.StateName() != "ESTABLISHED" || c.Flags != 0 ||
		c.Client != netip.MustParseAddrPort("10.4.0.1:37097") ||
		c.Virtual != netip.MustParseAddrPort("192.0.2.80:8000") ||
		c.Dest != netip.MustParseAddrPort("10.0.2.21:8000") {
		t.Errorf("decoded %v", &c)
	}
}
