package entry_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// plainConn returns the n-th connection of a service that all have in common.
func plainConn(n int) ipvs.Conn {
	return ipvs.Conn{
		Protocol: ipvs.TCP,
		Client:   netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)}), 40000),
		Virtual:  addr("198.51.100.1:80"), Dest: addr("10.0.0.1:80"),
		State: ipvs.TCPEstablished, Timeout: 15 * time.Minute,
	}
}

// Sizes of what plainConn takes, from the layout.
const (
	advertSize = 4 + 16
	firstSize  = 1 + (1 + 8 + 5) + 1 + 10 + 2 + 4 + 1
	moreSize   = 1 + 1 + 2 + 4 + 1
)

func newEncoder(t testing.TB, limit int) *entry.Encoder {
	t.Helper()
	var e entry.Encoder
	if err := e.Reset(nil, limit); err != nil {
		t.Fatal(err)
	}
	return &e
}

func appendTo(t testing.TB, e *entry.Encoder, c ipvs.Conn) {
	t.Helper()
	if err := e.Append(&c); err != nil {
		t.Fatalf("%v: %v", &c, err)
	}
}

func TestFillsAFrameToItsLimit(t *testing.T) {
	const fit = 100
	for limit, want := range map[int]int{
		advertSize + firstSize + (fit-1)*moreSize - 1:            fit - 1,
		advertSize + firstSize + (fit-1)*moreSize:                fit,
		advertSize + firstSize + (fit-1)*moreSize + moreSize - 1: fit,
	} {
		e := newEncoder(t, limit)
		for i := range want {
			if e.Full() {
				t.Fatalf("limit %d: full after %d", limit, i)
			}
			appendTo(t, e, plainConn(i))
		}
		if !e.Full() || e.Count() != want {
			t.Errorf("limit %d: full %v with %d connections, want true with %d", limit, e.Full(), e.Count(), want)
		}
		before := bytes.Clone(e.Finish())
		c := plainConn(want)
		if err := e.Append(&c); !errors.Is(err, entry.ErrFull) {
			t.Errorf("limit %d: one more: %v", limit, err)
		}
		if got := e.Finish(); !bytes.Equal(got, before) || len(got) > limit {
			t.Errorf("limit %d: %d bytes, was %d", limit, len(got), len(before))
		}
	}
}

func TestASmallEntryStillFitsWhereALargeOneDoesNot(t *testing.T) {
	e := newEncoder(t, 600)
	for e.Count() == 0 || len(e.Finish()) < 600-2*moreSize {
		appendTo(t, e, plainConn(e.Count()))
	}
	n := e.Count()
	large := plainConn(0)
	large.Dest, large.Virtual, large.Timeout = addr("10.0.0.2:80"), addr("198.51.100.2:80"), time.Minute
	if err := e.Append(&large); !errors.Is(err, entry.ErrFull) {
		t.Fatalf("with definitions: %v", err)
	}
	appendTo(t, e, plainConn(n))
	got := decode(t, e.Finish())
	for i := range got {
		if want := plainConn(i); !reflect.DeepEqual(got[i], want) {
			t.Errorf("got %v, want %v", &got[i], &want)
		}
	}
	if len(got) != n+1 {
		t.Errorf("%d connections, want %d", len(got), n+1)
	}
}

func TestRefusesWhatItCannotCarry(t *testing.T) {
	v6 := addr("[2001:db8::1]:80")
	template := func(name string, data int) func(*ipvs.Conn) {
		return func(c *ipvs.Conn) {
			c.Flags, c.PEName, c.PEData = ipvs.FlagTemplate, name, make([]byte, data)
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*ipvs.Conn)
		want   error
	}{
		{"IPv6 client of an IPv4 service", func(c *ipvs.Conn) { c.Client = v6 }, entry.ErrFamily},
		{"IPv4 client of an IPv6 service", func(c *ipvs.Conn) { c.Virtual = v6 }, entry.ErrFamily},
		{"no client", func(c *ipvs.Conn) { c.Client = netip.AddrPort{} }, entry.ErrFamily},
		{"no real server", func(c *ipvs.Conn) { c.Dest = netip.AddrPort{} }, entry.ErrFamily},
		{"a zone", func(c *ipvs.Conn) { c.Client, c.Virtual = addr("[fe80::1%eth0]:1"), v6 }, entry.ErrFamily},
		{"a zone of the real server", func(c *ipvs.Conn) { c.Dest = addr("[fe80::1%eth0]:1") }, entry.ErrFamily},
		{"one packet", func(c *ipvs.Conn) { c.Flags = ipvs.FlagOnePacket }, entry.ErrOnePacket},
		{"state 256", func(c *ipvs.Conn) { c.State = 256 }, entry.ErrState},
		{"persistence engine without data", template("sip", 0), entry.ErrPE},
		{"persistence engine without a name", template("", 1), entry.ErrPE},
		{"256 bytes of data", template("sip", 256), entry.ErrPE},
		{"a name of 16 bytes", template(strings.Repeat("n", 16), 1), entry.ErrPE},
		{"a zero in the name", template("s\x00p", 1), entry.ErrPE},
		{"persistence engine of no template", func(c *ipvs.Conn) { c.PEName, c.PEData = "sip", []byte("id") }, entry.ErrPE},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEncoder(t, 1400)
			appendTo(t, e, plainConn(0))
			before := bytes.Clone(e.Finish())
			c := plainConn(1)
			tt.change(&c)
			if err := e.Append(&c); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if got := e.Finish(); !bytes.Equal(got, before) || e.Count() != 1 {
				t.Errorf("the frame changed:\n%x, want\n%x", got, before)
			}
		})
	}
}

