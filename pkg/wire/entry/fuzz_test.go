package entry_test

import (
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/goldentest"
)

// What decodes encodes again, except what a sender never sends; and that
// decodes to the same connections.
func FuzzDecode(f *testing.F) {
	for _, g := range golden {
		blocks := goldentest.Read(f, g.file)
		f.Add(uint16(len(g.conns)), blocks[block.HeadSize+block.AdvertHeaderSize:])
	}
	f.Add(uint16(2), join(fresh, again))
	f.Add(uint16(1), join(zero, zero, marked, dest4p, zero, profile, client4, []byte{0xff, 0xff, 0xff, 0xff, 0x0f}))
	f.Add(uint16(1), join(zero, zero, service6, dest6, zero, sequent, client6, age, make([]byte, 24)))
	f.Add(uint16(2), join(zero, zero, service4, dest4, zero, fielded, client4, age, []byte{0, 2, 0x83, 0},
		zero, zero, client4, age, []byte{0, 8, 0x81, 1, 'a', 0x82, 1, 'b', 9, 0}))
	f.Add(uint16(2), fresh)
	f.Fuzz(func(t *testing.T, count uint16, entries []byte) {
		if count == 0 || len(entries) > block.MaxLength-block.AdvertHeaderSize {
			return
		}
		blocks := blocksOf(t, advertOf(t, int(count), entries), 1, 0)
		var d entry.Decoder
		if err := d.Reset(blocks); err != nil {
			if !errors.Is(err, entry.ErrMalformed) || d.Count() != 0 || d.Next(&ipvs.Conn{}) {
				t.Errorf("%v, but it yields connections", err)
			}
			return
		}
		first := take(&d)
		refused := d.Refusals()
		if n := len(first) + refused.UnknownField + refused.DuplicateField + refused.PersistenceEngine; n != int(count) || d.Count() != int(count) {
			t.Fatalf("%d connections, Count %d, refused %+v; %d were sent", len(first), d.Count(), refused, count)
		}
		// Several frames: what is not shared any more may take more room.
		var e entry.Encoder
		if err := e.Reset(nil, block.MaxLength); err != nil {
			t.Fatal(err)
		}
		var sent, second []ipvs.Conn
		flush := func() {
			if e.Count() > 0 {
				second = append(second, decode(t, e.Finish())...)
			}
			if err := e.Reset(nil, block.MaxLength); err != nil {
				t.Fatal(err)
			}
		}
		for i := range first {
			err := e.Append(&first[i])
			if errors.Is(err, entry.ErrFull) {
				flush()
				err = e.Append(&first[i])
			}
			switch {
			case err == nil:
				first[i].Flags &^= ipvs.FlagHashed
				sent = append(sent, first[i])
			case errors.Is(err, entry.ErrOnePacket) && first[i].Flags&ipvs.FlagOnePacket != 0:
			default:
				t.Fatalf("connection %d, %v: %v", i, &first[i], err)
			}
		}
		flush()
		if !reflect.DeepEqual(second, sent) {
			t.Errorf("got\n%v, want\n%v", second, sent)
		}
	})
}

// Whatever a connection is, the encoder refuses it and leaves the frame alone,
// or it arrives as it is.
func FuzzEncode(f *testing.F) {
	f.Add([]byte{192, 0, 2, 1}, []byte{198, 51, 100, 1}, []byte{10, 0, 0, 1}, uint16(40000), uint16(80), uint16(8080),
		uint8(6), uint16(1), uint32(0), uint32(0), int64(15*time.Minute), int64(time.Millisecond), "", []byte(nil))
	f.Add(make([]byte, 16), make([]byte, 16), []byte{10, 0, 0, 1}, uint16(0), uint16(5060), uint16(5060),
		uint8(17), uint16(1), uint32(0x1602), uint32(9), int64(-1), int64(1)<<62, "sip", []byte("call"))
	f.Add([]byte(nil), make([]byte, 16), make([]byte, 16), uint16(0), uint16(0), uint16(0),
		uint8(0), uint16(256), uint32(0x2040), uint32(0), int64(0), int64(0), "\x00", make([]byte, 256))
	f.Fuzz(func(t *testing.T, client, virtual, dest []byte, cport, vport, dport uint16,
		protocol uint8, state uint16, flags, fwmark uint32, timeout, age int64, name string, data []byte) {
		endpoint := func(p []byte, port uint16) netip.AddrPort {
			a, _ := netip.AddrFromSlice(p)
			return netip.AddrPortFrom(a, port)
		}
		c := ipvs.Conn{
			Client: endpoint(client, cport), Virtual: endpoint(virtual, vport), Dest: endpoint(dest, dport),
			Protocol: ipvs.Protocol(protocol), State: ipvs.State(state), Flags: ipvs.Flags(flags), Fwmark: fwmark,
			Timeout: time.Duration(timeout), Age: time.Duration(age),
			PEName: name, PEData: data,
		}
		if c.Flags&ipvs.FlagSeqMask != 0 {
			c.In = ipvs.Sequence{Init: fwmark, Delta: flags, PreviousDelta: uint32(age)}
		}
		e := newEncoder(t, 2000)
		appendTo(t, e, plainConn(0))
		err := e.Append(&c)
		got := decode(t, e.Finish())
		if err != nil {
			if len(got) != 1 || errors.Is(err, entry.ErrFull) {
				t.Errorf("%v: %d connections", err, len(got))
			}
			return
		}
		appendTo(t, e, c)
		appendTo(t, e, plainConn(1))
		got = decode(t, e.Finish())
		c.Flags &^= ipvs.FlagHashed
		c.Timeout = min(max((c.Timeout+time.Millisecond-1)/time.Millisecond, 0), 1<<32-1) * time.Millisecond
		if time.Duration(timeout) > 1<<62 { // it went round
			c.Timeout = (1<<32 - 1) * time.Millisecond
		}
		c.Age = min(max(c.Age/time.Millisecond, 0), 1<<32-1) * time.Millisecond
		if len(c.PEData) == 0 {
			c.PEData = nil
		}
		if want := []ipvs.Conn{plainConn(0), c, c, plainConn(1)}; !reflect.DeepEqual(got, want) {
			t.Errorf("got\n%+v, want\n%+v", got, want)
		}
	})
}

// Two bytes make a connection of a few services and real servers.
func FuzzOrder(f *testing.F) {
	f.Add([]byte("a few connections of a few services, some of them templates"))
	f.Add([]byte{0, 0, 0, 0x40, 0xff, 0xff, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, p []byte) {
		var list []ipvs.Conn
		for ; len(p) >= 2; p = p[2:] {
			c := plainConn(len(list))
			c.Virtual = netip.AddrPortFrom(c.Virtual.Addr(), uint16(p[0]%4))
			c.Fwmark = uint32(p[0] >> 2 % 3)
			c.Protocol = ipvs.Protocol(p[0] >> 6)
			c.Dest = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, p[1] % 16}), uint16(p[1]>>4%2))
			if p[1]&0x80 != 0 {
				c.Flags = ipvs.FlagTemplate
			}
			list = append(list, c)
		}
		var o entry.Order
		checkOrder(t, list, o.Of(list))
	})
}
