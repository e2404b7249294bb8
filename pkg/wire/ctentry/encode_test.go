package ctentry_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/block/blocktest"
	"github.com/ssyncp/ssyncp/pkg/wire/ctentry"
)

func TestWhatCannotBeCarriedIsRefusedAndLeavesTheFrameAlone(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*conntrack.Entry)
		want   error
	}{
		{"families", func(e *conntrack.Entry) { e.Reply.Source = addr("[2001:db8::1]:53") }, ctentry.ErrFamily},
		{"no address", func(e *conntrack.Entry) { e.Original.Source = netip.AddrPort{} }, ctentry.ErrFamily},
		{"addresses with zones", func(e *conntrack.Entry) {
			e.Original = conntrack.Tuple{Source: addr("[fe80::1%eth0]:1"), Destination: addr("[fe80::2]:2")}
			e.Reply = e.Untranslated()
		}, ctentry.ErrFamily},
		{"UDP with a window scale", func(e *conntrack.Entry) { e.TCP.Scale[1] = 1 }, ctentry.ErrProtocol},
		{"UDP with a tag", func(e *conntrack.Entry) { e.SCTP.Tags[0] = 1 }, ctentry.ErrProtocol},
		{"UDP with a state", func(e *conntrack.Entry) { e.State = conntrack.TCPEstablished }, ctentry.ErrProtocol},
		{"TCP with a state that it does not have", func(e *conntrack.Entry) { e.Protocol, e.State = conntrack.TCP, conntrack.TCPSynSent2+1 }, ctentry.ErrProtocol},
		{"a window scale of 15", func(e *conntrack.Entry) { e.Protocol, e.TCP.Scale[0] = conntrack.TCP, 15 }, ctentry.ErrProtocol},
		{"a helper with a long name", func(e *conntrack.Entry) { e.Helper = "sixteen-letters!" }, ctentry.ErrHelper},
		{"a helper with a zero", func(e *conntrack.Entry) { e.Helper = "f\x00p" }, ctentry.ErrHelper},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEncoder(t, 2000)
			appendTo(t, e, plain(0))
			c := with(plain(1), tt.change)
			if err := e.Append(&c); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			appendTo(t, e, plain(2))
			if got, want := decode(t, e.Finish()), []conntrack.Entry{plain(0), plain(2)}; !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestTimesAreRoundedSoThatOnlyWhatHasEndedHasNoTimeout(t *testing.T) {
	for _, tt := range []struct{ timeout, age, wantTimeout, wantAge time.Duration }{
		{0, 0, 0, 0},
		{-time.Second, -time.Second, 0, 0},
		{time.Nanosecond, time.Millisecond - 1, time.Millisecond, 0},
		{time.Second, time.Second, time.Second, time.Second},
		{1 << 62, 1 << 62, (1<<32 - 1) * time.Millisecond, (1<<32 - 1) * time.Millisecond},
	} {
		e := plain(0)
		e.Timeout, e.Age = tt.timeout, tt.age
		got := decode(t, encode(t, e))[0]
		if got.Timeout != tt.wantTimeout || got.Age != tt.wantAge || got.Ended() != (tt.wantTimeout == 0) {
			t.Errorf("%v, %v: %v, %v, ended %v", tt.timeout, tt.age, got.Timeout, got.Age, got.Ended())
		}
	}
}

func TestTheTimeThatAFrameWasHeldIsInTheAges(t *testing.T) {
	e := plain(0)
	e.Age = 5 * time.Millisecond
	var d ctentry.Decoder
	if err := d.Reset(blocksOf(t, encode(t, e), 1, 40*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	d.HeldAtLeast(20 * time.Millisecond)
	if got := take(&d)[0].Age; got != 45*time.Millisecond {
		t.Errorf("%v", got)
	}
	if err := d.Reset(blocksOf(t, encode(t, e), 1, 40*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	d.HeldAtLeast(time.Second)
	if got := take(&d)[0].Age; got != 1005*time.Millisecond {
		t.Errorf("%v", got)
	}
}

// Every table in turn has 257 different rows.
func TestAFullTableBeginsAnotherBlock(t *testing.T) {
	for name, change := range map[string]func(*conntrack.Entry, int){
		"paths":        func(e *conntrack.Entry, i int) { e.Zones.Original = uint16(i + 1) },
		"destinations": func(e *conntrack.Entry, i int) { e.Original.Destination = addr("192.0.2.9:1"); port(e, i) },
		"profiles":     func(e *conntrack.Entry, i int) { e.Mark = uint32(i) },
	} {
		t.Run(name, func(t *testing.T) {
			var list []conntrack.Entry
			for i := range 600 {
				e := plain(i)
				change(&e, i)
				list = append(list, e)
			}
			blocks := encode(t, list...)
			if got := decode(t, blocks); !slices.Equal(got, list) {
				t.Error("they do not arrive as they were")
			}
			n := 0
			var b block.Block
			for all := blocksOf(t, blocks, 1, 0); all.Next(&b); {
				n++
			}
			if n != 3 {
				t.Errorf("%d blocks", n)
			}
		})
	}
}

func port(e *conntrack.Entry, i int) {
	e.Original.Destination = netip.AddrPortFrom(e.Original.Destination.Addr(), uint16(i))
	e.Reply = e.Untranslated()
}

func TestTheLargestEntryFitsTheLeastRoom(t *testing.T) {
	e := with(golden[1].entries[0], func(e *conntrack.Entry) {
		e.Zones = conntrack.Zones{Original: 1, Reply: 2}
		e.Reply = conntrack.Tuple{Source: addr("[2001:db8::7]:7"), Destination: addr("[2001:db8::8]:8")}
		e.Mark, e.Age, e.Helper = 1, 1<<62, "fifteen-letters"
		e.Proxy.ISN = 1
	})
	tight := newEncoder(t, ctentry.MinRoom)
	appendTo(t, tight, e)
	// It has no tags, which only SCTP has, nor TCP's part beside them.
	if unused := ctentry.MinRoom - len(tight.Finish()); unused != 8 {
		t.Errorf("%d bytes are unused", unused)
	}
	if err := new(ctentry.Encoder).Reset(nil, ctentry.MinRoom-1); !errors.Is(err, ctentry.ErrRoom) {
		t.Errorf("less room: %v", err)
	}
	if err := tight.Append(&e); !errors.Is(err, ctentry.ErrFull) {
		t.Errorf("another one: %v", err)
	}
	if err := new(ctentry.Encoder).Append(&e); !errors.Is(err, ctentry.ErrFull) {
		t.Errorf("without Reset: %v", err)
	}
}

func TestNothingIsAllocatedPerEntry(t *testing.T) {
	list := append(newWorld((*world).forwarded).entries(oneRead), golden[1].entries...)
	var o ctentry.Order
	var e ctentry.Encoder
	var d ctentry.Decoder
	var c conntrack.Entry
	buf := make([]byte, block.HeaderSize, block.MaxLength)
	run := func() {
		if err := e.Reset(buf[:block.HeaderSize], block.MaxLength); err != nil {
			t.Fatal(err)
		}
		for _, i := range o.Of(list) {
			if err := e.Append(&list[i]); err != nil {
				t.Fatal(err)
			}
		}
		body := e.Finish()
		if err := d.Reset(blocktest.Sent(t, body, 1, 0)); err != nil {
			t.Fatal(err)
		}
		n := 0
		for d.Next(&c) {
			n++
		}
		if n != len(list) {
			t.Fatalf("%d entries", n)
		}
	}
	run()
	if n := testing.AllocsPerRun(20, run); n > 0 {
		t.Errorf("%v allocations for %d entries", n, len(list))
	}
}