func TestTheLargestConnectionFitsWhereResetIsContent(t *testing.T) {
	v6 := func(last string) netip.AddrPort { return addr("[2001:db8::" + last + "]:65535") }
	c := ipvs.Conn{
		Protocol: ipvs.SCTP, Client: v6("1"), Virtual: v6("2"), Dest: addr("[2001:db8::3]:1"),
		Flags: ^ipvs.FlagOnePacket, State: 255, Fwmark: 1<<32 - 1,
		Timeout: (1<<32 - 1) * time.Millisecond, Age: (1<<32 - 1) * time.Millisecond,
		PEName: strings.Repeat("n", 15), PEData: bytes.Repeat([]byte{'d'}, 255),
	}
	e := newEncoder(t, entry.MinRoom)
	appendTo(t, e, c)
	blocks := e.Finish()
	if len(blocks) != entry.MinRoom {
		t.Errorf("%d bytes, want %d", len(blocks), entry.MinRoom)
	}
	c.Flags &^= ipvs.FlagHashed
	if got := decode(t, blocks); !reflect.DeepEqual(got, []ipvs.Conn{c}) {
		t.Errorf("got\n%+v, want\n%+v", got, c)
	}
	if err := e.Reset(nil, entry.MinRoom-1); !errors.Is(err, entry.ErrRoom) {
		t.Errorf("a byte less: %v", err)
	}
	if err := e.Reset(make([]byte, 1), entry.MinRoom); !errors.Is(err, entry.ErrRoom) {
		t.Errorf("a byte in it: %v", err)
	}
	if err := e.Append(&c); !errors.Is(err, entry.ErrFull) || e.Finish() != nil {
		t.Errorf("after that: %v", err)
	}
}

func TestTimesAreMilliseconds(t *testing.T) {
	const most = (1<<32 - 1) * time.Millisecond
	for _, tt := range []struct{ timeout, age, wantTimeout, wantAge time.Duration }{
		{0, 0, 0, 0},
		{1, 1, time.Millisecond, 0},
		{time.Millisecond, time.Millisecond, time.Millisecond, time.Millisecond},
		{1500 * time.Microsecond, 1500 * time.Microsecond, 2 * time.Millisecond, time.Millisecond},
		{-time.Second, -time.Second, 0, 0},
		{most, most, most, most},
		{most + 1, most + 1, most, most},
		{1<<63 - 1, 1<<63 - 1, most, most},
	} {
		c := plainConn(0)
		c.Timeout, c.Age = tt.timeout, tt.age
		got := decode(t, encode(t, []ipvs.Conn{c}))[0]
		if got.Timeout != tt.wantTimeout || got.Age != tt.wantAge {
			t.Errorf("timeout %v, age %v: got %v, %v", tt.timeout, tt.age, got.Timeout, got.Age)
		}
	}
}

// adverts returns how many entries each ADVERT has.
func adverts(t testing.TB, blocks []byte) (counts []int) {
	t.Helper()
	list := blocksOf(t, blocks, 1, 0)
	for b := (block.Block{}); list.Next(&b); {
		a, err := b.Advert()
		if err != nil {
			t.Fatal(err)
		}
		counts = append(counts, a.Count)
	}
	return counts
}

func TestBeginsAnotherBlockWhereATableIsFull(t *testing.T) {
	for name, change := range map[string]func(*ipvs.Conn, int){
		"real servers": func(c *ipvs.Conn, n int) {
			c.Dest = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 80)
		},
		"services": func(c *ipvs.Conn, n int) { c.Virtual = netip.AddrPortFrom(c.Virtual.Addr(), uint16(n)) },
		"profiles": func(c *ipvs.Conn, n int) { c.Timeout = time.Duration(n) * time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			list := make([]ipvs.Conn, 0, 1000)
			for i := range 600 {
				c := plainConn(i)
				change(&c, i)
				list = append(list, c)
				if i == 255 { // the table is full, but nothing new is needed
					list = append(list, c)
				}
			}
			blocks := encode(t, list)
			if got, want := adverts(t, blocks), []int{257, 256, 88}; !reflect.DeepEqual(got, want) {
				t.Errorf("blocks of %v, want %v", got, want)
			}
			if got := decode(t, blocks); !reflect.DeepEqual(got, list) {
				t.Error("the connections differ")
			}
		})
	}
}

