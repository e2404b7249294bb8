package chardev_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func established() ipvs.Conn {
	return ipvs.Conn{
		Protocol: ipvs.TCP,
		Client:   addr("192.0.2.1:40000"), Virtual: addr("198.51.100.1:80"), Dest: addr("10.0.0.1:8080"),
		State: ipvs.TCPEstablished, Flags: ipvs.FlagInactive, Fwmark: 0x01020304,
		Timeout: 900 * time.Second, Age: 3 * time.Second,
		Marks: ipvs.MarkLocal | ipvs.MarkBound,
	}
}

func adjusted() ipvs.Conn {
	c := established()
	c.Flags = ipvs.FlagInSeq | ipvs.FlagOutSeq
	c.In = ipvs.Sequence{Init: 1, Delta: 2, PreviousDelta: 3}
	c.Out = ipvs.Sequence{Init: 0xfffffffe, Delta: 0xfffffffd, PreviousDelta: 0xfffffffc}
	return c
}

func mixedFamily() ipvs.Conn {
	c := established()
	c.Client, c.Virtual = addr("[2001:db8::1]:40000"), addr("[2001:db8::100]:80")
	c.Flags = ipvs.FlagSync | ipvs.FlagNFCT | ipvs.Flags(ipvs.Tunnel)
	return c
}

func sipTemplate(data string) ipvs.Conn {
	return ipvs.Conn{
		Protocol: ipvs.UDP,
		Client:   addr("192.0.2.1:0"), Virtual: addr("198.51.100.1:5060"), Dest: addr("[fd00::1]:5060"),
		State: ipvs.TemplateAssured, Flags: ipvs.FlagTemplate | ipvs.Flags(ipvs.Tunnel),
		Timeout: 360 * time.Second,
		PEName:  "sip", PEData: []byte(data),
	}
}

// everyKind has a connection of every shape a record can have.
func everyKind() []ipvs.Conn {
	both := sipTemplate(strings.Repeat("x", 255))
	both.Flags |= ipvs.FlagOutSeq
	both.Out.Init = 7
	return []ipvs.Conn{established(), adjusted(), mixedFamily(), sipTemplate("a"), sipTemplate("12345678"), both}
}

