package wire_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/goldentest"
)

// What decodes encodes again, except what a sender of version 1 never sends;
// and that decodes to the same connections.
func FuzzDecode(f *testing.F) {
	for _, g := range golden {
		f.Add(goldentest.Read(f, g.file), false)
	}
	f.Add(layOut(50, 0, 1), false)
	f.Add(layOut(25, 0x0600, 255), false)
	f.Add(layOut(2, 0x0600, 255)[:60], true)
	f.Fuzz(func(t *testing.T, message []byte, sealed bool) {
		if sealed && len(message) >= wire.HeaderSize {
			// Past the checksum, which a fuzzer does not guess.
			message = bytes.Clone(message)
			message[2], message[3] = byte(len(message)>>8), byte(len(message))
			seal(message)
		}
		advert, err := wire.Decode(message)
		if err != nil {
			if advert.Count() != 0 || advert.Next(&ipvs.Conn{}) {
				t.Errorf("%v, but it yields connections", err)
			}
			return
		}
		count, syncID := advert.Count(), advert.SyncID()
		first := take(&advert)
		if len(first) != count {
			t.Fatalf("%d connections, Count Conns is %d", len(first), count)
		}
		var e wire.Encoder
		if err := e.Reset(nil, syncID); err != nil {
			t.Fatal(err)
		}
		var sent []ipvs.Conn
		for i := range first {
			switch err := e.Append(&first[i]); {
			case err == nil:
				first[i].Flags &^= ipvs.FlagHashed
				sent = append(sent, first[i])
			case errors.Is(err, wire.ErrOnePacket) && first[i].Flags&ipvs.FlagOnePacket != 0:
			case errors.Is(err, wire.ErrFwmarkTemplate) && first[i].Protocol == ipvs.IP:
			default:
				t.Fatalf("connection %d, %v: %v", i, &first[i], err)
			}
		}
		again := e.Finish()
		if len(sent) == 0 {
			return
		}
		if len(sent) == count && !bytes.Equal(clearHashed(message), again) {
			t.Errorf("encoded again:\n%x, was\n%x", again, message)
		}
		advert, err = wire.Decode(again)
		if err != nil {
			t.Fatalf("what was encoded does not decode: %v", err)
		}
		if second := take(&advert); !reflect.DeepEqual(second, sent) {
			t.Errorf("got\n%v, want\n%v", second, sent)
		}
	})
}

// clearHashed returns a valid advert as a sender should have sent it: without
// HASHED, and 0x0000 for the zero of its checksum where that is a choice.
func clearHashed(message []byte) []byte {
	message = bytes.Clone(message)
	for at := wire.HeaderSize; at < len(message); at += wire.EntrySize {
		options := message[at+20]&0x06 != 0
		message[at+21] &^= 0x40
		if options {
			at += wire.OptionsSize
		}
	}
	return seal(message)
}
