// Package ipvsdevicetest has devices without a kernel, and connections, for tests
// of what is built on package ipvsdevice.
package ipvsdevicetest

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/chardev/chardevtest"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// Conns returns connections through this director, of clients whose ports count
// up from 1024.
func Conns(n int) []ipvs.Conn {
	list := make([]ipvs.Conn, n)
	for i := range list {
		list[i] = ipvs.Conn{
			Protocol: ipvs.TCP,
			Client:   netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), uint16(1024+i)),
			Virtual:  netip.MustParseAddrPort("192.0.2.1:80"),
			Dest:     netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i % 7)}), 8080),
			State:    ipvs.TCPEstablished,
			Timeout:  15 * time.Minute,
			Marks:    ipvs.MarkLocal,
		}
	}
	return list
}

// Opener opens devices of a module.
func Opener(m *chardevtest.Module) ipvsdevice.Opener {
	return func() (ipvsdevice.Device, error) { return m.Open(), nil }
}

// ReadCalls returns how often the devices of a module were read.
func ReadCalls(t testing.TB, m *chardevtest.Module) uint64 {
	t.Helper()
	device := m.Open()
	defer device.Close()
	var stats chardev.Stats
	if err := device.Stats(&stats); err != nil {
		t.Fatal(err)
	}
	return stats.Counters[chardev.CounterReadCalls]
}

// Endless opens a device for benchmarks: every read has the same connections, and
// what is written is taken and forgotten.
func Endless(t testing.TB, list []ipvs.Conn) ipvsdevice.Opener {
	t.Helper()
	var d endless
	for i := range list {
		var err error
		if d.records, err = chardev.AppendRecord(d.records, &list[i]); err != nil {
			t.Fatal(err)
		}
	}
	return func() (ipvsdevice.Device, error) { return &d, nil }
}

type endless struct{ records []byte }

func (d *endless) Attach(chardev.AttachOptions) error { return nil }

func (d *endless) ReadBatch(b *chardev.Batch) (bool, error) {
	b.Load(d.records)
	return true, nil
}

func (d *endless) Write(records []byte) (int, error) { return len(records), nil }

func (d *endless) Refusals(dst []chardev.Refusal) ([]chardev.Refusal, error) { return dst, nil }

func (d *endless) Stats(*chardev.Stats) error { return nil }

func (d *endless) Close() error { return nil }
