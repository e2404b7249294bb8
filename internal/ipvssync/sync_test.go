package ipvssync_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/engine"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice/ipvsdevicetest"
	"github.com/ssyncp/ssyncp/internal/ipvssync"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/chardev/chardevtest"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire"
)

const syncID = 7

// conns returns connections with flags, as a module reports them.
func conns(n int, flags ipvs.Flags) []ipvs.Conn {
	list := ipvsdevicetest.Conns(n)
	for i := range list {
		list[i].Flags = flags
		if flags&ipvs.FlagSeqMask != 0 {
			list[i].In = ipvs.Sequence{Init: uint32(i), Delta: 2, PreviousDelta: 1}
		}
	}
	return list
}

// sent are the connections as peers receive them.
func sent(list []ipvs.Conn) []ipvs.Key {
	keys := make([]ipvs.Key, len(list))
	for i := range list {
		keys[i] = list[i].Key()
	}
	return keys
}

// unpack takes everything out of the outbox and decodes it.
func unpack(t *testing.T, out *engine.Outbox) (perAdvert []int, keys []ipvs.Key) {
	t.Helper()
	for _, message := range out.Next(out.Len()) {
		advert, err := wire.Decode(message)
		if err != nil {
			t.Fatal(err)
		}
		if advert.SyncID() != syncID {
			t.Errorf("sync ID %d", advert.SyncID())
		}
		perAdvert = append(perAdvert, advert.Count())
		var c ipvs.Conn
		for advert.Next(&c) {
			keys = append(keys, c.Key())
		}
	}
	out.Release(out.Len())
	return perAdvert, keys
}

func options(m *chardevtest.Module) ipvssync.Options {
	return ipvssync.Options{
		Open:     ipvsdevicetest.Opener(m),
		SyncID:   syncID,
		Counters: ipvssync.NewCounters(),
	}
}