func records(t testing.TB, conns ...ipvs.Conn) []byte {
	t.Helper()
	var list []byte
	for i := range conns {
		var err error
		if list, err = chardev.AppendRecord(list, &conns[i]); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

func load(p []byte) *chardev.Batch {
	b := chardev.NewBatch(max(len(p), 1))
	b.Load(p)
	return b
}

func take(b *chardev.Batch) []ipvs.Conn {
	var list []ipvs.Conn
	var c ipvs.Conn
	for b.Next(&c) {
		kept := c.Clone()
		if len(kept.PEData) == 0 {
			kept.PEData = nil
		}
		list = append(list, kept)
	}
	return list
}

// host is a number in the byte order of this machine.
func host16(v uint16) []byte { return binary.NativeEndian.AppendUint16(nil, v) }
func host32(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

func TestRecordIsLaidOutAsTheHeaderSays(t *testing.T) {
	c := adjusted()
	c.Fwmark, c.Advert = 0x01020304, 1500*time.Millisecond
	want := bytes.Join([][]byte{
		host16(112), {1, 0x01}, // head: length, connection, sequence option
		{2, 2, 6, 0x05}, // AF_INET, AF_INET, TCP, local and bound
		host32(0x0600),  // flags
		host16(1),       // state: established
		{0x9c, 0x40},    // cport
		{0x00, 0x50},    // vport
		{0x1f, 0x90},    // dport
		host32(0x01020304),
		host32(900_000), host32(3_000), // timeout, age
		host32(1_500), make([]byte, 4), // told, reserved
		{192, 0, 2, 1}, make([]byte, 12), // caddr
		{198, 51, 100, 1}, make([]byte, 12), // vaddr
		{10, 0, 0, 1}, make([]byte, 12), // daddr
		host32(1), host32(2), host32(3),
		host32(0xfffffffe), host32(0xfffffffd), host32(0xfffffffc),
	}, nil)
	if got := records(t, c); !bytes.Equal(got, want) {
		t.Errorf("got\n%x, want\n%x", got, want)
	}
}

func TestRecordOfAPersistenceEngineIsPadded(t *testing.T) {
	got := records(t, sipTemplate("12345"))
	want := bytes.Join([][]byte{
		[]byte("sip"), make([]byte, 13), // name
		{5}, make([]byte, 7), // length, reserved
		[]byte("12345"), make([]byte, 3), // data, padding
	}, nil)
	if !bytes.Equal(got[chardev.MinRecordSize:], want) || len(got)%chardev.Align != 0 {
		t.Errorf("got\n%x, want\n%x", got[chardev.MinRecordSize:], want)
	}
	if !bytes.Equal(got[:4], append(host16(120), 1, 0x02)) {
		t.Errorf("head %x", got[:4])
	}
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	want := everyKind()
	b := load(records(t, want...))
	got := take(b)
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%v, want\n%v", got, want)
	}
}

func TestLargestRecordIsMaxRecordSize(t *testing.T) {
	kinds := everyKind()
	if got := len(records(t, kinds[len(kinds)-1])); got != chardev.MaxRecordSize {
		t.Errorf("%d bytes, MaxRecordSize is %d", got, chardev.MaxRecordSize)
	}
}

func TestAppendsToADirtyBufferWithZeroPadding(t *testing.T) {
	for _, c := range everyKind() {
		want := records(t, c)
		dirty := bytes.Repeat([]byte{0xaa}, 1024)
		got, err := chardev.AppendRecord(dirty[:8], &c)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got[8:], want) || !bytes.Equal(got[:8], bytes.Repeat([]byte{0xaa}, 8)) {
			t.Errorf("got\n%x, want 8 bytes aa and\n%x", got, want)
		}
	}
}

func TestTimesAreRoundedAndLimited(t *testing.T) {
	const most = math.MaxUint32 * time.Millisecond
	for _, tt := range []struct{ timeout, age, wantTimeout, wantAge time.Duration }{
		{0, 0, 0, 0},
		{1, 1, time.Millisecond, 0},
		{1500 * time.Microsecond, 1500 * time.Microsecond, 2 * time.Millisecond, time.Millisecond},
		{-1, -1, 0, 0},
		{most, most, most, most},
		{most + 1, most + 1, most, most},
		{math.MaxInt64, math.MaxInt64, most, most},
		{math.MinInt64, math.MinInt64, 0, 0},
	} {
		c := established()
		c.Timeout, c.Age = tt.timeout, tt.age
		got := take(load(records(t, c)))
		if len(got) != 1 || got[0].Timeout != tt.wantTimeout || got[0].Age != tt.wantAge {
			t.Errorf("timeout %v, age %v: got %v", tt.timeout, tt.age, got)
		}
	}
}

func TestRefusesToEncodeWhatTheRecordCannotHold(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*ipvs.Conn)
		want   error
	}{
		{"no client", func(c *ipvs.Conn) { c.Client = netip.AddrPort{} }, chardev.ErrFamily},
		{"no real server", func(c *ipvs.Conn) { c.Dest = netip.AddrPort{} }, chardev.ErrFamily},
		{"client and virtual of two families", func(c *ipvs.Conn) { c.Client = addr("[2001:db8::1]:1") }, chardev.ErrFamily},
		{"zone", func(c *ipvs.Conn) { c.Dest = addr("[fe80::1%eth0]:1") }, chardev.ErrFamily},
		{"engine on a connection", func(c *ipvs.Conn) { c.PEName, c.PEData = "sip", []byte("x") }, chardev.ErrPE},
		{"engine without name", func(c *ipvs.Conn) { c.Flags, c.PEData = ipvs.FlagTemplate, []byte("x") }, chardev.ErrPE},
		{"engine without data", func(c *ipvs.Conn) { c.Flags, c.PEName = ipvs.FlagTemplate, "sip" }, chardev.ErrPE},
		{"engine with a name of 16", func(c *ipvs.Conn) {
			c.Flags, c.PEName, c.PEData = ipvs.FlagTemplate, "0123456789abcdef", []byte("x")
		}, chardev.ErrPE},
		{"engine with a zero in its name", func(c *ipvs.Conn) {
			c.Flags, c.PEName, c.PEData = ipvs.FlagTemplate, "s\x00p", []byte("x")
		}, chardev.ErrPE},
		{"engine with 256 bytes", func(c *ipvs.Conn) {
			c.Flags, c.PEName, c.PEData = ipvs.FlagTemplate, "sip", make([]byte, 256)
		}, chardev.ErrPE},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := established()
			tt.change(&c)
			before := []byte("before")
			got, err := chardev.AppendRecord(before, &c)
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if string(got) != "before" {
				t.Errorf("the batch became %q", got)
			}
		})
	}
}

func TestRecordsAgeTogether(t *testing.T) {
	for _, tt := range []struct {
		held time.Duration
		want []time.Duration // of ages of 0, a second, and the longest that there is
	}{
		{-time.Second, []time.Duration{0, time.Second, math.MaxUint32 * time.Millisecond}},
		{999 * time.Microsecond, []time.Duration{0, time.Second, math.MaxUint32 * time.Millisecond}},
		{1500 * time.Microsecond, []time.Duration{time.Millisecond, 1001 * time.Millisecond, math.MaxUint32 * time.Millisecond}},
		{time.Hour, []time.Duration{time.Hour, time.Hour + time.Second, math.MaxUint32 * time.Millisecond}},
	} {
		list := []ipvs.Conn{sipTemplate("call"), adjusted(), established()}
		list[0].Age, list[1].Age, list[2].Age = 0, time.Second, math.MaxUint32*time.Millisecond
		p := records(t, list...)
		chardev.AddAge(p, tt.held)
		for i := range list {
			list[i].Age = tt.want[i]
		}
		if !bytes.Equal(p, records(t, list...)) {
			t.Errorf("held for %v: %v", tt.held, take(load(p)))
		}
	}
}

func TestRecordSizeIsThatOfTheFirst(t *testing.T) {
	one, two := records(t, established()), records(t, sipTemplate("call"))
	for _, tt := range []struct {
		name    string
		records []byte
		want    int
	}{
		{"one", one, len(one)},
		{"two", append(append([]byte(nil), two...), one...), len(two)},
		{"none", nil, 0},
		{"less than a head", one[:3], 0},
		{"cut off", one[:len(one)-1], 0},
		{"shorter than its head", append(host16(3), one[2:]...), 0},
	} {
		if got := chardev.RecordSize(tt.records); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
