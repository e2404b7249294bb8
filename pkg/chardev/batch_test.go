package chardev_test

import (
	"bytes"
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

func event(e chardev.Events) []byte {
	return append(append(host16(8), 2, 0), host32(uint32(e))...)
}

func TestRefusesAMalformedRecordAndKeepsThoseBefore(t *testing.T) {
	plain, seq, pe := established(), adjusted(), sipTemplate("12345")
	v6 := mixedFamily()
	set := func(c ipvs.Conn, at int, octets ...byte) []byte {
		p := records(t, c)
		copy(p[at:], octets)
		return p
	}
	for _, tt := range []struct {
		name   string
		record []byte
	}{
		{"a head cut off", []byte{88, 0, 1}},
		{"a record cut off", records(t, plain)[:80]},
		{"kind 0", set(plain, 2, 0)},
		{"kind 3", set(plain, 2, 3)},
		{"length 0", set(plain, 0, host16(0)...)},
		{"length below the fixed part", set(plain, 0, host16(80)...)},
		{"length not aligned", append(set(plain, 0, host16(92)...), 0, 0, 0, 0)},
		{"longer than its options", append(set(plain, 0, host16(96)...), make([]byte, 8)...)},
		{"longer than the batch", set(plain, 0, host16(96)...)},
		{"unknown option", set(seq, 3, 0x04)},
		{"sequence option without room", set(plain, 3, 0x01)},
		{"engine option without room", set(plain, 3, 0x02)},
		{"family 0", set(plain, 4, 0)},
		{"real server of family 1", set(plain, 5, 1)},
		{"reserved", set(plain, 36, 1)},
		{"reserved, last byte", set(plain, 39, 1)},
		{"IPv4 client followed by something", set(plain, 40+4, 1)},
		{"IPv4 virtual followed by something", set(plain, 56+15, 1)},
		{"IPv4 real server followed by something", set(v6, 72+8, 1)},
		{"engine without data", set(pe, 88+16, 0)},
		{"engine with less data than length", set(pe, 88+16, 9)},
		{"engine without name", set(pe, 88, 0)},
		{"engine name without end", set(pe, 88, []byte("0123456789abcdef")...)},
		{"engine name with a tail", set(pe, 88+8, 'x')},
		{"engine, reserved", set(pe, 88+17, 1)},
		{"engine, padding", set(pe, 88+24+5, 1)},
		{"engine on a connection", set(pe, 8, host32(0)...)},
		{"event, too long", append(append(host16(16), 2, 0), make([]byte, 12)...)},
		{"event, cut off", event(chardev.EventLost)[:6]},
		{"event, with options", append(append(host16(8), 2, 1), make([]byte, 4)...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := load(append(records(t, plain, seq), tt.record...))
			got := take(b)
			if !errors.Is(b.Err(), chardev.ErrMalformed) {
				t.Errorf("got %v, want %v", b.Err(), chardev.ErrMalformed)
			}
			if !reflect.DeepEqual(got, []ipvs.Conn{plain, seq}) {
				t.Errorf("before it: got %v", got)
			}
			if b.Next(&ipvs.Conn{}) {
				t.Error("it goes on after it")
			}
			if b = load(tt.record); b.Next(&ipvs.Conn{}) || !errors.Is(b.Err(), chardev.ErrMalformed) {
				t.Errorf("alone: got %v, want %v", b.Err(), chardev.ErrMalformed)
			}
		})
	}
}

func TestMalformedSaysWhere(t *testing.T) {
	b := load(append(records(t, established()), 1, 2, 3))
	take(b)
	want := "malformed record at byte 88 of 91: cut off, or of unknown kind"
	if b.Err() == nil || b.Err().Error() != want {
		t.Errorf("got %v, want %s", b.Err(), want)
	}
}

func TestEventsAreKnownBeforeTheConnections(t *testing.T) {
	c := established()
	b := load(bytes.Join([][]byte{event(chardev.EventLost), event(chardev.EventMasterStopped), records(t, c)}, nil))
	if want := chardev.EventLost | chardev.EventMasterStopped; b.Events() != want {
		t.Errorf("events %v, want %v", b.Events(), want)
	}
	if got := take(b); len(got) != 1 || b.Err() != nil {
		t.Errorf("got %v, %v", got, b.Err())
	}
}

func TestAnEventAloneIsABatchWithoutConnections(t *testing.T) {
	b := load(event(chardev.EventMasterRunning))
	if b.Events() != chardev.EventMasterRunning || b.Next(&ipvs.Conn{}) || b.Err() != nil {
		t.Errorf("events %v, error %v", b.Events(), b.Err())
	}
}

func TestALateEventIsCollectedOnTheWay(t *testing.T) {
	c := established()
	b := load(bytes.Join([][]byte{records(t, c), event(chardev.EventLost), records(t, c)}, nil))
	if b.Events() != 0 {
		t.Errorf("events %v before it was reached", b.Events())
	}
	if got := take(b); len(got) != 2 || b.Events() != chardev.EventLost || b.Err() != nil {
		t.Errorf("%d connections, events %v, error %v", len(got), b.Events(), b.Err())
	}
}

func TestNextSetsEveryField(t *testing.T) {
	for _, want := range []ipvs.Conn{established(), adjusted(), sipTemplate("x")} {
		dirty := ipvs.Conn{
			Client: addr("[2001:db8::1]:1"), Virtual: addr("[2001:db8::2]:2"), Dest: addr("[2001:db8::3]:3"),
			Protocol: 99, Marks: 7, State: 99, Flags: ^ipvs.Flags(0), Fwmark: 5,
			Timeout: time.Hour, Age: time.Minute,
			In: ipvs.Sequence{Init: 9, Delta: 9, PreviousDelta: 9}, Out: ipvs.Sequence{Init: 9, Delta: 9, PreviousDelta: 9},
			PEName: "other", PEData: []byte("other"),
		}
		if b := load(records(t, want)); !b.Next(&dirty) {
			t.Fatal(b.Err())
		}
		if len(dirty.PEData) == 0 {
			dirty.PEData = nil
		}
		if !reflect.DeepEqual(dirty, want) {
			t.Errorf("got\n%+v, want\n%+v", dirty, want)
		}
	}
}

func TestNextPlainTakesWhatPlainCanHold(t *testing.T) {
	plain, claims := established(), established()
	claims.Flags |= ipvs.FlagInSeq
	bare := records(t, established())
	copy(bare[8:], host32(uint32(claims.Flags))) // says so, and has no option
	broken := records(t, plain)
	broken[40+15] = 1
	for _, tt := range []struct {
		name   string
		record []byte
		want   bool
	}{
		{"IPv4", records(t, plain), true},
		{"IPv4 with a sequence adjustment", records(t, adjusted()), false},
		{"a flag of one without it", bare, false},
		{"mixed families", records(t, mixedFamily()), false},
		{"a persistence engine", records(t, sipTemplate("x")), false},
		{"a malformed record", broken, false},
		{"an event", event(chardev.EventLost), false},
		{"a record cut off", records(t, plain)[:80], false},
		{"nothing", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			whole := load(tt.record)
			wantConn, wantErr := take(whole), whole.Err()
			b := load(tt.record)
			var got ipvs.Plain
			if took := b.NextPlain(&got); took != tt.want {
				t.Fatalf("took it: %v, want %v", took, tt.want)
			}
			if rest := take(b); !tt.want && !reflect.DeepEqual(rest, wantConn) {
				t.Errorf("Next finds %v behind it, want %v", rest, wantConn)
			} else if tt.want && len(rest) != 0 {
				t.Errorf("Next finds it again: %v", rest)
			}
			if (b.Err() == nil) != (wantErr == nil) {
				t.Errorf("error %v, want %v", b.Err(), wantErr)
			}
			if tt.want && got != plainOf(plain) {
				t.Errorf("got\n%+v, want\n%+v", got, plainOf(plain))
			}
		})
	}
}

