package entry_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/block/blocktest"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/goldentest"
)

// Parts of entries, octet by octet from the layout.
var (
	service4 = []byte{0, 6, 0, 80, 198, 51, 100, 1}
	service6 = append([]byte{1, 6, 0, 80}, make([]byte, 16)...)
	marked   = []byte{2, 6, 0, 80, 198, 51, 100, 1, 0, 0, 0, 9}
	dest4    = []byte{0, 10, 0, 0, 1}
	dest4p   = []byte{2, 10, 0, 0, 1, 0x1f, 0x90}
	dest6    = append([]byte{1}, make([]byte, 16)...)
	profile  = []byte{0, 0, 0, 0, 1, 0, 0, 0, 0, 0}
	sequent  = []byte{0, 0, 2, 0, 1, 0, 0, 0, 0, 0}
	fielded  = []byte{0, 0, 16, 0, 1, 1, 0, 0, 0, 0} // of a template
	plain    = []byte{0, 0, 0, 0, 1, 1, 0, 0, 0, 0}  // with fields, no template
	client4  = []byte{0x9c, 0x40, 192, 0, 2, 1}
	client6  = make([]byte, 18)
	age      = []byte{5}
	zero     = []byte{0}
	one      = []byte{1}
)

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

// fresh is an entry that defines everything; again one that defines nothing.
var (
	fresh = join(zero, zero, service4, dest4, zero, profile, client4, age)
	again = join(zero, zero, client4, age)
)

func TestRefusesABrokenAdvertWhole(t *testing.T) {
	for _, tt := range []struct {
		name    string
		count   int
		entries []byte
		want    error
	}{
		{"no entry", 1, nil, entry.ErrCount},
		{"an entry less than Count", 3, join(fresh, again), entry.ErrCount},
		{"an entry more than Count", 1, join(fresh, again), entry.ErrCount},
		{"octets behind the last entry", 1, join(fresh, zero), entry.ErrCount},
		{"in any way", 1, join(fresh, zero), entry.ErrMalformed},
		{"first destination not 0", 1, join(one, zero, service4, dest4, zero, profile, client4, age), entry.ErrIndex},
		{"destination skipped", 2, join(fresh, []byte{2}, zero, dest4, zero, client4, age), entry.ErrIndex},
		{"first service not 0", 1, join(zero, one, service4, dest4, zero, profile, client4, age), entry.ErrIndex},
		{"service skipped", 2, join(fresh, one, []byte{2}, service4, dest4, zero, client4, age), entry.ErrIndex},
		{"first profile not 0", 1, join(zero, zero, service4, dest4, one, profile, client4, age), entry.ErrIndex},
		{"profile skipped", 2, join(fresh, zero, []byte{2}, profile, client4, age), entry.ErrIndex},
		{"shape of a service", 1, join(zero, zero, []byte{4}, service4[1:], dest4, zero, profile, client4, age), entry.ErrReserved},
		{"shape of a destination", 1, join(zero, zero, service4, []byte{4}, dest4[1:], zero, profile, client4, age), entry.ErrReserved},
		{"options of a profile", 1, join(zero, zero, service4, dest4, zero, profile[:5], []byte{2}, profile[6:], client4, age), entry.ErrReserved},
		{"firewall mark 0", 1, join(zero, zero, marked[:11], zero, dest4, zero, profile, client4, age), entry.ErrFwmark},
		{"age of 2 bytes for 1", 1, join(fresh[:len(fresh)-1], []byte{0x85, 0}), entry.ErrVarint},
		{"age of 5 bytes for 1", 1, join(fresh[:len(fresh)-1], []byte{0x80, 0x80, 0x80, 0x80, 0}), entry.ErrVarint},
		{"age over 32 bits", 1, join(fresh[:len(fresh)-1], []byte{0xff, 0xff, 0xff, 0xff, 0x10}), entry.ErrVarint},
		{"age of 6 bytes", 1, join(fresh[:len(fresh)-1], []byte{0x80, 0x80, 0x80, 0x80, 0x80, 1}), entry.ErrVarint},
		{"age cut off", 1, join(fresh[:len(fresh)-1], []byte{0x80, 0x80}), entry.ErrTruncated},
		{"a field without its length", 1, join(zero, zero, service4, dest4, zero, fielded, client4, age, []byte{0, 1, 0x81}), entry.ErrFields},
		{"a field behind the fields", 1, join(zero, zero, service4, dest4, zero, fielded, client4, age, []byte{0, 3, 0x81, 2, 'x'}), entry.ErrFields},
		{"fields behind the block", 1, join(zero, zero, service4, dest4, zero, fielded, client4, age, []byte{0, 3, 0x81, 1}), entry.ErrTruncated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var d entry.Decoder
			err := d.Reset(blocksOf(t, advertOf(t, tt.count, tt.entries), 1, 0))
			if !errors.Is(err, tt.want) || !errors.Is(err, entry.ErrMalformed) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if d.Next(&ipvs.Conn{}) || d.Count() != 0 {
				t.Error("it yields connections all the same")
			}
		})
	}
}

