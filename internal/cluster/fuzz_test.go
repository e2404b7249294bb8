package cluster

import (
	"encoding/binary"
	"testing"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// Whatever comes over a link is a good frame or counted under one name, with a
// key and without one, where version 1 is spoken and where it is not; and what
// was not sealed with the key is no good frame.
func FuzzReceive(f *testing.F) {
	header := block.Header{Peer: block.Peer{Sender: 9}, Number: 1}
	body := make([]byte, block.HeaderSize)
	header.Put(body)
	probe, err := block.AppendProbe(body, 10)
	if err != nil {
		f.Fatal(err)
	}
	for _, content := range [][]byte{nil, body, probe} {
		for _, keys := range []Keys{{}, testKeys} {
			for _, id := range []uint8{7, 8} {
				sealer, err := keys.sealer(id)
				if err != nil {
					f.Fatal(err)
				}
				sealed, err := sealer.Seal(nil, content)
				if err != nil {
					f.Fatal(err)
				}
				f.Add(sealed)
				f.Add(sealed[:len(sealed)-1])
			}
		}
	}
	f.Add([]byte{})
	f.Add(make([]byte, 32))
	f.Fuzz(func(t *testing.T, message []byte) {
		for _, keys := range []Keys{{}, testKeys} {
			for _, bilingual := range []bool{false, true} {
				d, err := New(Config{SyncID: 7, Sender: 1, Bilingual: bilingual}, Parts{}, Settings{MaxPPS: 1, Keys: keys}, discard)
				if err != nil {
					t.Fatal(err)
				}
				r := &receiver{director: d}
				payload := append([]byte(nil), message...)
				if err := r.open([]Datagram{{Payload: payload}}); err != nil {
					t.Fatal(err)
				}
				good, old, refused := d.counters.Counts.Value(Opened), d.counters.Counts.Value(OtherTongue), uint64(0)
				for name, n := range d.counters.Refused.All() {
					if refused += n; n > 0 && name == refusalNames[RefusedOther] {
						t.Error("it is refused for no reason that has a name")
					}
				}
				if good+old+refused != 1 || int(good) != len(r.frames) {
					t.Errorf("%d good, %d of version 1, %d refused", good, old, refused)
				}
				if old > 0 && (!bilingual || frame.VersionOf(message) != 1) {
					t.Error("it is taken for version 1")
				}
				if good > 0 && (len(message) < frame.HeaderSize || int(binary.BigEndian.Uint16(message[2:])) != len(message) || message[1] != 7) {
					t.Errorf("%x is taken for a frame", message)
				}
			}
		}
	})
}
