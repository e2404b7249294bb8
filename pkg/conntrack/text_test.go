package conntrack_test

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

func TestAnEntryIsShown(t *testing.T) {
	addr := netip.MustParseAddrPort
	full := conntrack.Entry{
		Protocol: conntrack.TCP, State: conntrack.TCPEstablished, Status: conntrack.SeenReply | conntrack.Assured | conntrack.SourceNAT,
		Original: conntrack.Tuple{Source: addr("10.1.0.5:40000"), Destination: addr("198.51.100.1:443")},
		Reply:    conntrack.Tuple{Source: addr("198.51.100.1:443"), Destination: addr("203.0.113.1:1025")},
		Timeout:  10 * time.Minute, Age: 90 * time.Second, Mark: 7, Zones: conntrack.Zones{Original: 1, Reply: 2}, Helper: "ftp", Labels: [16]byte{1},
	}
	plain := conntrack.Entry{
		Protocol: conntrack.UDP,
		Original: conntrack.Tuple{Source: addr("[fd00::1]:5353"), Destination: addr("[fd00::2]:53")},
		Reply:    conntrack.Tuple{Source: addr("[fd00::2]:53"), Destination: addr("[fd00::1]:5353")},
		Timeout:  30 * time.Second, Age: time.Minute,
	}
	for _, tt := range []struct {
		entry      *conntrack.Entry
		text, json string
	}{
		{&full, `TCP     08:30  ESTABLISHED  10.1.0.5:40000 > 198.51.100.1:443, reply 198.51.100.1:443 > 203.0.113.1:1025 assured mark=7 zones=1,2 helper="ftp"`,
			`{"protocol":"TCP","original":{"source":"10.1.0.5:40000","destination":"198.51.100.1:443"},"reply":{"source":"198.51.100.1:443","destination":"203.0.113.1:1025"},` +
				`"zones":[1,2],"state":"ESTABLISHED","status":["SEEN_REPLY","ASSURED","SRC_NAT"],"mark":7,"timeout_ms":600000,"age_ms":90000,"remaining_ms":510000,` +
				`"labels":"AQAAAAAAAAAAAAAAAAAAAA==","helper":"ftp"}`},
		{&plain, `UDP     00:00               [fd00::1]:5353 > [fd00::2]:53, reply [fd00::2]:53 > [fd00::1]:5353`,
			`{"protocol":"UDP","original":{"source":"[fd00::1]:5353","destination":"[fd00::2]:53"},"reply":{"source":"[fd00::2]:53","destination":"[fd00::1]:5353"},` +
				`"zones":[0,0],"state":"","status":[],"mark":0,"timeout_ms":30000,"age_ms":60000,"remaining_ms":0}`},
	} {
		if got := string(tt.entry.AppendTo(nil)); got != tt.text {
			t.Errorf("got  %s\nwant %s", got, tt.text)
		}
		if got, err := json.Marshal(tt.entry); err != nil || string(got) != tt.json {
			t.Errorf("got  %s, %v\nwant %s", got, err, tt.json)
		}
	}
}
