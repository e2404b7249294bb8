package ipvs_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

func ExampleConn_String() {
	c := ipvs.Conn{
		Protocol: ipvs.TCP,
		Client:   netip.MustParseAddrPort("192.0.2.1:40000"),
		Virtual:  netip.MustParseAddrPort("198.51.100.1:80"),
		Dest:     netip.MustParseAddrPort("10.0.0.1:80"),
		State:    ipvs.TCPEstablished,
		Flags:    ipvs.Flags(ipvs.DirectRouting),
		Timeout:  15 * time.Minute,
		Age:      3 * time.Second,
	}
	fmt.Println(&c)
	// Output:
	// TCP 14:57  ESTABLISHED 192.0.2.1:40000    198.51.100.1:80    10.0.0.1:80        Route
}

func ExampleFlags_String() {
	fmt.Println(ipvs.FlagTemplate | ipvs.Flags(ipvs.Tunnel))
	// Output:
	// Tunnel|TEMPLATE
}
