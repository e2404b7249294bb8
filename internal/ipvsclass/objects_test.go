package ipvsclass_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ssyncp/ssyncp/internal/cluster"
	"github.com/ssyncp/ssyncp/internal/ipvsclass"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice/ipvsdevicetest"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/chardev/chardevtest"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block/blocktest"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
)

// room is that of a body in a packet of an Ethernet.
const room = 1400

// options are for a module of which every device is what wrap makes of it.
func options(m *chardevtest.Module, wrap ...func(ipvsdevice.Device) ipvsdevice.Device) ipvsclass.Options {
	return ipvsclass.Options{
		Device: func() (ipvsdevice.Device, error) {
			var d ipvsdevice.Device = m.Open()
			for _, w := range wrap {
				d = w(d)
			}
			return d, nil
		},
		Counters: ipvsclass.NewCounters(),
	}
}

func openObjects(t testing.TB, o ipvsclass.Options) *ipvsclass.Objects {
	t.Helper()
	objects, err := ipvsclass.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { objects.Close() })
	return objects
}

// decode returns the connections of a body.
func decode(t testing.TB, body []byte) (list []ipvs.Conn) {
	t.Helper()
	var d entry.Decoder
	if err := d.Reset(blocktest.Sent(t, body, 1, 0)); err != nil {
		t.Fatal(err)
	}
	var c ipvs.Conn
	for d.Next(&c) {
		list = append(list, c.Clone())
	}
	return list
}

// taken takes everything out of the outbox.
func taken(t testing.TB, out *cluster.Outbox) (list []ipvs.Conn) {
	t.Helper()
	for _, body := range out.Next(out.Len()) {
		if len(body) > out.Room() {
			t.Errorf("a body of %d bytes, there is room for %d", len(body), out.Room())
		}
		list = append(list, decode(t, body)...)
	}
	out.Release(out.Len())
	return list
}

// ports returns the clients' ports, sorted.
func ports(list []ipvs.Conn) []uint16 {
	ports := make([]uint16, len(list))
	for i := range list {
		ports[i] = list[i].Client.Port()
	}
	slices.Sort(ports)
	return ports
}

func TestNewsFillsBodies(t *testing.T) {
	for _, tt := range []struct {
		name string
		n    int
	}{
		{"none", 0},
		{"one", 1},
		{"a batch", 2900},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var module chardevtest.Module
			o := options(&module)
			objects := openObjects(t, o)
			list := ipvsdevicetest.Conns(tt.n)
			module.Queue(list...)
			out := cluster.NewOutbox(room)
			r, err := objects.News(out)
			if err != nil || r.Entries != tt.n || r.More || r.Lost || r.Pause != nil {
				t.Fatalf("News: %+v, %v", r, err)
			}
			for i, body := range out.Next(out.Len()) {
				if last := i == out.Len()-1; !last && len(body) < room-entry.MaxEntrySize {
					t.Errorf("body %d of %d has %d bytes", i, out.Len(), len(body))
				}
			}
			if got := ports(taken(t, out)); !slices.Equal(got, ports(list)) {
				t.Errorf("%d connections, of %d", len(got), tt.n)
			}
			if n := o.Counters.Counts.Value(ipvsclass.Encoded); n != uint64(tt.n) {
				t.Errorf("%d counted", n)
			}
		})
	}
}

func TestNewsReadsOnceACall(t *testing.T) {
	var module chardevtest.Module
	objects := openObjects(t, options(&module))
	list := ipvsdevicetest.Conns(8000)
	module.Queue(list...)
	out := cluster.NewOutbox(room)
	var got []ipvs.Conn
	for more, reads := true, uint64(1); more; reads++ {
		r, err := objects.News(out)
		if err != nil {
			t.Fatal(err)
		}
		if n := ipvsdevicetest.ReadCalls(t, &module); n != reads {
			t.Fatalf("%d reads of the device after %d", n, reads)
		}
		got, more = append(got, taken(t, out)...), r.More
	}
	if !slices.Equal(ports(got), ports(list)) {
		t.Errorf("%d connections of %d", len(got), len(list))
	}
}

