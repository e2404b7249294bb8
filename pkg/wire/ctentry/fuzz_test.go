package ctentry_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/ctentry"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/goldentest"
)

// What decodes encodes again, and that decodes to the same entries.
func FuzzDecode(f *testing.F) {
	for _, g := range golden {
		blocks := goldentest.Read(f, g.file)
		f.Add(uint16(len(g.entries)), blocks[block.HeadSize+block.AdvertHeaderSize:])
	}
	f.Add(uint16(1), first(path6, to6, from6, profile(0)))
	f.Add(uint16(1), join(first(path4, to, from, profile(1)), []byte{0, 2, 0x83, 0}))
	f.Add(uint16(2), first(snat, to, from, profile(0)))
	f.Fuzz(func(t *testing.T, count uint16, entries []byte) {
		if count == 0 || len(entries) > block.MaxLength-block.AdvertHeaderSize {
			return
		}
		blocks := blocksOf(t, advertOf(t, int(count), entries), 1, 0)
		var d ctentry.Decoder
		if err := d.Reset(blocks); err != nil {
			if !errors.Is(err, ctentry.ErrMalformed) || d.Count() != 0 || d.Next(&conntrack.Entry{}) {
				t.Errorf("%v, but it yields entries", err)
			}
			return
		}
		got := take(&d)
		if n := len(got) + d.Refusals().Total(); n != int(count) || d.Count() != int(count) {
			t.Fatalf("%d entries, Count %d, refused %+v; %d were sent", len(got), d.Count(), d.Refusals(), count)
		}
		// Several frames: what is not shared any more may take more room.
		var e ctentry.Encoder
		var again []conntrack.Entry
		flush := func() {
			if e.Count() > 0 {
				again = append(again, decode(t, e.Finish())...)
			}
			if err := e.Reset(nil, block.MaxLength); err != nil {
				t.Fatal(err)
			}
		}
		flush()
		for i := range got {
			err := e.Append(&got[i])
			if errors.Is(err, ctentry.ErrFull) {
				flush()
				err = e.Append(&got[i])
			}
			if err != nil {
				t.Fatalf("entry %d, %v: %v", i, &got[i], err)
			}
			got[i].Status &^= conntrack.Dying
		}
		flush()
		if !slices.Equal(again, got) {
			t.Errorf("got\n%v, want\n%v", again, got)
		}
	})
}

// Whatever an entry is, the encoder refuses it and leaves the frame alone, or
// it arrives as it is.
func FuzzEncode(f *testing.F) {
	v4, v6 := []byte{192, 0, 2, 1}, make([]byte, 16)
	f.Add(v4, v4, v4, v4, uint16(1), uint16(2), uint16(2), uint16(1), uint8(6), uint8(3), uint32(0xe), uint32(0), uint32(0),
		int64(time.Minute), int64(time.Millisecond), []byte{7, 9, 0x23, 0x23}, []byte(nil), "")
	f.Add(v6, v6, v6, v6, uint16(1), uint16(2), uint16(3), uint16(4), uint8(132), uint8(4), uint32(0x20e), uint32(9), uint32(0x50005),
		int64(-1), int64(1)<<62, []byte(nil), []byte("labels"), "ftp")
	f.Add(v4, v6, v4, []byte(nil), uint16(1), uint16(0x800), uint16(0), uint16(1), uint8(1), uint8(0), uint32(0), uint32(0), uint32(7),
		int64(0), int64(0), []byte{15}, []byte(nil), "f\x00")
	f.Fuzz(func(t *testing.T, source, dest, replySource, replyDest []byte, sport, dport, rsport, rdport uint16,
		protocol, state uint8, status, mark, zones uint32, timeout, age int64, tcp, labels []byte, helper string) {
		endpoint := func(p []byte, port uint16) netip.AddrPort {
			a, _ := netip.AddrFromSlice(p)
			return netip.AddrPortFrom(a, port)
		}
		c := conntrack.Entry{
			Protocol: conntrack.Protocol(protocol),
			Zones:    conntrack.Zones{Original: uint16(zones >> 16), Reply: uint16(zones)},
			Original: conntrack.Tuple{Source: endpoint(source, sport), Destination: endpoint(dest, dport)},
			Reply:    conntrack.Tuple{Source: endpoint(replySource, rsport), Destination: endpoint(replyDest, rdport)},
			Status:   conntrack.Status(status), State: conntrack.State(state), Mark: mark,
			Timeout: time.Duration(timeout), Age: time.Duration(age), Helper: helper,
		}
		if len(tcp) >= 4 {
			c.TCP = conntrack.TCPInfo{Scale: [2]uint8{tcp[0], tcp[1]}, Flags: [2]uint8{tcp[2], tcp[3]}}
		}
		if c.Protocol == conntrack.SCTP {
			c.SCTP.Tags = [2]uint32{mark, status}
		}
		copy(c.Labels[:], labels)
		c.Adjust[1].Before = int32(mark) >> 8
		c.Proxy.Offset = mark >> 16
		e := newEncoder(t, 2000)
		appendTo(t, e, plain(0))
		if err := e.Append(&c); err != nil {
			if got := decode(t, e.Finish()); len(got) != 1 || errors.Is(err, ctentry.ErrFull) {
				t.Errorf("%v: %d entries", err, len(got))
			}
			return
		}
		appendTo(t, e, c, plain(1))
		got := decode(t, e.Finish())
		c.Status &^= conntrack.Dying
		c.Timeout = min(max((min(c.Timeout, 1<<62)+time.Millisecond-1)/time.Millisecond, 0), 1<<32-1) * time.Millisecond
		c.Age = min(max(c.Age/time.Millisecond, 0), 1<<32-1) * time.Millisecond
		if want := []conntrack.Entry{plain(0), c, c, plain(1)}; !slices.Equal(got, want) {
			t.Errorf("got\n%+v, want\n%+v", got, want)
		}
	})
}