// Every part of an entry, cut off at every octet.
func TestRefusesATruncationAtEveryOctet(t *testing.T) {
	fields := []byte{0, 3, 0x01, 1, 'x'}
	for name, entries := range map[string][]byte{
		"IPv4":          fresh,
		"IPv6":          join(zero, zero, service6, dest6, zero, profile, client6, age),
		"mark, port":    join(zero, zero, marked, dest4p, zero, profile, client4, []byte{0xff, 0xff, 0xff, 0xff, 0x0f}),
		"sequence":      join(zero, zero, service4, dest4, zero, sequent, client4, age, make([]byte, 24)),
		"fields":        join(zero, zero, service4, dest4, zero, fielded, client4, age, fields),
		"of many":       join(fresh, again, again),
		"IPv6, another": join(zero, zero, service6, dest4, zero, profile, client6, age, zero, zero, client6, age),
	} {
		var d entry.Decoder
		count := 1
		switch name {
		case "of many":
			count = 3
		case "IPv6, another":
			count = 2
		}
		if err := d.Reset(blocksOf(t, advertOf(t, count, entries), 1, 0)); err != nil {
			t.Fatalf("%s, whole: %v", name, err)
		}
		for n := range entries {
			err := d.Reset(blocksOf(t, advertOf(t, count, entries[:n:n]), 1, 0))
			if !errors.Is(err, entry.ErrTruncated) && !errors.Is(err, entry.ErrCount) || d.Next(&ipvs.Conn{}) {
				t.Errorf("%s, %d of %d bytes: %v", name, n, len(entries), err)
			}
		}
	}
}

func TestRefusesAnEntryAlone(t *testing.T) {
	long := bytes.Repeat([]byte{'n'}, 16)
	name, data := []byte{0x81, 3, 's', 'i', 'p'}, []byte{0x82, 2, 'i', 'd'}
	for _, tt := range []struct {
		name    string
		profile []byte
		fields  []byte
		want    entry.Refusals
	}{
		{"mandatory and unknown", fielded, []byte{0x83, 0}, entry.Refusals{UnknownField: 1}},
		{"mandatory and unknown, behind others", fielded, join(name, data, []byte{0xff, 1, 0}), entry.Refusals{UnknownField: 1}},
		{"a name twice", fielded, join(name, name, data), entry.Refusals{DuplicateField: 1}},
		{"data twice", fielded, join(name, data, data), entry.Refusals{DuplicateField: 1}},
		{"twice what may be skipped", fielded, []byte{7, 0, 7, 0}, entry.Refusals{DuplicateField: 1}},
		{"a name alone", fielded, name, entry.Refusals{PersistenceEngine: 1}},
		{"data alone", fielded, data, entry.Refusals{PersistenceEngine: 1}},
		{"no name", fielded, join([]byte{0x81, 0}, data), entry.Refusals{PersistenceEngine: 1}},
		{"a name of 16 bytes", fielded, join([]byte{0x81, 16}, long, data), entry.Refusals{PersistenceEngine: 1}},
		{"a zero in a name", fielded, join([]byte{0x81, 1, 0}, data), entry.Refusals{PersistenceEngine: 1}},
		{"no data", fielded, join(name, []byte{0x82, 0}), entry.Refusals{PersistenceEngine: 1}},
		{"no template", plain, join(name, data), entry.Refusals{PersistenceEngine: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			refused := join(one, zero, dest4p, one, tt.profile, client4, age, []byte{0, byte(len(tt.fields))}, tt.fields)
			var d entry.Decoder
			if err := d.Reset(blocksOf(t, advertOf(t, 3, join(fresh, refused, again)), 1, 0)); err != nil {
				t.Fatal(err)
			}
			want := decode(t, advertOf(t, 2, join(fresh, again)))
			if got := take(&d); !reflect.DeepEqual(got, want) {
				t.Errorf("got\n%+v, want\n%+v", got, want)
			}
			if d.Refusals() != tt.want || d.Count() != 3 {
				t.Errorf("refused %+v of %d, want %+v of 3", d.Refusals(), d.Count(), tt.want)
			}
		})
	}
}