func plainOf(c ipvs.Conn) ipvs.Plain {
	p := ipvs.Plain{
		Client: c.Client.Addr().As4(), Virtual: c.Virtual.Addr().As4(), Dest: c.Dest.Addr().As4(),
		Protocol: c.Protocol, State: c.State, Flags: c.Flags,
	}
	for i, port := range []uint16{c.Client.Port(), c.Virtual.Port(), c.Dest.Port()} {
		p.Ports[2*i], p.Ports[2*i+1] = byte(port>>8), byte(port)
	}
	return p
}

func TestFullMeansThatAConnectionAndItsControllersMayNotHaveFit(t *testing.T) {
	one := records(t, established())
	b := chardev.NewBatch(0)
	if b.Size() != chardev.ReadMin {
		t.Fatalf("size %d, want %d", b.Size(), chardev.ReadMin)
	}
	most := chardev.ReadMin / len(one)
	for n := 0; n <= most; n++ {
		b.Load(bytes.Repeat(one, n))
		left := chardev.ReadMin - n*len(one)
		if want := left < 3*chardev.MaxRecordSize; b.Full() != want {
			t.Errorf("%d bytes left: full %v, want %v", left, b.Full(), want)
		}
	}
}

func TestLoadTakesOnlyWholeRecords(t *testing.T) {
	one := records(t, established())
	b := chardev.NewBatch(0)
	fit := chardev.ReadMin / len(one)
	if n := b.Load(bytes.Repeat(one, fit+5)); n != fit*len(one) || b.Len() != n {
		t.Errorf("loaded %d bytes, length %d, want %d", n, b.Len(), fit*len(one))
	}
	if !bytes.Equal(b.Bytes(), bytes.Repeat(one, fit)) {
		t.Errorf("%d bytes, not as they were loaded", len(b.Bytes()))
	}
	if got := take(b); len(got) != fit || b.Err() != nil || !b.Full() {
		t.Errorf("%d connections, error %v, full %v", len(got), b.Err(), b.Full())
	}
}

