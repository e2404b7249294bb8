package devicefuzz

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

func template() ipvs.Conn {
	return ipvs.Conn{
		Protocol: ipvs.TCP, State: ipvs.TemplateAssured, Flags: ipvs.FlagTemplate | ipvs.FlagInSeq,
		Client:  netip.MustParseAddrPort("10.9.0.1:0"),
		Virtual: netip.MustParseAddrPort("192.0.2.80:80"),
		Dest:    netip.MustParseAddrPort("10.0.2.21:80"),
		In:      ipvs.Sequence{Init: 1, Delta: 2, PreviousDelta: 3},
		PEName:  "sip", PEData: []byte("12345"),
	}
}

func record(t testing.TB, c ipvs.Conn) []byte {
	t.Helper()
	r, err := chardev.AppendRecord(nil, &c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A reader's record, and each of its bytes that must be zero.
func TestEveryPaddingAndReservedByteIsLookedAt(t *testing.T) {
	r := record(t, template())
	if n, err := ReadRecords(r); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	pe := connSize + seqSize
	padding := []int{}
	for _, span := range [][2]int{
		{offReserved, offCAddr}, {offCAddr + 4, offCAddr + 16}, {offVAddr + 4, offVAddr + 16}, {offDAddr + 4, offDAddr + 16},
		{pe + 4, pe + peNameMax}, {pe + offPEReserved, pe + peSize}, {pe + peSize + 5, len(r)},
	} {
		for at := span[0]; at < span[1]; at++ {
			padding = append(padding, at)
		}
	}
	for _, at := range padding {
		damaged := slices.Clone(r)
		damaged[at] = 1
		if _, err := ReadRecords(damaged); err == nil {
			t.Errorf("byte %d is not looked at", at)
		}
	}
}

func TestAnEventComesFirst(t *testing.T) {
	event := []byte{8, 0, kindEvent, 0, 1, 0, 0, 0}
	r := record(t, template())
	if n, err := ReadRecords(slices.Concat(event, r, r)); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for name, read := range map[string][]byte{
		"behind a connection": slices.Concat(r, event),
		"without an event":    {8, 0, kindEvent, 0, 0, 0, 0, 0},
		"with options":        {8, 0, kindEvent, 1, 1, 0, 0, 0},
		"unknown":             {8, 0, kindEvent, 0, 8, 0, 0, 0},
	} {
		if _, err := ReadRecords(read); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// What the package of the daemon reads without complaint is well framed, and
// the other way round but for what only it knows.
func TestFramingIsThatOfTheDaemon(t *testing.T) {
	r := record(t, template())
	for at := range r {
		for _, value := range []byte{0, 1, 2, 0xff} {
			damaged := slices.Clone(r)
			damaged[at] = value
			batch := chardev.NewBatch(len(damaged))
			batch.Load(damaged)
			readable := batch.Next(new(ipvs.Conn)) && !batch.Next(new(ipvs.Conn)) && batch.Err() == nil
			if framed := len(Framing(damaged)) == 1; readable && !framed {
				t.Errorf("byte %d as %d: readable, not framed", at, value)
			}
		}
	}
	if got := Framing(slices.Concat(r, r, r[:20])); len(got) != 2 || !bytes.Equal(got[1], r) {
		t.Errorf("%d records", len(got))
	}
}

func TestWhatMustBeRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func([]byte)
		want   chardev.Reason
	}{
		"family":          {func(r []byte) { r[offFamily] = 1 }, chardev.RefusedFamily},
		"protocol":        {func(r []byte) { r[offProtocol] = 47 }, chardev.RefusedProtocol},
		"state":           {func(r []byte) { r[offState] = 2 }, chardev.RefusedState},
		"client port":     {func(r []byte) { r[offCPort] = 1 }, chardev.RefusedFlags},
		"not a template":  {func(r []byte) { binary.NativeEndian.PutUint32(r[offFlags:], 0) }, chardev.RefusedFlags},
		"one packet":      {func(r []byte) { r[offFlags+1] |= 0x20 }, chardev.RefusedFlags},
		"no client port":  {func(r []byte) { r[offFlags+1] |= 0x08 }, chardev.RefusedFlags},
		"forwarding by 5": {func(r []byte) { r[offFlags] |= 5 }, chardev.RefusedFlags},
	} {
		r := record(t, template())
		if reason, must := mustRefuse(r); must {
			t.Fatalf("as it is: %v", reason)
		}
		test.change(r)
		if reason, must := mustRefuse(r); !must || reason != test.want {
			t.Errorf("%s: %v, %v", name, reason, must)
		}
	}
}

// The same seed makes the same batches, and of every sort.
func TestBatchesAreReproducibleAndVaried(t *testing.T) {
	services := []Service{
		{
			Protocol: ipvs.TCP, Virtual: netip.MustParseAddrPort("192.0.2.80:80"), Persistent: true,
			Servers: []netip.AddrPort{netip.MustParseAddrPort("10.0.2.21:80")},
		},
		{
			Protocol: ipvs.UDP, Virtual: netip.MustParseAddrPort("[2001:db8::80]:53"),
			Servers: []netip.AddrPort{netip.MustParseAddrPort("[2001:db8::21]:53")},
		},
	}
	make1 := func() (batches [][]byte) {
		g := &generator{Rand: rand.New(rand.NewPCG(7, 1)), services: services, clients: 64}
		for range 2000 {
			batches = append(batches, g.batch(8))
		}
		return batches
	}
	batches, again := make1(), make1()
	whole, broken, refused, applicable := 0, 0, 0, 0
	for i, batch := range batches {
		if !bytes.Equal(batch, again[i]) {
			t.Fatalf("batch %d differs", i)
		}
		size := 0
		for _, r := range Framing(batch) {
			size += len(r)
			if _, must := mustRefuse(r); must {
				refused++
			} else {
				applicable++
			}
		}
		if size == len(batch) {
			whole++
		} else {
			broken++
		}
	}
	if whole < 1000 || broken < 100 || refused < 500 || applicable < 2000 {
		t.Errorf("%d whole, %d broken batches; %d records that must be refused, %d others", whole, broken, refused, applicable)
	}
}
