package chardev_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/chardev/chardevtest"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// The capture loop of a daemon: read every period until nothing is there.
func ExampleDevice_ReadBatch() {
	var module chardevtest.Module
	dev := module.Open() // chardev.Open(chardev.DefaultPath)
	defer dev.Close()
	if err := dev.Attach(chardev.AttachOptions{Mode: chardev.ModeCapture, Linger: time.Second}); err != nil {
		fmt.Println(err)
		return
	}
	module.Queue(exampleConn())

	batch := chardev.NewBatch(chardev.DefaultBatchSize)
	var c ipvs.Conn
	for {
		ok, err := dev.ReadBatch(batch)
		if err != nil || !ok {
			break
		}
		if batch.Events()&chardev.EventLost != 0 {
			fmt.Println("heal by a snapshot")
		}
		for batch.Next(&c) {
			fmt.Println(c.Client, c.StateName(), c.Remaining())
		}
		if batch.Err() != nil || !batch.Full() {
			break
		}
	}
	// Output:
	// 192.0.2.1:40000 ESTABLISHED 14m57s
}

func ExampleDevice_Write() {
	module := chardevtest.Module{Refuse: func(c *ipvs.Conn) (chardev.Reason, bool) {
		return chardev.RefusedNoDest, c.Dest.Port() == 8081
	}}
	dev := module.Open() // chardev.Open(chardev.DefaultPath)
	defer dev.Close()
	if err := dev.Attach(chardev.AttachOptions{Mode: chardev.ModeInject}); err != nil {
		fmt.Println(err)
		return
	}
	known, unknown := exampleConn(), exampleConn()
	unknown.Dest = netip.MustParseAddrPort("10.0.0.1:8081")
	var records []byte
	for _, c := range []ipvs.Conn{known, unknown} {
		var err error
		if records, err = chardev.AppendRecord(records, &c); err != nil {
			fmt.Println(err)
		}
	}
	if _, err := dev.Write(records); err != nil {
		fmt.Println(err)
	}
	refusals, err := dev.Refusals(nil)
	if err != nil {
		fmt.Println(err)
	}
	for _, r := range refusals {
		fmt.Println(r.Index, r.Reason)
	}
	// Output:
	// 1 no_dest
}

func ExampleSnapshot() {
	var module chardevtest.Module
	module.SetTable(exampleConn())
	dev := module.Open() // chardev.Open(chardev.DefaultPath)
	defer dev.Close()
	if err := dev.Attach(chardev.AttachOptions{Mode: chardev.ModeSnapshot}); err != nil {
		fmt.Println(err)
		return
	}
	for c, err := range chardev.Snapshot(context.Background(), dev, chardev.NewBatch(chardev.DefaultBatchSize)) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(c)
	}
	// Output:
	// TCP 14:57  ESTABLISHED 192.0.2.1:40000    198.51.100.1:80    10.0.0.1:8080      Masq
}

func ExampleOpen() {
	_, err := chardev.Open("/nonexistent/ssyncp")
	fmt.Println(errors.Is(err, chardev.ErrNotLoaded))
	fmt.Println(err)
	// Output:
	// true
	// open /nonexistent/ssyncp: no such device; is the kernel module loaded? (modprobe ssyncp)
}

func exampleConn() ipvs.Conn {
	return ipvs.Conn{
		Protocol: ipvs.TCP,
		Client:   netip.MustParseAddrPort("192.0.2.1:40000"),
		Virtual:  netip.MustParseAddrPort("198.51.100.1:80"),
		Dest:     netip.MustParseAddrPort("10.0.0.1:8080"),
		State:    ipvs.TCPEstablished,
		Timeout:  15 * time.Minute,
		Age:      3 * time.Second,
	}
}