func TestRecordsAreReadAndBuiltWithoutAllocation(t *testing.T) {
	list := everyKind()
	encoded := records(t, list...)
	b := load(encoded)
	c := ipvs.Conn{PEData: make([]byte, 0, 255)}
	buf := make([]byte, 0, len(encoded))
	if n := testing.AllocsPerRun(100, func() {
		b.Load(encoded)
		for b.Next(&c) {
		}
		if b.Err() != nil {
			t.Fatal(b.Err())
		}
	}); n != 0 {
		t.Errorf("reading: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		buf = buf[:0]
		for i := range list {
			buf, _ = chardev.AppendRecord(buf, &list[i])
		}
	}); n != 0 {
		t.Errorf("building: %v allocations", n)
	}
}

func FuzzBatch(f *testing.F) {
	for _, c := range everyKind() {
		f.Add(records(f, c))
	}
	f.Add(records(f, everyKind()...))
	f.Add(append(event(chardev.EventLost), records(f, established())...))
	f.Fuzz(func(t *testing.T, data []byte) {
		b := load(data)
		var c ipvs.Conn
		taken := 0
		for ; b.Next(&c); taken++ {
			again, err := chardev.AppendRecord(nil, &c)
			if err != nil {
				t.Fatalf("%v does not encode: %v", &c, err)
			}
			second := load(again)
			var d ipvs.Conn
			if !second.Next(&d) {
				t.Fatalf("%x: %v", again, second.Err())
			}
			if !reflect.DeepEqual(normal(d), normal(c)) {
				t.Errorf("got\n%+v, was\n%+v", d, c)
			}
		}
		if taken > len(data)/chardev.MinRecordSize {
			t.Errorf("%d connections out of %d bytes", taken, len(data))
		}
		if b.Err() != nil && !errors.Is(b.Err(), chardev.ErrMalformed) {
			t.Errorf("got %v, want %v", b.Err(), chardev.ErrMalformed)
		}
	})
}

// normal clears what the encoder leaves out.
func normal(c ipvs.Conn) ipvs.Conn {
	c = c.Clone()
	if c.Flags&ipvs.FlagSeqMask == 0 {
		c.In, c.Out = ipvs.Sequence{}, ipvs.Sequence{}
	}
	if len(c.PEData) == 0 {
		c.PEData = nil
	}
	return c
}

func benchmarkConns() []ipvs.Conn {
	list := make([]ipvs.Conn, 512)
	for i := range list {
		list[i] = established()
		list[i].Client = netip.AddrPortFrom(list[i].Client.Addr(), uint16(i))
	}
	return list
}

func reportEntries(b *testing.B, perOp int) {
	b.ReportMetric(float64(b.N)*float64(perOp)/b.Elapsed().Seconds(), "entries/s")
}

func BenchmarkBatch(b *testing.B) {
	list := benchmarkConns()
	encoded := records(b, list...)
	batch := load(encoded)
	var c ipvs.Conn
	b.ReportAllocs()
	for b.Loop() {
		batch.Load(encoded) // stands for the copy that a read makes
		n := 0
		for batch.Next(&c) {
			n++
		}
		if n != len(list) {
			b.Fatal(batch.Err())
		}
	}
	reportEntries(b, len(list))
}

func BenchmarkAppendRecord(b *testing.B) {
	list := benchmarkConns()
	buf := make([]byte, 0, len(list)*chardev.MaxRecordSize)
	b.ReportAllocs()
	for b.Loop() {
		buf = buf[:0]
		for i := range list {
			var err error
			if buf, err = chardev.AppendRecord(buf, &list[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
	reportEntries(b, len(list))
}
