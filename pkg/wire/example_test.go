package wire_test

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire"
)

func Example() {
	news := []ipvs.Conn{{
		Protocol: ipvs.TCP,
		Client:   netip.MustParseAddrPort("192.0.2.1:40000"),
		Virtual:  netip.MustParseAddrPort("198.51.100.1:80"),
		Dest:     netip.MustParseAddrPort("10.0.0.1:8080"),
		State:    ipvs.TCPEstablished,
	}}

	var e wire.Encoder
	if err := e.Reset(make([]byte, wire.MaxSize), 7); err != nil {
		fmt.Println(err)
		return
	}
	for i := range news {
		// On wire.ErrFull: send e.Finish(), Reset, append again.
		if err := e.Append(&news[i]); err != nil {
			fmt.Println(err)
		}
	}
	message := e.Finish()
	fmt.Printf("% x\n", message[:wire.HeaderSize])

	advert, err := wire.Decode(message)
	if err != nil {
		fmt.Println(err)
		return
	}
	var c ipvs.Conn
	for advert.Next(&c) {
		fmt.Println(c.Protocol, c.Client, c.Virtual, c.Dest, c.StateName())
	}
	// Output:
	// 01 07 00 20 00 00 4c 79
	// TCP 192.0.2.1:40000 198.51.100.1:80 10.0.0.1:8080 ESTABLISHED
}

func ExampleDecode_otherVersion() {
	_, err := wire.Decode([]byte{0, 7, 0, 8, 0, 2, 0, 0})
	fmt.Println(errors.Is(err, wire.ErrOtherVersion), err)
	// Output:
	// true wire: version 2 of the protocol, this is version 1
}
