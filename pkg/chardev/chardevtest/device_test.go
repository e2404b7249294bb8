package chardevtest_test

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/chardev/chardevtest"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// device is what both devices have.
type device interface {
	Path() string
	Attach(chardev.AttachOptions) error
	ReadBatch(*chardev.Batch) (bool, error)
	WaitBatch(*chardev.Batch) error
	SetReadDeadline(time.Time) error
	Write([]byte) (int, error)
	Refusals([]chardev.Refusal) ([]chardev.Refusal, error)
	Stats(*chardev.Stats) error
	Close() error
}

var (
	_ device = (*chardev.Device)(nil)
	_ device = (*chardevtest.Device)(nil)
)

func conn(port uint16) ipvs.Conn {
	return ipvs.Conn{
		Protocol: ipvs.TCP,
		Client:   netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), port),
		Virtual:  netip.MustParseAddrPort("198.51.100.1:80"),
		Dest:     netip.MustParseAddrPort("10.0.0.1:80"),
		State:    ipvs.TCPEstablished,
		Timeout:  time.Minute,
	}
}

func conns(n int) []ipvs.Conn {
	list := make([]ipvs.Conn, n)
	for i := range list {
		list[i] = conn(uint16(i + 1))
	}
	return list
}

func attach(t *testing.T, m *chardevtest.Module, o chardev.AttachOptions) *chardevtest.Device {
	t.Helper()
	d := m.Open()
	if err := d.Attach(o); err != nil {
		t.Fatal(err)
	}
	return d
}

var capture = chardev.AttachOptions{Mode: chardev.ModeCapture}