func TestNewsSaysAllOfAConnection(t *testing.T) {
	var module chardevtest.Module
	objects := openObjects(t, options(&module))
	v6 := ipvsdevicetest.Conns(1)[0]
	v6.Client = netip.MustParseAddrPort("[2001:db8::1]:1024")
	v6.Virtual = netip.MustParseAddrPort("[2001:db8::2]:80")
	adjusted := ipvsdevicetest.Conns(1)[0]
	adjusted.Flags, adjusted.In = ipvs.FlagInSeq, ipvs.Sequence{Init: 1, Delta: 2, PreviousDelta: 3}
	engine := ipvsdevicetest.Conns(1)[0]
	engine.Flags, engine.PEName, engine.PEData = ipvs.FlagTemplate, "sip", []byte("call")
	marked := ipvsdevicetest.Conns(1)[0]
	marked.Protocol, marked.Flags, marked.Fwmark = ipvs.IP, ipvs.FlagTemplate, 9
	for _, want := range []ipvs.Conn{v6, adjusted, engine, marked} {
		want.Age = 1500 * time.Millisecond
		module.Queue(want)
		out := cluster.NewOutbox(room)
		if _, err := objects.News(out); err != nil {
			t.Fatal(err)
		}
		want.Marks = 0 // are not sent
		got := taken(t, out)
		if len(got) != 1 || got[0].Key() != want.Key() || got[0].String() != want.String() ||
			got[0].In != want.In || got[0].Fwmark != want.Fwmark || got[0].Age != want.Age {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestNewsCountsWhatIsNotSent(t *testing.T) {
	var module chardevtest.Module
	o := options(&module)
	objects := openObjects(t, o)
	list := ipvsdevicetest.Conns(3)
	list[0].Flags = ipvs.FlagOnePacket
	list[1].State = 256
	module.Queue(list...)
	out := cluster.NewOutbox(room)
	if r, err := objects.News(out); err != nil || r.Entries != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	if got := ports(taken(t, out)); !slices.Equal(got, ports(list[2:])) {
		t.Errorf("sent %v", got)
	}
	for _, skip := range []ipvsclass.Skip{ipvsclass.SkipOnePacket, ipvsclass.SkipState} {
		if n := o.Counters.Skipped.Value(skip); n != 1 {
			t.Errorf("reason %d counted %d times", skip, n)
		}
	}
	module.Queue(list[0])
	if _, err := objects.News(out); err != nil || out.Len() != 0 {
		t.Errorf("%d bodies without connections, %v", out.Len(), err)
	}
}

func TestNewsNeedsRoom(t *testing.T) {
	var module chardevtest.Module
	objects := openObjects(t, options(&module))
	module.Queue(ipvsdevicetest.Conns(1)...)
	if _, err := objects.News(cluster.NewOutbox(100)); !errors.Is(err, entry.ErrRoom) {
		t.Errorf("err = %v", err)
	}
}

func TestNewsTellsEvents(t *testing.T) {
	var module chardevtest.Module
	objects := openObjects(t, options(&module))
	out := cluster.NewOutbox(room)
	read := func() cluster.Reading {
		t.Helper()
		r, err := objects.News(out)
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

// garbled is a device whose records cannot be read from a byte on.
type garbled struct {
	ipvsdevice.Device
	from int
}

func (d *garbled) ReadBatch(b *chardev.Batch) (bool, error) {
	ok, err := d.Device.ReadBatch(b)
	if d.from < b.Len() {
		records := slices.Clone(b.Bytes())
		records[d.from+2] = 99 // the kind
		b.Load(records)
	}
	return ok, err
}

func TestRecordsThatCannotBeRead(t *testing.T) {
	var module chardevtest.Module
	o := options(&module, func(d ipvsdevice.Device) ipvsdevice.Device {
		return &garbled{d, 2 * chardev.MinRecordSize}
	})
	objects := openObjects(t, o)
	list := ipvsdevicetest.Conns(5)
	module.Queue(list...)
	out := cluster.NewOutbox(room)
	r, err := objects.News(out)
	if err != nil || !r.Lost {
		t.Errorf("news: %+v, %v; want it lost", r, err)
	}
	if got := ports(taken(t, out)); !slices.Equal(got, ports(list[:2])) {
		t.Errorf("sent %v, want what was before", got)
	}
	module.SetTable(list...)
	walk, err := objects.Walk(cluster.All)
	if err != nil {
		t.Fatal(err)
	}
	defer walk.Close()
	if _, _, err := walk.Read(nil, room); !errors.Is(err, chardev.ErrMalformed) {
		t.Errorf("a walk: %v", err)
	}
	if n := o.Counters.Skipped.Value(ipvsclass.SkipMalformed); n != 2 {
		t.Errorf("counted %d times", n)
	}
}

func TestQueueOutlivesTheObjects(t *testing.T) {
	var module chardevtest.Module
	lingering := options(&module)
	lingering.Linger = time.Minute
	objects := openObjects(t, lingering)
	objects.Close()
	module.Queue(ipvsdevicetest.Conns(3)...)
	next := openObjects(t, lingering)
	if r, err := next.News(cluster.NewOutbox(room)); err != nil || r.Entries != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestObjectsMayBeTheSecondReaderOfTheirQueue(t *testing.T) {
	var module chardevtest.Module
	share := ipvsdevice.NewShare(options(&module).Device)
	first, second := options(&module), options(&module)
	first.Device, second.Device = share.First, share.Second
	one, other := openObjects(t, first), openObjects(t, second)
	list := ipvsdevicetest.Conns(20)
	module.Queue(list...)
	out := cluster.NewOutbox(room)
	for _, objects := range []*ipvsclass.Objects{one, other} {
		if r, err := objects.News(out); err != nil || r.Entries != len(list) {
			t.Fatalf("News: %+v, %v", r, err)
		}
		if got := ports(taken(t, out)); !slices.Equal(got, ports(list)) {
			t.Errorf("told %v", got)
		}
		if err := objects.Apply(advertise(t, list, 0), 0); err != nil {
			t.Fatal(err)
		}
		if err := objects.Flush(); err != nil {
			t.Error(err)
		}
	}
	if n := len(module.Written()); n != 2*len(list) {
		t.Errorf("%d written", n)
	}
}

// asked is a device that counts how often it is asked.
type asked struct {
	ipvsdevice.Device
	stats *int
}

func (d asked) Stats(s *chardev.Stats) error {
	*d.stats++
	return d.Device.Stats(s)
}

func TestEntriesAreCountedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var module chardevtest.Module
		calls := 0
		objects := openObjects(t, options(&module, func(d ipvsdevice.Device) ipvsdevice.Device { return asked{d, &calls} }))
		module.SetTable(ipvsdevicetest.Conns(7)...)
		calls = 0
		for range 100 {
			if n := objects.Entries(); n != 7 {
				t.Fatalf("%d entries, want 7", n)
			}
		}
		module.SetTable(ipvsdevicetest.Conns(9)...)
		time.Sleep(499 * time.Millisecond)
		if n := objects.Entries(); n != 7 || calls != 1 {
			t.Errorf("%d entries, asked %d times", n, calls)
		}
		time.Sleep(time.Millisecond)
		if n := objects.Entries(); n != 9 || calls != 2 {
			t.Errorf("%d entries, asked %d times", n, calls)
		}
		objects.Close()
		time.Sleep(time.Second)
		if n := objects.Entries(); n != 9 {
			t.Errorf("%d entries where the kernel does not say", n)
		}
	})
}

func TestSweepsFollowTheShortestTimeout(t *testing.T) {
	var module chardevtest.Module
	objects := openObjects(t, options(&module))
	module.SetShortestTimeout(10 * time.Second)
	if got, err := objects.SweepEvery(); err != nil || got != 1250*time.Millisecond {
		t.Errorf("%v, %v; want an eighth of 10 s", got, err)
	}
}

// readOnly is a device that must not be written to.
type readOnly struct{ ipvsdevice.Device }

func (d readOnly) Attach(o chardev.AttachOptions) error {
	if o.Mode == chardev.ModeInject {
		return chardev.ErrPermission
	}
	return d.Device.Attach(o)
}

func TestOpenFails(t *testing.T) {
	for _, tt := range []struct {
		name   string
		abi    uint32
		change func(*ipvsclass.Options)
		want   error
	}{
		{"no device", 0, func(o *ipvsclass.Options) {
			o.Device = func() (ipvsdevice.Device, error) { return nil, chardev.ErrNotLoaded }
		}, chardev.ErrNotLoaded},
		{"another ABI", 99, func(*ipvsclass.Options) {}, chardev.ErrABIMismatch},
		{"a filter by a state that there is not", 0, func(o *ipvsclass.Options) {
			o.Filter.States = []string{"ESTABLISHED", "OPEN"}
		}, ipvsclass.ErrState},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options(&chardevtest.Module{ABIVersion: tt.abi})
			tt.change(&o)
			if _, err := ipvsclass.Open(o); !errors.Is(err, tt.want) {
				t.Errorf("err = %v, want %v", err, tt.want)
			}
		})
	}
	t.Run("nothing can be written, and the queue is left", func(t *testing.T) {
		var module chardevtest.Module
		o := options(&module, func(d ipvsdevice.Device) ipvsdevice.Device { return readOnly{d} })
		if _, err := ipvsclass.Open(o); !errors.Is(err, chardev.ErrPermission) {
			t.Errorf("err = %v", err)
		}
		openObjects(t, options(&module))
	})
	t.Run("another daemon", func(t *testing.T) {
		var module chardevtest.Module
		openObjects(t, options(&module))
		if _, err := ipvsclass.Open(options(&module)); !errors.Is(err, chardev.ErrBusy) {
			t.Errorf("err = %v", err)
		}
	})
}
