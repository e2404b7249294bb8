package block_test

import (
	"fmt"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

func Example() {
	// Behind room for the header, which is known when the body is sent.
	body := make([]byte, block.HeaderSize, 1400)
	body, err := block.AppendHeartbeat(body, &block.Heartbeat{
		Last: 99, State: block.StateSynced, Interval: time.Second, Entries: 20_000, Name: []byte("lb1"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	header := block.Header{Peer: block.Peer{Sender: 42, Start: block.StartID{15: 1}}, Number: 1000}
	header.Put(body)

	parsed, err := block.Parse(body)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("frame", parsed.Number, "of", parsed.Peer)
	blocks := parsed.Blocks()
	var b block.Block
	for blocks.Next(&b) {
		switch b.Type {
		case block.TypeHeartbeat:
			h, err := b.Heartbeat()
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Printf("%s is %v, with %d entries\n", h.Name, h.State, h.Entries)
		default:
			fmt.Println("skipped:", b.Type)
		}
	}
	// Output:
	// frame 1000 of 0000002a/00000000000000000000000000000001
	// lb1 is synced, with 20000 entries
}
