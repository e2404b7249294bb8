package entry_test

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

func Example() {
	news := []ipvs.Conn{{
		Protocol: ipvs.TCP,
		Client:   netip.MustParseAddrPort("192.0.2.1:40000"),
		Virtual:  netip.MustParseAddrPort("198.51.100.1:80"),
		Dest:     netip.MustParseAddrPort("10.0.0.1:8080"),
		State:    ipvs.TCPEstablished,
		Timeout:  15 * time.Minute,
		Age:      40 * time.Millisecond,
	}}
	sealer, err := frame.NewClearSealer(7)
	if err != nil {
		fmt.Println(err)
		return
	}
	opener, err := frame.NewClearOpener(7)
	if err != nil {
		fmt.Println(err)
		return
	}

	// A frame is built where it is going to be sent from: room for what comes
	// before the blocks, and for what comes behind.
	const mtu = 1500 - 20
	suite := sealer.Suite()
	buf := make([]byte, mtu)
	var order entry.Order
	var e entry.Encoder
	if err := e.Reset(buf[:suite.Head()+block.HeaderSize], mtu-suite.Tail()); err != nil {
		fmt.Println(err)
		return
	}
	for _, i := range order.Of(news) {
		if err := e.Append(&news[i]); errors.Is(err, entry.ErrFull) {
			fmt.Println("send this frame, Reset, append again")
		} else if err != nil {
			fmt.Println(err)
		}
	}
	body := e.Finish()[suite.Head():]
	header := block.Header{Peer: block.Peer{Sender: 42}, Number: 1}
	header.Put(body)
	block.Stamp(body, 1, 25*time.Millisecond) // since the connections were read
	message, err := sealer.Seal(buf[:0], body)
	if err != nil {
		fmt.Println(err)
		return
	}

	if body, err = opener.Open(message); err != nil {
		fmt.Println(err)
		return
	}
	parsed, err := block.Parse(body)
	if err != nil {
		fmt.Println(err)
		return
	}
	var d entry.Decoder
	if err := d.Reset(parsed.Blocks()); err != nil {
		fmt.Println(err)
		return
	}
	var c ipvs.Conn
	for d.Next(&c) {
		fmt.Println(c.Protocol, c.Client, c.Virtual, c.Dest, c.StateName(), c.Age)
	}
	// Output:
	// TCP 192.0.2.1:40000 198.51.100.1:80 10.0.0.1:8080 ESTABLISHED 65ms
}
