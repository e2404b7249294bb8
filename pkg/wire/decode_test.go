package wire_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/goldentest"
)

func TestRefusesABrokenAdvertWhole(t *testing.T) {
	for _, tt := range []struct {
		name   string
		frame  func() []byte
		want   error
		sealed bool // set Size and checksum to fit
	}{
		{"nothing", func() []byte { return nil }, wire.ErrShort, false},
		{"7 bytes", func() []byte { return layOut(1, 0, 1)[:7] }, wire.ErrShort, false},
		{"another version", func() []byte { return []byte{0, 1, 0, 8, 0, 2, 0, 0} }, wire.ErrOtherVersion, false},
		{"another version, larger than an advert", func() []byte {
			return append([]byte{0, 1, 0, 0, 0, 2, 0, 0}, make([]byte, 1400)...)
		}, wire.ErrOtherVersion, false},
		{"Reserved not zero", func() []byte { f := layOut(1, 0, 1); f[5] = 2; return f }, wire.ErrReserved, true},
		{"1209 bytes", func() []byte { return append(layOut(50, 0, 1), 0) }, wire.ErrTooLong, true},
		{"51 entries, 1232 bytes", func() []byte { return layOut(51, 0, 1) }, wire.ErrTooLong, true},
		{"Size over 1208", func() []byte { f := layOut(1, 0, 1); f[2], f[3] = 0x04, 0xb9; return seal(f) }, wire.ErrTooLong, false},
		{"Size too small", func() []byte { f := layOut(2, 0, 1); f[3] -= 24; return seal(f) }, wire.ErrSize, false},
		{"Size too large", func() []byte { f := layOut(2, 0, 1); f[3] += 24; return seal(f) }, wire.ErrSize, false},
		{"cut in an entry", func() []byte { return layOut(2, 0, 1)[:40] }, wire.ErrSize, false},
		{"sync ID 0", func() []byte { return layOut(1, 0, 0) }, wire.ErrSyncID, true},
		{"Count 51", func() []byte { f := layOut(50, 0, 1); f[0] = 51; return f }, wire.ErrTooMany, true},
		{"Count 255", func() []byte { f := layOut(50, 0, 1); f[0] = 255; return f }, wire.ErrTooMany, true},
		{"checksum", func() []byte { f := layOut(1, 0, 1); f[7]++; return f }, wire.ErrChecksum, false},
		{"no checksum", func() []byte { f := layOut(1, 0, 1); f[6], f[7] = 0, 0; return f }, wire.ErrChecksum, false},
		{"a bit of an address", func() []byte { f := layOut(1, 0, 1); f[20] ^= 0x10; return f }, wire.ErrChecksum, false},
		{"an entry more than Count", func() []byte { f := layOut(3, 0, 1); f[0] = 2; return f }, wire.ErrCount, true},
		{"an entry less than Count", func() []byte { f := layOut(3, 0, 1); f[0] = 4; return f }, wire.ErrCount, true},
		{"Count 0 with an entry", func() []byte { f := layOut(1, 0, 1); f[0] = 0; return f }, wire.ErrCount, true},
		{"Count 1 without an entry", func() []byte { return []byte{1, 1, 0, 0, 0, 0, 0, 0} }, wire.ErrCount, true},
		{"sequence options cut off", func() []byte { return layOut(1, 0x0200, 1)[:40] }, wire.ErrCount, true},
		{"flags promise options of the last entry", func() []byte { f := layOut(2, 0, 1); f[8+24+20] = 0x02; return f }, wire.ErrCount, true},
		{"octets after the last entry", func() []byte { return append(layOut(2, 0, 1), 0, 0, 0) }, wire.ErrCount, true},
		{"octets after the last entry, and a reserved byte", func() []byte { f := append(layOut(2, 0, 1), 0, 0, 0); f[8] = 1; return f }, wire.ErrCount, true},
		{"reserved byte of an entry", func() []byte { f := layOut(2, 0, 1); f[8+24] = 1; return f }, wire.ErrEntryReserved, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			frame := tt.frame()
			if tt.sealed {
				frame[2], frame[3] = byte(len(frame)>>8), byte(len(frame))
				frame = seal(frame)
			}
			advert, err := wire.Decode(frame)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if advert.Next(&ipvs.Conn{}) || advert.Count() != 0 {
				t.Error("it yields connections all the same")
			}
		})
	}
}

func TestNamesTheOtherVersion(t *testing.T) {
	_, err := wire.Decode([]byte{0, 1, 0, 8, 0, 2, 0xff, 0xff})
	var version wire.VersionError
	if !errors.As(err, &version) || version != 2 {
		t.Fatalf("got %v, want version 2", err)
	}
	if want := "wire: version 2 of the protocol, this is version 1"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestRefusesATruncationAtEveryOctet(t *testing.T) {
	frame := goldentest.Read(t, "mixed.hex")
	for n := range frame {
		if _, err := wire.Decode(frame[:n]); err == nil {
			t.Errorf("%d of %d bytes: no error", n, len(frame))
		}
	}
}

func TestRefusesEverySingleFlippedBit(t *testing.T) {
	frame := goldentest.Read(t, "mixed.hex")
	for i := range len(frame) * 8 {
		frame[i/8] ^= 1 << (i % 8)
		if _, err := wire.Decode(frame); err == nil {
			t.Errorf("bit %d of byte %d: no error", i%8, i/8)
		}
		frame[i/8] ^= 1 << (i % 8)
	}
}

func TestAnEmptyAdvertIsValid(t *testing.T) {
	advert, err := wire.Decode(seal([]byte{0, 5, 0, 8, 0, 0, 0, 0}))
	if err != nil {
		t.Fatal(err)
	}
	if advert.Count() != 0 || advert.SyncID() != 5 || advert.Next(&ipvs.Conn{}) {
		t.Errorf("%d connections, sync ID %d; want none, 5", advert.Count(), advert.SyncID())
	}
}

func TestBothZeroesAreAChecksum(t *testing.T) {
	// The words of this header but the checksum add up to 0xffff.
	frame := layOut(1, 0, 1)
	s := ^(uint16(frame[6])<<8 | uint16(frame[7]))
	// Let the virtual port take up what is missing to 0xffff.
	port := uint16(frame[8+4])<<8 | uint16(frame[8+5])
	port += ^s
	frame[8+4], frame[8+5] = byte(port>>8), byte(port)
	for _, checksum := range []byte{0x00, 0xff} {
		frame[6], frame[7] = checksum, checksum
		if _, err := wire.Decode(frame); err != nil {
			t.Errorf("checksum %02x%02x: %v", checksum, checksum, err)
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
	want := golden[0].conns[0]
	advert, err := wire.Decode(goldentest.Read(t, golden[0].file))
	if err != nil {
		t.Fatal(err)
	}
	if !advert.Next(&dirty) {
		t.Fatal("no connection")
	}
	if len(dirty.PEData) != 0 {
		t.Errorf("persistence engine data %q", dirty.PEData)
	}
	dirty.PEData = nil
	if !reflect.DeepEqual(dirty, want) {
		t.Errorf("got\n%+v, want\n%+v", dirty, want)
	}
}

func TestDecodesWithoutAllocation(t *testing.T) {
	frame := goldentest.Read(t, "mixed.hex")
	broken := []byte{0, 1, 0, 8, 0, 2, 0, 0}
	var c ipvs.Conn
	if n := testing.AllocsPerRun(100, func() {
		advert, err := wire.Decode(frame)
		if err != nil {
			t.Fatal(err)
		}
		for advert.Next(&c) {
		}
		if _, err := wire.Decode(broken); err == nil {
			t.Fatal("no error")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