func TestSkipsFieldsThatNeedNotBeKnown(t *testing.T) {
	fields := join([]byte{0x01, 2, 'x', 'y'}, []byte{0x82, 2, 'i', 'd'}, []byte{0x7f, 0}, []byte{0x81, 3, 's', 'i', 'p'}, []byte{0x40, 1, 0})
	got := decode(t, advertOf(t, 2, join(
		zero, zero, service4, dest4, zero, fielded, client4, age, []byte{0, byte(len(fields))}, fields,
		zero, zero, client4, age, []byte{0, 0})))
	if len(got) != 2 || got[0].PEName != "sip" || string(got[0].PEData) != "id" || got[1].PEName != "" || len(got[1].PEData) != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestTakesOnlyAdvertsOfItsClass(t *testing.T) {
	other := blocktest.Advert(t, block.ClassConntrack, 9, []byte("whatever that is"))
	heartbeat, err := block.AppendHeartbeat(nil, &block.Heartbeat{State: block.StateSynced, Interval: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	unknown := []byte{0x7f, 0, 0, 1, 9}
	for name, tt := range map[string]struct {
		blocks []byte
		want   int
	}{
		"none":         {join(other, heartbeat), 0},
		"among others": {join(heartbeat, other, advertOf(t, 1, fresh), unknown, advertOf(t, 2, join(fresh, again)), other), 3},
	} {
		if got := decode(t, tt.blocks); len(got) != tt.want {
			t.Errorf("%s: %d connections, want %d", name, len(got), tt.want)
		}
	}
}

// Whichever of several blocks is broken, nothing is taken of any.
func TestRefusesAFrameOfSeveralAdvertsWhole(t *testing.T) {
	good := advertOf(t, 1, fresh)
	for n := range 3 {
		blocks := [][]byte{good, good, good}
		blocks[n] = advertOf(t, 2, fresh)
		var d entry.Decoder
		if err := d.Reset(blocksOf(t, join(blocks...), 1, 0)); !errors.Is(err, entry.ErrCount) || d.Next(&ipvs.Conn{}) || d.Count() != 0 {
			t.Errorf("block %d is broken: %v, %d connections", n, err, d.Count())
		}
		// And it is as good as new.
		if err := d.Reset(blocksOf(t, join(good, good), 1, 0)); err != nil || len(take(&d)) != 2 {
			t.Errorf("after block %d was broken: %v", n, err)
		}
	}
}

func TestAgeHasTheTimeThatTheSenderHeldIt(t *testing.T) {
	var d entry.Decoder
	// A second one, to see that each has its own.
	if err := d.Reset(blocksOf(t, join(advertOf(t, 1, fresh), advertOf(t, 1, fresh)), 1, 3*time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, c := range take(&d) {
		if want := 3005 * time.Millisecond; c.Age != want {
			t.Errorf("age %v, want %v", c.Age, want)
		}
	}
}

func TestAgeHasTheTimeThatAFrameWasHeldAtLeast(t *testing.T) {
	list := newWorld().conns(2)
	list[0].Age, list[1].Age = time.Second, time.Second
	frame := join(encode(t, list[:1]), encode(t, list[1:]))
	for _, tt := range []struct{ sender, atLeast, want time.Duration }{
		{0, 0, time.Second},
		{0, 300 * time.Millisecond, 1300 * time.Millisecond},
		{200 * time.Millisecond, 300 * time.Millisecond, 1300 * time.Millisecond},
		{400 * time.Millisecond, 300 * time.Millisecond, 1400 * time.Millisecond},
	} {
		var d entry.Decoder
		if err := d.Reset(blocksOf(t, frame, 1, tt.sender)); err != nil {
			t.Fatal(err)
		}
		d.HeldAtLeast(tt.atLeast)
		for i, c := range take(&d) {
			if c.Age != tt.want {
				t.Errorf("held by the sender for %v and at least %v: connection %d is %v old, want %v",
					tt.sender, tt.atLeast, i, c.Age, tt.want)
			}
		}
		// Not of the next frame.
		if err := d.Reset(blocksOf(t, frame, 1, 0)); err != nil {
			t.Fatal(err)
		}
		if got := take(&d); len(got) != 2 || got[0].Age != time.Second || got[1].Age != time.Second {
			t.Errorf("the next frame: %v", got)
		}
	}
}

func TestNextSetsEveryField(t *testing.T) {
	dirty := ipvs.Conn{
		Client: addr("[2001:db8::1]:1"), Virtual: addr("[2001:db8::2]:2"), Dest: addr("[2001:db8::3]:3"),
		Protocol: 99, Marks: 7, State: 99, Flags: ^ipvs.Flags(0), Fwmark: 5,
		Timeout: time.Hour, Age: time.Minute,
		In: ipvs.Sequence{Init: 1, Delta: 2, PreviousDelta: 3}, Out: ipvs.Sequence{Init: 4, Delta: 5, PreviousDelta: 6},
		PEName: "sip", PEData: []byte("data"),
	}
	var d entry.Decoder
	if err := d.Reset(blocksOf(t, goldentest.Read(t, golden[0].file), 1, 0)); err != nil {
		t.Fatal(err)
	}
	if !d.Next(&dirty) {
		t.Fatal("no connection")
	}
	if len(dirty.PEData) != 0 {
		t.Errorf("persistence engine data %q", dirty.PEData)
	}
	dirty.PEData = nil
	if want := golden[0].conns[0]; !reflect.DeepEqual(dirty, want) {
		t.Errorf("got\n%+v, want\n%+v", dirty, want)
	}
}

// A table has 256 rows; an index cannot be larger than the last one.
func TestTablesMayBeFull(t *testing.T) {
	var entries []byte
	for i := range 256 {
		s, f := bytes.Clone(service4), bytes.Clone(profile)
		s[7], f[4] = byte(i), byte(i)
		entries = append(entries, join([]byte{byte(i), byte(i)}, s, dest4, []byte{byte(i)}, f, client4, age)...)
	}
	for i := range 256 {
		entries = append(entries, join([]byte{byte(255 - i), byte(i)}, client4, age)...)
	}
	got := decode(t, advertOf(t, 512, entries))
	for i := range got {
		service, state := i, i
		if i >= 256 {
			service, state = 511-i, i-256
		}
		if got[i].Virtual.Addr().As4()[3] != byte(service) || got[i].State != ipvs.State(state) {
			t.Fatalf("connection %d: %v", i, &got[i])
		}
	}
}

func TestDecodesWithoutAllocation(t *testing.T) {
	good := blocksOf(t, goldentest.Read(t, "mixed.hex"), 1, 0)
	broken := blocksOf(t, advertOf(t, 2, fresh), 1, 0)
	refused := blocksOf(t, advertOf(t, 1, join(zero, zero, service4, dest4, zero, fielded, client4, age, []byte{0, 2, 0x83, 0})), 1, 0)
	var d entry.Decoder
	c := ipvs.Conn{PEData: make([]byte, 0, 255)}
	if n := testing.AllocsPerRun(100, func() {
		for _, blocks := range []block.Blocks{good, refused} {
			if err := d.Reset(blocks); err != nil {
				t.Fatal(err)
			}
			for d.Next(&c) {
			}
		}
		if err := d.Reset(broken); err == nil {
			t.Fatal("no error")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The varints of the document: LEB128, at most 32 bits, as few bytes as it
// takes.
func TestAgesAreVarints(t *testing.T) {
	for _, tt := range []struct {
		age    uint32
		octets []byte
	}{
		{0, []byte{0}},
		{1, []byte{1}},
		{127, []byte{0x7f}},
		{128, []byte{0x80, 0x01}},
		{300, []byte{0xac, 0x02}},
		{16383, []byte{0xff, 0x7f}},
		{16384, []byte{0x80, 0x80, 0x01}},
		{1<<21 - 1, []byte{0xff, 0xff, 0x7f}},
		{1 << 21, []byte{0x80, 0x80, 0x80, 0x01}},
		{1<<28 - 1, []byte{0xff, 0xff, 0xff, 0x7f}},
		{1 << 28, []byte{0x80, 0x80, 0x80, 0x80, 0x01}},
		{1<<32 - 1, []byte{0xff, 0xff, 0xff, 0xff, 0x0f}},
	} {
		want := time.Duration(tt.age) * time.Millisecond
		blocks := advertOf(t, 1, join(fresh[:len(fresh)-1], tt.octets))
		got := decode(t, blocks)
		if got[0].Age != want {
			t.Errorf("% x: %v, want %v", tt.octets, got[0].Age, want)
		}
		if again := encode(t, got); !bytes.Equal(again, blocks) {
			t.Errorf("%d encoded: % x, want % x", tt.age, again, blocks)
		}
	}
}

func ExampleDecoder_Refusals() {
	// A template with a field of a later version, which must be known.
	entries := binary.BigEndian.AppendUint16(join(zero, zero, service4, dest4, zero, fielded, client4, age), 2)
	entries = append(entries, 0x90, 0)
	blocks := append(block.BeginAdvert(nil, block.ClassIPVS), entries...)
	if err := block.EndAdvert(blocks, 0, 1); err != nil {
		fmt.Println(err)
	}
	body := blocktest.Body(blocks)
	block.Stamp(body, 1, 0)
	parsed, err := block.Parse(body)
	if err != nil {
		fmt.Println(err)
	}
	var d entry.Decoder
	if err := d.Reset(parsed.Blocks()); err != nil {
		fmt.Println(err)
	}
	fmt.Println(d.Next(&ipvs.Conn{}), d.Refusals().UnknownField)
	// Output:
	// false 1
}
