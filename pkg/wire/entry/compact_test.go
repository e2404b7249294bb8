package entry_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// What a connection takes in full frames of an Ethernet, sealed: with the IP
// header, the frame's, nonce, tag, body header, heads of blocks and
// definitions. Of each batch, the last frame is not full, and left out.
func TestCompact(t *testing.T) {
	ipv6 := func(n uint32) netip.Addr {
		return netip.AddrFrom16([16]byte(binary.BigEndian.AppendUint32([]byte("\x20\x01\x0d\xb8abcdefgh"), n)))
	}
	for _, tt := range []struct {
		name    string
		change  func(*world)
		ordered bool
		most    float64 // bytes a connection, 0 for any
	}{
		{"news, up to 100 ms old", func(*world) {}, true, 24},
		{"of a table, minutes old", func(w *world) { w.age = w.kept }, true, 24},
		{"of a table, where every real server is one of every service", func(w *world) { w.age, w.shared = w.kept, true }, true, 24},
		{"news, not ordered", func(*world) {}, false, 0},
		{"of a table, not ordered", func(w *world) { w.age = w.kept }, false, 0},
		{"of a table, IPv6 throughout", func(w *world) { w.age, w.addr = w.kept, ipv6 }, true, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			tt.change(w)
			l, receiver := newLink(t, frame.Sealed), newLink(t, frame.Sealed)
			var o entry.Order
			var c ipvs.Conn
			var packets, octets, conns int
			for range 100 {
				list := w.conns(oneRead)
				order := unordered(oneRead)
				if tt.ordered {
					order = o.Of(list)
				}
				var frames [][]byte
				l.frames(t, list, order, func(f []byte) { frames = append(frames, append([]byte(nil), f...)) })

				for _, f := range frames[:len(frames)-1] {
					packets++
					octets += 20 + len(f)
					conns += receiver.open(t, f, &c)
				}
			}
			each := float64(octets) / float64(conns)
			t.Logf("%.2f bytes a connection, %.1f connections in a packet of %.0f bytes",
				each, float64(conns)/float64(packets), float64(octets)/float64(packets))
			if tt.most > 0 && each > tt.most {
				t.Errorf("%.2f bytes a connection, at most %v are asked for", each, tt.most)
			}
			checkDocument(t, tt.name, each)
		})
	}
}