func openSource(t *testing.T, o ipvssync.Options) *ipvssync.Source {
	t.Helper()
	s, err := ipvssync.OpenSource(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestSourceFillsAdverts(t *testing.T) {
	for _, tt := range []struct {
		name  string
		n     int
		flags ipvs.Flags
		full  []int // connections in the adverts that leave at once
		rest  []int // and in the one at the end of the period
	}{
		{"none", 0, 0, nil, nil},
		{"one", 1, 0, nil, []int{1}},
		{"exactly one advert", 50, 0, []int{50}, nil},
		{"and one more", 51, 0, []int{50}, []int{1}},
		{"with sequence options", 60, ipvs.FlagInSeq, []int{25, 25}, []int{10}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var module chardevtest.Module
			source := openSource(t, options(&module))
			list := conns(tt.n, tt.flags)
			module.Queue(list...)

			out := engine.NewOutbox(wire.MaxSize)
			r, err := source.Read(out)
			if err != nil || r.Entries != tt.n || r.More || r.Lost {
				t.Fatalf("Read: %+v, %v", r, err)
			}
			full, got := unpack(t, out)
			source.Flush(out)
			rest, more := unpack(t, out)
			if !slices.Equal(full, tt.full) || !slices.Equal(rest, tt.rest) {
				t.Errorf("at once %v, at the end %v; want %v and %v", full, rest, tt.full, tt.rest)
			}
			if got = append(got, more...); !slices.Equal(got, sent(list)) {
				t.Errorf("connections differ: %v", got)
			}
		})
	}
}

func TestSourceReadsOnceACall(t *testing.T) {
	var module chardevtest.Module
	source := openSource(t, options(&module))
	list := conns(2000, 0)
	module.Queue(list...)
	out := engine.NewOutbox(wire.MaxSize)
	var got []ipvs.Key
	for more, reads := true, uint64(1); more; reads++ {
		r, err := source.Read(out)
		if err != nil {
			t.Fatal(err)
		}
		if n := ipvsdevicetest.ReadCalls(t, &module); n != reads {
			t.Fatalf("%d reads of the device after %d", n, reads)
		}
		if more = r.More; !more {
			source.Flush(out)
		}
		_, keys := unpack(t, out)
		got = append(got, keys...)
	}
	if !slices.Equal(got, sent(list)) {
		t.Errorf("%d connections of %d", len(got), len(list))
	}
}

func TestSourceSkipsWhatVersion1CannotCarry(t *testing.T) {
	var module chardevtest.Module
	o := options(&module)
	source := openSource(t, o)
	list := conns(5, 0)
	list[0].Client = netip.MustParseAddrPort("[2001:db8::1]:1024")
	list[0].Virtual = netip.MustParseAddrPort("[2001:db8::2]:80")
	list[0].Dest = netip.MustParseAddrPort("[2001:db8::3]:80")
	list[1].Protocol, list[1].Flags, list[1].Fwmark = ipvs.IP, ipvs.FlagTemplate, 9
	list[2].Flags, list[2].PEName, list[2].PEData = ipvs.FlagTemplate, "sip", []byte("call")
	list[3].Flags = ipvs.FlagOnePacket
	module.Queue(list...)

	out := engine.NewOutbox(wire.MaxSize)
	if _, err := source.Read(out); err != nil {
		t.Fatal(err)
	}
	source.Flush(out)
	if _, keys := unpack(t, out); !slices.Equal(keys, sent(list[4:])) {
		t.Errorf("sent %v", keys)
	}
	for _, skip := range []ipvssync.Skip{
		ipvssync.SkipIPv6, ipvssync.SkipFwmarkTemplate, ipvssync.SkipPersistenceEngine, ipvssync.SkipOnePacket,
	} {
		if n := o.Counters.Skipped.Value(skip); n != 1 {
			t.Errorf("reason %d counted %d times", skip, n)
		}
	}
}

func TestSourceTellsEvents(t *testing.T) {
	var module chardevtest.Module
	source := openSource(t, options(&module))
	out := engine.NewOutbox(wire.MaxSize)
	read := func() engine.Reading {
		t.Helper()
		r, err := source.Read(out)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	module.Raise(chardev.EventLost)
	if r := read(); !r.Lost || r.Pause != nil {
		t.Errorf("lost: %+v", r)
	}
	module.Raise(chardev.EventMasterRunning)
	if r := read(); !errors.Is(r.Pause, ipvsdevice.ErrMasterRunning) {
		t.Errorf("master running: %+v", r)
	}
	if r := read(); r.Pause == nil || r.Lost || r.Entries != 0 {
		t.Errorf("still running: %+v", r)
	}
}

func TestQueueOutlivesTheSource(t *testing.T) {
	var module chardevtest.Module
	lingering := options(&module)
	lingering.Linger = time.Minute
	source := openSource(t, lingering)
	source.Close()
	list := conns(3, 0)
	module.Queue(list...)

	out := engine.NewOutbox(wire.MaxSize)
	next := openSource(t, lingering)
	if r, err := next.Read(out); err != nil || r.Entries != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestSnapshotIsWhatThisDirectorOwns(t *testing.T) {
	var module chardevtest.Module
	list := conns(120, 0)
	for i := 100; i < 120; i++ { // copies of a peer's
		list[i].Flags, list[i].Marks = ipvs.FlagSync, 0
	}
	module.SetTable(list...)
	source := openSource(t, options(&module))
	snapshot, err := source.Snapshot(engine.Owned)
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	out := engine.NewOutbox(wire.MaxSize)
	var got []ipvs.Key
	for {
		more, err := snapshot.Read(out)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			break
		}
		perAdvert, keys := unpack(t, out)
		if len(perAdvert) != 1 || perAdvert[0] != 50 {
			t.Errorf("one read gave adverts of %v connections", perAdvert)
		}
		got = append(got, keys...)
	}
	if !slices.Equal(got, sent(list[:100])) {
		t.Errorf("%d connections, want the 100 owned", len(got))
	}
}

// read returns the clients' ports of a snapshot, which it closes.
func read(t *testing.T, s engine.Snapshot) (ports []uint16) {
	t.Helper()
	defer s.Close()
	out := engine.NewOutbox(wire.MaxSize)
	for {
		more, err := s.Read(out)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return ports
		}
		_, keys := unpack(t, out)
		for _, k := range keys {
			ports = append(ports, k.Client.Port())
		}
	}
}

func TestSweepIsWhatIsDueAndToldOnce(t *testing.T) {
	var module chardevtest.Module
	list := conns(120, 0)
	list[7].Flags, list[7].Marks = ipvs.FlagSync, 0 // a copy of a peer's
	module.SetTable(list...)
	source := openSource(t, options(&module))
	sweep := func() []uint16 {
		t.Helper()
		s, err := source.Snapshot(engine.Due)
		if err != nil {
			t.Fatal(err)
		}
		return read(t, s)
	}
	if got := sweep(); got != nil {
		t.Errorf("nothing is due, told %v", got)
	}
	module.SetDue(list[5:9]...)
	if got, want := sweep(), []uint16{1029, 1030, 1032}; !slices.Equal(got, want) {
		t.Errorf("told %v, want what is due and owned, %v", got, want)
	}
	if got := sweep(); got != nil {
		t.Errorf("told again: %v", got)
	}
}

func TestSweepsFollowTheShortestTimeout(t *testing.T) {
	var module chardevtest.Module
	source := openSource(t, options(&module))
	module.SetShortestTimeout(10 * time.Second)
	if got, err := source.SweepEvery(); err != nil || got != 1250*time.Millisecond {
		t.Errorf("%v, %v; want an eighth of 10 s", got, err)
	}
}

func TestModuleWithoutSnapshots(t *testing.T) {
	module := chardevtest.Module{Missing: chardev.MissingConnSeqNext}
	source := openSource(t, options(&module))
	if _, err := source.Snapshot(engine.Owned); !errors.Is(err, engine.ErrNoSnapshot) {
		t.Errorf("err = %v", err)
	}
}

func TestOpenFails(t *testing.T) {
	t.Run("no device", func(t *testing.T) {
		o := options(new(chardevtest.Module))
		o.Open = func() (ipvsdevice.Device, error) { return nil, chardev.ErrNotLoaded }
		if _, err := ipvssync.OpenSource(o); !errors.Is(err, chardev.ErrNotLoaded) {
			t.Errorf("source: %v", err)
		}
		if _, err := ipvssync.OpenSink(o); !errors.Is(err, chardev.ErrNotLoaded) {
			t.Errorf("sink: %v", err)
		}
	})
	t.Run("another daemon", func(t *testing.T) {
		o := options(new(chardevtest.Module))
		openSource(t, o)
		if _, err := ipvssync.OpenSource(o); !errors.Is(err, chardev.ErrBusy) {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("another ABI", func(t *testing.T) {
		o := options(&chardevtest.Module{ABIVersion: 99})
		_, err := ipvssync.OpenSource(o)
		var mismatch *chardev.ABIMismatchError
		if !errors.As(err, &mismatch) || mismatch.Module != 99 {
			t.Errorf("err = %v", err)
		}
	})
}

// encode returns adverts of connections.
func encode(t testing.TB, id uint8, list []ipvs.Conn) [][]byte {
	t.Helper()
	var adverts [][]byte
	var e wire.Encoder
	for len(list) > 0 {
		if err := e.Reset(nil, id); err != nil {
			t.Fatal(err)
		}
		for len(list) > 0 && !e.Full() {
			if err := e.Append(&list[0]); errors.Is(err, wire.ErrFull) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			list = list[1:]
		}
		adverts = append(adverts, e.Finish())
	}
	return adverts
}

func openSink(t testing.TB, o ipvssync.Options) *ipvssync.Sink {
	t.Helper()
	s, err := ipvssync.OpenSink(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestSinkWritesManyAdvertsInOneCall(t *testing.T) {
	var module chardevtest.Module
	o := options(&module)
	sink := openSink(t, o)
	list := conns(1000, 0)
	if err := sink.Apply(encode(t, syncID, list)); err != nil {
		t.Fatal(err)
	}
	if got := sent(module.Written()); !slices.Equal(got, sent(list)) {
		t.Errorf("%d connections written of %d", len(got), len(list))
	}
	if n := o.Counters.Counts.Value(ipvssync.Writes); n != 1 {
		t.Errorf("%d writes for 20 adverts", n)
	}
}

func TestSinkWritesNoMoreThanTheDeviceTakes(t *testing.T) {
	var module chardevtest.Module
	o := options(&module)
	sink := openSink(t, o)
	list := conns(64*50, ipvs.FlagInSeq) // 64 adverts' worth, 112 bytes each: over 256 KiB
	if err := sink.Apply(encode(t, syncID, list)); err != nil {
		t.Fatal(err)
	}
	if got := sent(module.Written()); !slices.Equal(got, sent(list)) {
		t.Errorf("%d connections written of %d", len(got), len(list))
	}
	if n := o.Counters.Counts.Value(ipvssync.Writes); n != 2 {
		t.Errorf("%d writes", n)
	}
}

func TestSinkCountsWhyItRefuses(t *testing.T) {
	good := func() []byte { return encode(t, syncID, conns(2, 0))[0] }
	seal := func(m []byte) []byte { // sets the checksum anew
		m[6], m[7] = 0, 0
		var sum uint32
		for i := 0; i+1 < len(m); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(m[i:]))
		}
		for sum>>16 != 0 {
			sum = sum&0xffff + sum>>16
		}
		binary.BigEndian.PutUint16(m[6:], ^uint16(sum))
		return m
	}
	for _, tt := range []struct {
		name   string
		advert func() []byte
		reason ipvssync.Refusal
	}{
		{"short", func() []byte { return good()[:5] }, ipvssync.RefusedShort},
		{"another version", func() []byte { m := good(); m[0], m[5] = 0, 2; return seal(m) }, ipvssync.RefusedOtherVersion},
		{"Reserved set", func() []byte { m := good(); m[5] = 1; return seal(m) }, ipvssync.RefusedReserved},
		{"too long", func() []byte { return make([]byte, wire.MaxSize+1) }, ipvssync.RefusedTooLong},
		{"cut off", func() []byte { return good()[:40] }, ipvssync.RefusedSize},
		{"sync ID 0", func() []byte { m := good(); m[1] = 0; return seal(m) }, ipvssync.RefusedSyncIDZero},
		{"count over 50", func() []byte { m := good(); m[0] = 51; return seal(m) }, ipvssync.RefusedTooMany},
		{"wrong checksum", func() []byte { m := good(); m[20] ^= 1; return m }, ipvssync.RefusedChecksum},
		{"count of one more", func() []byte { m := good(); m[0] = 3; return seal(m) }, ipvssync.RefusedCount},
		{"reserved byte of an entry set", func() []byte { m := good(); m[8] = 1; return seal(m) }, ipvssync.RefusedEntryReserved},
		{"another cluster", func() []byte { return encode(t, syncID+1, conns(2, 0))[0] }, ipvssync.RefusedForeignSyncID},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var module chardevtest.Module
			o := options(&module)
			sink := openSink(t, o)
			// A broken advert does not harm those around it.
			around := conns(100, 0)
			adverts := encode(t, syncID, around)
			if err := sink.Apply([][]byte{adverts[0], tt.advert(), adverts[1]}); err != nil {
				t.Fatal(err)
			}
			if got := sent(module.Written()); !slices.Equal(got, sent(around)) {
				t.Errorf("written %d connections, want the 100 of valid adverts", len(got))
			}
			var total uint64
			for _, n := range o.Counters.Refused.All() {
				total += n
			}
			if n := o.Counters.Refused.Value(tt.reason); n != 1 || total != 1 {
				t.Errorf("counted %d, %d in all", n, total)
			}
		})
	}
}

func TestSinkGoesOnWhereTheKernelRefuses(t *testing.T) {
	module := chardevtest.Module{
		Refuse: func(c *ipvs.Conn) (chardev.Reason, bool) {
			return chardev.RefusedNoDest, c.Client.Port()%2 == 0
		},
	}
	sink := openSink(t, options(&module))
	if err := sink.Apply(encode(t, syncID, conns(10, 0))); err != nil {
		t.Fatal(err)
	}
	if n := len(module.Written()); n != 5 {
		t.Errorf("%d applied, want 5", n)
	}
}
