package ipvsclass_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/cluster"
	"github.com/ssyncp/ssyncp/internal/ipvsclass"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice/ipvsdevicetest"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/block/blocktest"
)

// What a busy director has: 100 services, 1,000 real servers with ports of
// their own, clients from anywhere.
const (
	perBatch = 2900 // a full read
	services = 100
	servers  = 1000
)

func busy(n int) []ipvs.Conn {
	random := rand.New(rand.NewPCG(114, 2002))
	addr := func(n uint32) netip.Addr {
		return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
	}
	states := [...]ipvs.State{ipvs.TCPEstablished, ipvs.TCPSynRecv, ipvs.TCPFinWait, ipvs.TCPTimeWait}
	timeouts := [...]time.Duration{15 * time.Minute, time.Minute, 2 * time.Minute, 2 * time.Minute}
	list := make([]ipvs.Conn, n)
	for i := range list {
		server := random.Uint32N(servers)
		service := server % services
		profile := random.IntN(len(states))
		list[i] = ipvs.Conn{
			Protocol: ipvs.TCP,
			Client:   netip.AddrPortFrom(addr(random.Uint32()), uint16(1024+random.UintN(64512))),
			Virtual:  netip.AddrPortFrom(addr(0xc6336400+service/4), uint16(80+service%4)),
			Dest:     netip.AddrPortFrom(addr(0x0a000000+server), uint16(8000+server%50)),
			State:    states[profile],
			Timeout:  timeouts[profile],
			Age:      time.Duration(random.Int64N(100)) * time.Millisecond,
			Marks:    ipvs.MarkLocal | ipvs.MarkBound,
		}
	}
	return list
}

// open opens objects over an endless device with that many connections.
func open(tb testing.TB, n int) *ipvsclass.Objects {
	o, err := ipvsclass.Open(ipvsclass.Options{
		Device:   ipvsdevicetest.Endless(tb, busy(n)),
		Counters: ipvsclass.NewCounters(),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return o
}

// news is what happens between the read of the device and the seal.
func news(tb testing.TB) func() {
	o := open(tb, perBatch)
	out := cluster.NewOutbox(room)
	return func() {
		if r, err := o.News(out); err != nil || r.Entries != perBatch {
			tb.Fatal(r, err)
		}
		out.Release(out.Len())
	}
}

// applying is what happens between the opened frame and the write to the
// device.
func applying(tb testing.TB) func() {
	o := open(tb, perBatch)
	out := cluster.NewOutbox(room)
	if _, err := o.News(out); err != nil {
		tb.Fatal(err)
	}
	var frames []block.Blocks
	for _, body := range out.Next(out.Len()) {
		frames = append(frames, blocktest.Sent(tb, body, 1, 0))
	}
	return func() {
		for _, blocks := range frames {
			if err := o.Apply(blocks, 0); err != nil {
				tb.Fatal(err)
			}
		}
		if err := o.Flush(); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestNothingIsAllocatedPerEntry(t *testing.T) {
	for name, f := range map[string]func(){"news": news(t), "apply": applying(t)} {
		f() // buffers are made once
		if n := testing.AllocsPerRun(100, f); n > 0 {
			t.Errorf("%s: %v allocations for %d connections", name, n, perBatch)
		}
	}
}

func BenchmarkNews(b *testing.B)  { benchmark(b, news(b)) }
func BenchmarkApply(b *testing.B) { benchmark(b, applying(b)) }

// One look at the services of a busy director.
func BenchmarkServices(b *testing.B) {
	var table strings.Builder
	table.WriteString("IP Virtual Server version 1.2.1 (size=4096)\n")
	for i := range services {
		fmt.Fprintf(&table, "TCP  C6336%03X:0050 rr  persistent 360 FFFFFFFF\n", i)
		for j := range servers / services {
			fmt.Fprintf(&table, "  -> 0A00%04X:1F40      Masq    1      12345      678       \n", i*servers/services+j)
		}
	}
	path := filepath.Join(b.TempDir(), "ip_vs")
	if err := os.WriteFile(path, []byte(table.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	o, err := ipvsclass.Open(ipvsclass.Options{
		Device:       ipvsdevicetest.Endless(b, nil),
		Counters:     ipvsclass.NewCounters(),
		ServiceTable: path,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := o.Services(); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmark(b *testing.B, f func()) {
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64(perBatch)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mentries/s")
}
