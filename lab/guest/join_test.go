package guest

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// A director that comes back empty while connections come and go has all that
// its peer has when it calls itself synced, not later.
func TestRebootedDirectorIsWhole(t *testing.T) {
	t.Run("over a good link", func(t *testing.T) { rebooted(t, nil, 10*director.DefaultPeriod) })
	if inFull() {
		t.Run("over a bad link", func(t *testing.T) { rebooted(t, bad, 30*director.DefaultPeriod) })
	}
}

// rebooted reboots a director with a link like this. What had a packet within the
// last moments may be on its way still when it is synced.
func rebooted(t *testing.T, link []string, young time.Duration) {
	const perSecond = 50
	many := 10000
	if inFull() {
		many = 20000
	}
	if link != nil {
		loadModules(t, "sch_netem")
	}
	f := newFleet(t, 2, 2)
	a := f.Directors[0]
	f.joinAll(t)
	quiet := f.flooded(t, 8000)
	serve(t, f.Topology, "tcp", 8001)
	busy := director.Service{Method: director.NAT}
	busy.Virtual = f.AddService(t, busy, 8001)
	for _, s := range f.Servers {
		busy.Servers = append(busy.Servers, netip.AddrPortFrom(s.Address, 8001))
	}
	for _, half := range halves {
		f.segments(t, traffic.ACK, quiet.Virtual, many/len(halves), half)
	}
	churn := traffic.Client{Namespace: f.Client}.Churn(perSecond, busy.Virtual)
	time.Sleep(time.Second)

	b := f.Directors[1]
	f.daemons[1].Kill(t)
	f.Reboot(t, b)
	b.AddService(t, quiet, busy)
	if link != nil {
		f.impair(t, link...)
	}
	began := time.Now()
	f.join(t, 1)
	if n := b.Stats(t).ConnCount; int(n) > many/2 {
		t.Errorf("%d connections at the start: nothing to be made whole", n)
	}
	f.becomes(t, 1, "synced")
	said := time.Now()
	got := holdings(t, b)
	want := holdings(t, a)
	if difference := compareTables(want, got, said.Add(-young)); !difference.none() {
		t.Errorf("when it says so: %v", difference)
	}
	if len(want) < many*9/10 {
		t.Errorf("%d connections, want %d", len(want), many)
	}
	if opened, failed := churn.Stop(); opened < perSecond || failed > 0 {
		t.Errorf("churn: %d opened, %d failed", opened, failed)
	}
	sameTables(t, 10*time.Second, f.Directors...)
	t.Logf("%d connections, synced %v after the start", len(want), said.Sub(began))
}

// The director that gives a snapshot loses its power in the midst of it: the
// joiner gets the rest from another one, and is not synced before.
func TestDonorDies(t *testing.T) {
	const many = 4000
	f := newFleet(t, 3, 1)
	f.pace = 80 // a quarter of it is what a snapshot may take
	joiner := f.Directors[2]
	for i := range 2 {
		f.join(t, i)
	}
	for i := range 2 {
		f.becomes(t, i, "synced")
	}
	service := f.flooded(t, 8000)
	f.segments(t, traffic.ACK, service.Virtual, many, halves[0])
	total := sameTables(t, 20*time.Second, f.Directors[:2]...)
	nearly(t, total, many)

	f.join(t, 2)
	half := func() bool { return int(joiner.Stats(t).ConnCount) >= total/2 }
	eventually(t, 2*syncedLimit, half, "no half of a snapshot")
	if state := f.daemons[2].State(); state != "joining" {
		t.Fatalf("%s with half of the connections", state)
	}
	donor := 0
	if strings.Contains(f.daemons[1].Log(), "serving a snapshot") {
		donor = 1
	}
	f.powerOff(t, donor)
	died := time.Now()
	f.becomes(t, 2, "synced")
	if n := sameTables(t, 0, f.Directors[1-donor], joiner); n != total {
		t.Errorf("%d connections, want %d", n, total)
	}
	t.Logf("whole %v after its donor died", time.Since(died))
}

// A director that lacks a service says that it is degraded, and is made whole
// when the service is there, without anybody's help.
func TestServiceDrift(t *testing.T) {
	const each = 1000
	f := newFleet(t, 2, 1)
	a, b := f.Directors[0], f.Directors[1]
	first, second := f.flooded(t, 8000), director.Service{Method: director.DR}
	second.Virtual = netip.AddrPortFrom(first.Virtual.Addr(), 8001)
	second.Servers = f.ServersAt(topology.IPv4, 8001)
	a.AddService(t, second)
	f.join(t, 0)
	f.segments(t, traffic.ACK, first.Virtual, each, part(halves[0], 0))
	f.segments(t, traffic.ACK, second.Virtual, each, part(halves[0], 1))

	f.join(t, 1)
	f.becomes(t, 1, "degraded")
	nearly(t, len(holdings(t, b)), each)
	if n := counter(t, b, chardev.CounterRefused+chardev.Counter(chardev.RefusedNoDest)); n < each*9/10 {
		t.Errorf("%d refused for lack of a service, want %d", n, each)
	}
	b.AddService(t, second)
	added := time.Now()
	f.becomes(t, 1, "synced")
	sameTables(t, 0, a, b)
	t.Logf("whole %v after the service was there", time.Since(added))

	// The service may go while the director runs, too.
	b.IPVSAdm(t, "--delete-service", "--tcp-service", second.Virtual.String())
	f.segments(t, traffic.ACK, second.Virtual, each, part(halves[0], 2))
	f.becomes(t, 1, "degraded")
	b.AddService(t, second)
	f.becomes(t, 1, "synced")
	sameTables(t, 0, a, b)
}

// What is gone on one director does not come back by itself, nor take the others'
// along; an operator has it back.
func TestFlushOnOneSide(t *testing.T) {
	const many = 1000
	f := newFleet(t, 2, 1)
	a, b := f.Directors[0], f.Directors[1]
	f.joinAll(t)
	service := f.flooded(t, 8000)
	f.segments(t, traffic.ACK, service.Virtual, many, halves[0])
	total := sameTables(t, 10*time.Second, a, b)
	nearly(t, total, many)

	expire(t, b)
	time.Sleep(3 * time.Second)
	if n := len(holdings(t, b)); n != 0 {
		t.Errorf("%d connections came back", n)
	}
	if n := len(holdings(t, a)); n != total {
		t.Errorf("%d connections on the other side, want %d", n, total)
	}
	if state := f.daemons[1].State(); state != "synced" {
		t.Errorf("%s after a flush", state)
	}
	f.daemons[1].Resync(t)
	sameTables(t, 10*time.Second, a, b)
}

// expire ends all connections of a director: IPVS has no command for it.
func expire(t testing.TB, d *director.Director) {
	t.Helper()
	device := d.Attach(t, chardev.AttachOptions{Mode: chardev.ModeInject})
	defer device.Close()
	var records []byte
	write := func() {
		if n, err := device.Write(records); err != nil || n != len(records) {
			t.Fatalf("%s: wrote %d bytes of %d: %v", d.Name, n, len(records), err)
		}
		records = records[:0]
	}
	for _, c := range snapshot(t, d, false) {
		c.Age, c.Timeout = 0, 200*time.Millisecond
		c.Flags &= ipvs.FlagBackupMask
		var err error
		if records, err = chardev.AppendRecord(records, &c); err != nil {
			t.Fatal(err)
		}
		if len(records) > chardev.WriteMax/2 {
			write()
		}
	}
	write()
	eventually(t, 5*time.Second, func() bool { return d.Stats(t).ConnCount == 0 }, d.Name+" still has connections")
}
