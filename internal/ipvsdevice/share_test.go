package ipvsdevice_test

import (
	"errors"
	"io"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice/ipvsdevicetest"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/chardev/chardevtest"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

func conn(port uint16) ipvs.Conn {
	return ipvs.Conn{
		Protocol: ipvs.TCP, State: 1,
		Client:  netip.AddrPortFrom(netip.MustParseAddr("10.4.0.1"), port),
		Virtual: netip.MustParseAddrPort("192.0.2.80:80"),
		Dest:    netip.MustParseAddrPort("10.0.2.21:80"),
	}
}

// attach opens a device and attaches it.
func attach(t *testing.T, open ipvsdevice.Opener, o chardev.AttachOptions) ipvsdevice.Device {
	t.Helper()
	d, err := open.Attach(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// ports reads what there is: the ports of the clients, in order.
func ports(t *testing.T, d ipvsdevice.Device) (all []uint16, events chardev.Events) {
	t.Helper()
	b := chardev.NewBatch(chardev.ReadMin)
	var c ipvs.Conn
	for {
		ok, err := d.ReadBatch(b)
		if errors.Is(err, io.EOF) {
			return all, events
		}
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return all, events
		}
		for b.Next(&c) {
			all = append(all, c.Client.Port())
		}
		events |= b.Events()
	}
}

func TestSecondReaderGetsWhatTheFirstRead(t *testing.T) {
	m := new(chardevtest.Module)
	s := ipvsdevice.NewShare(ipvsdevicetest.Opener(m))
	capture := chardev.AttachOptions{Mode: chardev.ModeCapture}
	first := attach(t, s.First, capture)
	second := attach(t, s.Second, capture)
	for port := range uint16(100) {
		m.Queue(conn(1 + port))
	}
	m.Raise(chardev.EventLost)
	if got, _ := ports(t, second); len(got) != 0 {
		t.Errorf("before the first reader read: %v", got)
	}
	one, _ := ports(t, first)
	other, events := ports(t, second)
	if len(one) != 100 || len(other) != 100 || events != chardev.EventLost {
		t.Errorf("first %d, second %d with events %v; want 100 each, and LOST", len(one), len(other), events)
	}
	for i := range other {
		if one[i] != other[i] {
			t.Fatalf("connection %d: %d and %d", i, one[i], other[i])
		}
	}
}

func TestSecondReaderGetsWhatIsDueAsNews(t *testing.T) {
	m := new(chardevtest.Module)
	m.SetTable(conn(1), conn(2), conn(3))
	m.SetDue(conn(2))
	s := ipvsdevice.NewShare(ipvsdevicetest.Opener(m))
	second := attach(t, s.Second, chardev.AttachOptions{Mode: chardev.ModeCapture})
	due := chardev.AttachOptions{Mode: chardev.ModeSnapshot, Owned: true, Due: true}
	if got, _ := ports(t, attach(t, s.Second, due)); len(got) != 0 {
		t.Errorf("a walk of the second reader took what is due: %v", got)
	}
	if got, _ := ports(t, attach(t, s.First, due)); len(got) != 1 || got[0] != 2 {
		t.Errorf("the first reader's walk: %v", got)
	}
	if got, _ := ports(t, second); len(got) != 1 || got[0] != 2 {
		t.Errorf("news of the second reader: %v", got)
	}
	if got, _ := ports(t, attach(t, s.Second, chardev.AttachOptions{Mode: chardev.ModeSnapshot, Owned: true})); len(got) != 3 {
		t.Errorf("a walk over everything: %v", got)
	}
}

// What is not full is the last batch to who reads: it must have all that there is.
func TestSecondReaderReadsOnUntilABatchIsNotFull(t *testing.T) {
	for _, tt := range []struct {
		name         string
		first, other int // sizes of their batches
	}{
		{"larger batches", 4096, 1 << 20},
		{"smaller ones", 1 << 20, 4096},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := new(chardevtest.Module)
			s := ipvsdevice.NewShare(ipvsdevicetest.Opener(m))
			capture := chardev.AttachOptions{Mode: chardev.ModeCapture}
			first, second := attach(t, s.First, capture), attach(t, s.Second, capture)
			for range 3 { // news, read to its end
				for port := range uint16(500) {
					m.Queue(conn(1 + port))
				}
				for ok, b := true, chardev.NewBatch(tt.first); ok; {
					var err error
					if ok, err = first.ReadBatch(b); err != nil {
						t.Fatal(err)
					}
				}
			}
			got := 0
			b := chardev.NewBatch(tt.other)
			var c ipvs.Conn
			for full := true; full; full = b.Full() {
				if _, err := second.ReadBatch(b); err != nil {
					t.Fatal(err)
				}
				for b.Next(&c) {
					if want := uint16(1 + got%500); c.Client.Port() != want {
						t.Fatalf("connection %d: %d, want %d", got, c.Client.Port(), want)
					}
					got++
				}
			}
			if got != 1500 {
				t.Errorf("%d connections, want 1500", got)
			}
		})
	}
}

func TestSecondReaderIsToldTheAgesOfItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(chardevtest.Module)
		s := ipvsdevice.NewShare(ipvsdevicetest.Opener(m))
		capture := chardev.AttachOptions{Mode: chardev.ModeCapture}
		first, second := attach(t, s.First, capture), attach(t, s.Second, capture)
		c := conn(1)
		c.Age = 30 * time.Millisecond
		m.Raise(chardev.EventLost) // a record before it
		m.Queue(c)
		ports(t, first)
		time.Sleep(50 * time.Millisecond)
		b := chardev.NewBatch(0)
		if ok, err := second.ReadBatch(b); !ok || err != nil || !b.Next(&c) {
			t.Fatal(ok, err)
		}
		if want := 80 * time.Millisecond; c.Age != want || b.Events() != chardev.EventLost {
			t.Errorf("an age of %v, events %v; want %v, and LOST", c.Age, b.Events(), want)
		}
	})
}

func TestSecondReaderThatFallsBehindIsTold(t *testing.T) {
	m := &chardevtest.Module{QueueLen: 1 << 17}
	s := ipvsdevice.NewShare(ipvsdevicetest.Opener(m))
	capture := chardev.AttachOptions{Mode: chardev.ModeCapture}
	first, second := attach(t, s.First, capture), attach(t, s.Second, capture)
	big := chardev.NewBatch(1 << 20)
	for round := 0; round < 5; round++ {
		for port := range uint16(50000) {
			m.Queue(conn(1 + port))
		}
		for ok := true; ok; {
			var err error
			if ok, err = first.ReadBatch(big); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := second.ReadBatch(big); !errors.Is(err, ipvsdevice.ErrBehind) {
		t.Errorf("%v, want %v", err, ipvsdevice.ErrBehind)
	}
	// It begins anew, with a snapshot, as with a device that failed.
	second.Close()
	again := attach(t, s.Second, capture)
	m.Queue(conn(7))
	ports(t, first)
	if got, _ := ports(t, again); len(got) != 1 || got[0] != 7 {
		t.Errorf("after that: %v", got)
	}
}
