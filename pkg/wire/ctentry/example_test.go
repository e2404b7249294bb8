package ctentry_test

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/ctentry"
)

func Example() {
	news := []conntrack.Entry{{
		Protocol: conntrack.TCP,
		Original: conntrack.Tuple{
			Source:      netip.MustParseAddrPort("10.1.0.5:40000"),
			Destination: netip.MustParseAddrPort("198.51.100.1:443"),
		},
		Reply: conntrack.Tuple{
			Source:      netip.MustParseAddrPort("198.51.100.1:443"),
			Destination: netip.MustParseAddrPort("203.0.113.1:1025"),
		},
		Status:  conntrack.SeenReply | conntrack.Assured | conntrack.Confirmed | conntrack.SourceNAT,
		State:   conntrack.TCPEstablished,
		Timeout: 5 * 24 * time.Hour,
		Age:     40 * time.Millisecond,
	}}

	// A body is built behind room for its header. Package frame seals it.
	buf := make([]byte, block.HeaderSize, 1400)
	var order ctentry.Order
	var e ctentry.Encoder
	if err := e.Reset(buf, cap(buf)); err != nil {
		fmt.Println(err)
		return
	}
	for _, i := range order.Of(news) {
		if err := e.Append(&news[i]); errors.Is(err, ctentry.ErrFull) {
			fmt.Println("send this body, Reset, append again")
		} else if err != nil {
			fmt.Println(err)
		}
	}
	body := e.Finish()
	header := block.Header{Peer: block.Peer{Sender: 42}, Number: 1}
	header.Put(body)
	block.Stamp(body, 1, 25*time.Millisecond) // since the entries were read

	parsed, err := block.Parse(body)
	if err != nil {
		fmt.Println(err)
		return
	}
	var d ctentry.Decoder
	if err := d.Reset(parsed.Blocks()); err != nil {
		fmt.Println(err)
		return
	}
	var c conntrack.Entry
	for d.Next(&c) {
		fmt.Println(&c, c.Age)
	}
	// Output:
	// TCP ESTABLISHED 10.1.0.5:40000 > 198.51.100.1:443, reply 198.51.100.1:443 > 203.0.113.1:1025 65ms
}