func TestAnotherBlockMustFit(t *testing.T) {
	const perEntry = moreSize + 1 + 5 + 2 // a real server with a port of its own
	limit := advertSize + firstSize + 2 + 255*perEntry + advertSize + firstSize + 2
	for _, missing := range []int{0, 1} {
		e := newEncoder(t, limit-missing)
		server := func(n int) ipvs.Conn {
			c := plainConn(n)
			c.Dest = netip.AddrPortFrom(c.Dest.Addr(), uint16(1000+n))
			return c
		}
		for i := range 256 {
			appendTo(t, e, server(i))
		}
		before := bytes.Clone(e.Finish())
		c := server(256)
		switch err := e.Append(&c); {
		case missing == 0 && err != nil:
			t.Errorf("it fits: %v", err)
		case missing == 0:
			if got := e.Finish(); len(got) != limit || len(decode(t, got)) != 257 {
				t.Errorf("%d bytes, want %d", len(got), limit)
			}
		case !errors.Is(err, entry.ErrFull):
			t.Errorf("a byte less: %v", err)
		case !bytes.Equal(e.Finish(), before):
			t.Error("a byte less: the frame changed")
		}
	}
}

func TestTheLargestFrameIsFilled(t *testing.T) {
	e := newEncoder(t, 1<<20)
	var n int
	for c := plainConn(0); e.Append(&c) == nil; c = plainConn(n) {
		n++
	}
	blocks := e.Finish()
	if len(blocks) > block.MaxLength || len(blocks) <= block.MaxLength-moreSize {
		t.Errorf("%d bytes", len(blocks))
	}
	if got := len(decode(t, blocks)); got != n {
		t.Errorf("%d connections, want %d", got, n)
	}
}

// Whatever was in a frame before does not show in the next.
func TestDecodesWhatItEncodes(t *testing.T) {
	w := newWorld()
	var e entry.Encoder
	var d entry.Decoder
	buf := bytes.Repeat([]byte{0xaa}, 9000)
	for frames := range 200 {
		if err := e.Reset(buf[:block.HeaderSize], 500+w.random.IntN(8500)); err != nil {
			t.Fatal(err)
		}
		var list []ipvs.Conn
		for {
			c := w.conn()
			err := e.Append(&c)
			if errors.Is(err, entry.ErrFull) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, c)
		}
		body := e.Finish()
		if &body[0] != &buf[0] {
			t.Fatal("the buffer was not used")
		}
		if err := d.Reset(blocksOf(t, body[block.HeaderSize:], 1, 0)); err != nil {
			t.Fatal(err)
		}
		if got := take(&d); !reflect.DeepEqual(got, list) {
			t.Fatalf("frame %d: the connections differ", frames)
		}
	}
}

func TestAFrameWithoutConnectionsIsNothingToSend(t *testing.T) {
	var e entry.Encoder
	if got := e.Finish(); got != nil {
		t.Errorf("before Reset: %x", got)
	}
	c := plainConn(0)
	if err := e.Append(&c); !errors.Is(err, entry.ErrFull) {
		t.Errorf("before Reset: %v", err)
	}
	if err := e.Reset(nil, 1400); err != nil {
		t.Fatal(err)
	}
	if got := e.Finish(); got != nil || e.Count() != 0 {
		t.Errorf("after Reset: %x", got)
	}
}

func TestFinishMayBeFollowedByFurtherConnections(t *testing.T) {
	e := newEncoder(t, 1400)
	for i := range 3 {
		appendTo(t, e, plainConn(i))
		got := e.Finish()
		if n := len(decode(t, got)); n != i+1 {
			t.Errorf("%d connections, want %d", n, i+1)
		}
		if length := int(binary.BigEndian.Uint16(got[2:])); length != len(got)-4 {
			t.Errorf("Length %d of %d bytes", length, len(got))
		}
	}
}

func TestEncodesWithoutAllocation(t *testing.T) {
	list := newWorld().conns(oneRead)
	for _, g := range golden {
		list = append(list, g.conns...)
	}
	l, receiver := newLink(t, frame.Sealed), newLink(t, frame.Sealed)
	var o entry.Order
	c := ipvs.Conn{PEData: make([]byte, 0, 255)}
	n := 0
	send := func(f []byte) { n += receiver.open(t, f, &c) }
	l.frames(t, list, o.Of(list), send) // buffers are made once
	if n != len(list) {
		t.Errorf("%d connections of %d", n, len(list))
	}
	if n := testing.AllocsPerRun(100, func() { l.frames(t, list, o.Of(list), send) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