// read reads one batch and returns its connections.
func read(t *testing.T, d *chardevtest.Device, b *chardev.Batch) []ipvs.Conn {
	t.Helper()
	if _, err := d.ReadBatch(b); err != nil {
		t.Fatal(err)
	}
	var list []ipvs.Conn
	var c ipvs.Conn
	for b.Next(&c) {
		list = append(list, c.Clone())
	}
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

func records(t *testing.T, list ...ipvs.Conn) []byte {
	t.Helper()
	var p []byte
	for i := range list {
		var err error
		if p, err = chardev.AppendRecord(p, &list[i]); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func TestAttachFailsAsTheModuleDoes(t *testing.T) {
	for _, tt := range []struct {
		name    string
		module  *chardevtest.Module
		before  []chardev.AttachOptions // of other devices
		twice   bool
		options chardev.AttachOptions
		want    error
	}{
		{"another ABI version", &chardevtest.Module{ABIVersion: 2}, nil, false, capture, chardev.ErrABIMismatch},
		{"a second capture reader", &chardevtest.Module{}, []chardev.AttachOptions{capture}, false, capture, chardev.ErrBusy},
		{"a snapshot beside it", &chardevtest.Module{}, []chardev.AttachOptions{capture}, false, chardev.AttachOptions{Mode: chardev.ModeSnapshot}, nil},
		{"twice", &chardevtest.Module{}, nil, true, capture, chardev.ErrAlreadyAttached},
		{"no mode", &chardevtest.Module{}, nil, false, chardev.AttachOptions{}, chardev.ErrInvalid},
		{"owned capture", &chardevtest.Module{}, nil, false, chardev.AttachOptions{Mode: chardev.ModeCapture, Owned: true}, chardev.ErrInvalid},
		{"lingering snapshot", &chardevtest.Module{}, nil, false, chardev.AttachOptions{Mode: chardev.ModeSnapshot, Linger: 1}, chardev.ErrInvalid},
		{"snapshot without its helper", &chardevtest.Module{Missing: chardev.MissingConnSeqNext}, nil, false,
			chardev.AttachOptions{Mode: chardev.ModeSnapshot}, chardev.ErrUnsupported},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, o := range tt.before {
				attach(t, tt.module, o)
			}
			d := tt.module.Open()
			if tt.twice {
				if err := d.Attach(tt.options); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.Attach(tt.options); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestAttachNamesBothVersions(t *testing.T) {
	m := chardevtest.Module{ABIVersion: 2}
	var mismatch *chardev.ABIMismatchError
	if err := m.Open().Attach(capture); !errors.As(err, &mismatch) || mismatch.Module != 2 || mismatch.Program != chardev.ABIVersion {
		t.Errorf("got %v", err)
	}
}

func TestAnEmptyQueueIsNotAnEnd(t *testing.T) {
	var m chardevtest.Module
	d := attach(t, &m, capture)
	if ok, err := d.ReadBatch(chardev.NewBatch(0)); ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
}

func TestReadsWholeRecordsUntilNothingIsThere(t *testing.T) {
	var m chardevtest.Module
	d := attach(t, &m, capture)
	want := conns(100)
	m.Queue(want...)
	b := chardev.NewBatch(0) // holds fewer
	var got []ipvs.Conn
	for range 100 {
		got = append(got, read(t, d, b)...)
		if !b.Full() {
			break
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %d connections %v, want %d", len(got), got, len(want))
	}
	if m.Queued() != 0 {
		t.Errorf("%d still queued", m.Queued())
	}
}

func TestNewsOfAConnectionMergeUntilTheyAreRead(t *testing.T) {
	var m chardevtest.Module
	d := attach(t, &m, capture)
	first, second := conn(1), conn(1)
	second.State = ipvs.TCPFinWait
	m.Queue(first, conn(2), second)
	b := chardev.NewBatch(0)
	if got, want := read(t, d, b), []ipvs.Conn{second, conn(2)}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	m.Queue(first)
	if got := read(t, d, b); !reflect.DeepEqual(got, []ipvs.Conn{first}) {
		t.Errorf("after reading it: got %v", got)
	}
}

func TestAFullQueueRaisesLostFirst(t *testing.T) {
	m := chardevtest.Module{QueueLen: 3}
	d := attach(t, &m, capture)
	m.Queue(conns(5)...)
	b := chardev.NewBatch(0)
	if ok, err := d.ReadBatch(b); !ok || err != nil || b.Events() != chardev.EventLost {
		t.Fatalf("got %v, %v, events %v", ok, err, b.Events())
	}
	var s chardev.Stats
	if err := d.Stats(&s); err != nil {
		t.Fatal(err)
	}
	if s.Counters[chardev.CounterDroppedFull] != 2 || s.Counters[chardev.CounterLostEvents] != 1 || s.Counters[chardev.CounterQueued] != 3 {
		t.Errorf("counters %v", s.Counters)
	}
	if read(t, d, b); b.Events() != 0 {
		t.Errorf("events again: %v", b.Events())
	}
}

func TestAQueueOutlivesItsDeviceOnlyByItsLinger(t *testing.T) {
	for _, tt := range []struct {
		name   string
		linger time.Duration
		pause  time.Duration
		want   int
	}{
		{"no linger", 0, 0, 0},
		{"within it", time.Minute, 0, 2},
		{"after it", time.Millisecond, 5 * time.Millisecond, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var m chardevtest.Module
			d := attach(t, &m, chardev.AttachOptions{Mode: chardev.ModeCapture, Linger: tt.linger})
			m.Queue(conn(1))
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(tt.pause)
			m.Queue(conn(2))
			next := attach(t, &m, capture)
			if got := read(t, next, chardev.NewBatch(0)); len(got) != tt.want {
				t.Errorf("got %v, want %d", got, tt.want)
			}
		})
	}
}

func TestNothingIsCapturedWithoutAReader(t *testing.T) {
	var m chardevtest.Module
	m.Queue(conns(3)...)
	if got := read(t, attach(t, &m, capture), chardev.NewBatch(0)); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestWaitBatchWakesAtTheWatermarkAndByEvents(t *testing.T) {
	for _, tt := range []struct {
		name string
		news func(*chardevtest.Module)
		want int
	}{
		{"watermark", func(m *chardevtest.Module) { m.Queue(conns(2)...) }, 2},
		{"event", func(m *chardevtest.Module) { m.Queue(conn(1)); m.Raise(chardev.EventMasterRunning) }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var m chardevtest.Module
			d := attach(t, &m, chardev.AttachOptions{Mode: chardev.ModeCapture, Watermark: 2})
			b := chardev.NewBatch(0)
			done := make(chan error, 1)
			go func() { done <- d.WaitBatch(b) }()
			time.Sleep(10 * time.Millisecond)
			tt.news(&m)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			n := 0
			for c := new(ipvs.Conn); b.Next(c); n++ {
			}
			if n != tt.want {
				t.Errorf("%d connections, want %d", n, tt.want)
			}
		})
	}
}

func TestFewerThanTheWatermarkDoNotWakeAReader(t *testing.T) {
	var m chardevtest.Module
	d := attach(t, &m, chardev.AttachOptions{Mode: chardev.ModeCapture, Watermark: 2})
	if err := d.SetReadDeadline(time.Now().Add(30 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- d.WaitBatch(chardev.NewBatch(0)) }()
	time.Sleep(10 * time.Millisecond)
	m.Queue(conn(1))
	if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %v, want %v", err, os.ErrDeadlineExceeded)
	}
	if got := read(t, d, chardev.NewBatch(0)); len(got) != 1 {
		t.Errorf("the next read: %v", got)
	}
}

func TestCloseEndsAWaitingRead(t *testing.T) {
	var m chardevtest.Module
	d := attach(t, &m, capture)
	done := make(chan error, 1)
	go func() { done <- d.WaitBatch(chardev.NewBatch(0)) }()
	time.Sleep(10 * time.Millisecond)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, chardev.ErrClosed) {
		t.Errorf("got %v, want %v", err, chardev.ErrClosed)
	}
}

func TestModesAllowWhatTheHeaderSays(t *testing.T) {
	for _, tt := range []struct {
		mode        chardev.Mode
		read, write error
	}{
		{0, chardev.ErrNotAttached, chardev.ErrNotAttached},
		{chardev.ModeCapture, nil, nil},
		{chardev.ModeSnapshot, io.EOF, chardev.ErrWrongMode},
		{chardev.ModeInject, chardev.ErrWrongMode, nil},
	} {
		var m chardevtest.Module
		d := m.Open()
		if tt.mode != 0 {
			d = attach(t, &m, chardev.AttachOptions{Mode: tt.mode})
		}
		if _, err := d.ReadBatch(chardev.NewBatch(0)); !errors.Is(err, tt.read) {
			t.Errorf("%v, read: %v, want %v", tt.mode, err, tt.read)
		}
		if _, err := d.Write(records(t, conn(1))); !errors.Is(err, tt.write) {
			t.Errorf("%v, write: %v, want %v", tt.mode, err, tt.write)
		}
		if _, err := d.Refusals(nil); !errors.Is(err, tt.write) {
			t.Errorf("%v, refusals: %v, want %v", tt.mode, err, tt.write)
		}
	}
}

func TestARefusedRecordDoesNotEndTheBatch(t *testing.T) {
	m := chardevtest.Module{Refuse: func(c *ipvs.Conn) (chardev.Reason, bool) {
		return chardev.RefusedNoDest, c.Client.Port() == 2
	}}
	d := attach(t, &m, chardev.AttachOptions{Mode: chardev.ModeInject})
	list := conns(4)
	list[3].Age = time.Hour
	p := records(t, list...)
	if n, err := d.Write(p); n != len(p) || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	got, err := d.Refusals(nil)
	want := []chardev.Refusal{{Index: 1, Reason: chardev.RefusedNoDest}, {Index: 3, Reason: chardev.RefusedExpired}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("refusals %v, %v, want %v", got, err, want)
	}
	if got, want := m.Written(), []ipvs.Conn{list[0], list[2]}; !reflect.DeepEqual(got, want) {
		t.Errorf("applied %v, want %v", got, want)
	}
	var s chardev.Stats
	if err := d.Stats(&s); err != nil {
		t.Fatal(err)
	}
	if s.Refused(chardev.RefusedNoDest) != 1 || s.Refused(chardev.RefusedExpired) != 1 || s.Counters[chardev.CounterCreated] != 2 {
		t.Errorf("counters %v", s.Counters)
	}
	if _, err := d.Write(records(t, conn(9))); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Refusals(nil); len(got) != 0 || err != nil {
		t.Errorf("refusals of the next write: %v, %v", got, err)
	}
}

func TestAMalformedRecordEndsTheBatch(t *testing.T) {
	var m chardevtest.Module
	d := attach(t, &m, chardev.AttachOptions{Mode: chardev.ModeInject})
	p := records(t, conns(3)...)
	p[2*chardev.MinRecordSize+36] = 1 // reserved
	n, err := d.Write(p)
	if n != 2*chardev.MinRecordSize || !errors.Is(err, chardev.ErrMalformed) {
		t.Errorf("got %d, %v, want %d, %v", n, err, 2*chardev.MinRecordSize, chardev.ErrMalformed)
	}
	if got := m.Written(); len(got) != 2 {
		t.Errorf("applied %v", got)
	}
	if n, err := d.Write(make([]byte, chardev.WriteMax+8)); n != 0 || !errors.Is(err, chardev.ErrTooLarge) {
		t.Errorf("too large: %d, %v", n, err)
	}
}

func TestASnapshotHasEveryConnectionOnce(t *testing.T) {
	var m chardevtest.Module
	want := conns(100)
	m.SetTable(want...)
	d := attach(t, &m, chardev.AttachOptions{Mode: chardev.ModeSnapshot})
	m.SetTable() // flushed meanwhile
	var got []ipvs.Conn
	for c, err := range chardev.Snapshot(t.Context(), d, chardev.NewBatch(0)) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, c.Clone())
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %d connections, want %d", len(got), len(want))
	}
}

func TestAnOwnedSnapshotLeavesOutCopies(t *testing.T) {
	own, held, claimed := conn(1), conn(2), conn(3)
	held.Flags = ipvs.FlagSync
	claimed.Flags, claimed.Marks = ipvs.FlagSync, ipvs.MarkLocal
	var m chardevtest.Module
	m.SetTable(own, held, claimed)
	d := attach(t, &m, chardev.AttachOptions{Mode: chardev.ModeSnapshot, Owned: true})
	var ports []uint16
	for c, err := range chardev.Snapshot(t.Context(), d, chardev.NewBatch(0)) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Marks&ipvs.MarkKnown == 0 {
			t.Errorf("%v is not marked", c)
		}
		ports = append(ports, c.Client.Port())
	}
	if !reflect.DeepEqual(ports, []uint16{1, 3}) {
		t.Errorf("got ports %v", ports)
	}
}

func TestADueSnapshotTellsOnceWhatIsDue(t *testing.T) {
	list := conns(5)
	list[3].Flags = ipvs.FlagSync // a copy: its owner tells
	var m chardevtest.Module
	m.SetTable(list...)
	ports := func(o chardev.AttachOptions) (ports []uint16) {
		t.Helper()
		d := attach(t, &m, o)
		defer d.Close()
		for c, err := range chardev.Snapshot(t.Context(), d, chardev.NewBatch(0)) {
			if err != nil {
				t.Fatal(err)
			}
			ports = append(ports, c.Client.Port())
		}
		return ports
	}
	all := chardev.AttachOptions{Mode: chardev.ModeSnapshot}
	owned := chardev.AttachOptions{Mode: chardev.ModeSnapshot, Owned: true}
	due := chardev.AttachOptions{Mode: chardev.ModeSnapshot, Owned: true, Due: true}
	for _, step := range []struct {
		what string
		mark []ipvs.Conn // as due, before
		take chardev.AttachOptions
		want []uint16
	}{
		{"nothing is due", nil, due, nil},
		{"a snapshot of all tells nobody", list[1:4], all, []uint16{1, 2, 3, 4, 5}},
		{"what is due and owned", nil, due, []uint16{2, 3}},
		{"once", nil, due, nil},
		{"due again", list[:1], due, []uint16{1}},
		{"a snapshot of what is owned tells all", list[4:], owned, []uint16{1, 2, 3, 5}},
		{"also what was due", nil, due, nil},
	} {
		m.SetDue(step.mark...)
		if got := ports(step.take); !slices.Equal(got, step.want) {
			t.Errorf("%s: ports %v, want %v", step.what, got, step.want)
		}
	}
}

func TestOnlyASnapshotIsFiltered(t *testing.T) {
	for _, o := range []chardev.AttachOptions{
		{Mode: chardev.ModeCapture, Owned: true},
		{Mode: chardev.ModeInject, Owned: true, Due: true},
		{Mode: chardev.ModeSnapshot, Due: true},
	} {
		var m chardevtest.Module
		if err := m.Open().Attach(o); !errors.Is(err, chardev.ErrInvalid) {
			t.Errorf("%+v: %v, want %v", o, err, chardev.ErrInvalid)
		}
	}
}

func TestShortestTimeoutFollowsTheModule(t *testing.T) {
	var m chardevtest.Module
	d := m.Open()
	for _, want := range []time.Duration{0, 2 * time.Minute, 10 * time.Second} {
		m.SetShortestTimeout(want)
		var s chardev.Stats
		if err := d.Stats(&s); err != nil || s.ShortestTimeout != want {
			t.Errorf("%v, %v, want %v", s.ShortestTimeout, err, want)
		}
	}
}

func TestWhatIsWrittenIsInTheTableAsACopy(t *testing.T) {
	var m chardevtest.Module
	d := attach(t, &m, chardev.AttachOptions{Mode: chardev.ModeInject})
	c := conn(1)
	c.Marks = ipvs.MarkLocal
	if _, err := d.Write(records(t, c, c)); err != nil {
		t.Fatal(err)
	}
	c.Flags, c.Marks = ipvs.FlagSync, 0
	if got := m.Table(); !reflect.DeepEqual(got, []ipvs.Conn{c}) {
		t.Errorf("got %v, want %v", got, c)
	}
}

func TestStateFollowsTheReaderAndTheMaster(t *testing.T) {
	var m chardevtest.Module
	watcher := m.Open()
	state := func() chardev.State {
		var s chardev.Stats
		if err := watcher.Stats(&s); err != nil {
			t.Fatal(err)
		}
		return s.State
	}
	if got := state(); got != 0 {
		t.Errorf("at first: %v", got)
	}
	d := attach(t, &m, chardev.AttachOptions{Mode: chardev.ModeCapture, Linger: time.Minute})
	m.Raise(chardev.EventMasterRunning)
	if got, want := state(), chardev.StateCapturing|chardev.StateInterposed|chardev.StateMasterRunning; got != want {
		t.Errorf("attached: %v, want %v", got, want)
	}
	m.Raise(chardev.EventMasterStopped | chardev.EventLost)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := state(), chardev.StateLingering|chardev.StateInterposed; got != want {
		t.Errorf("closed: %v, want %v", got, want)
	}
}
