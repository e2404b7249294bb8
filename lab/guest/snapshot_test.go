package guest

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// A table large enough for many chunks of a snapshot.
const manyConns = 20000

// fill injects many connections, which live as long as the test.
func (in *injection) fill(t testing.TB, n int) map[ipvs.Key]bool {
	t.Helper()
	keys := make(map[ipvs.Key]bool, n)
	var records []byte
	write := func() {
		if _, err := in.device.Write(records); err != nil {
			t.Fatal(err)
		}
		records = records[:0]
	}
	for i := range n {
		c := in.established(natPort, ipvs.Masquerade)
		c.Client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 8, byte(i >> 8), byte(i)}), uint16(1024+i>>16))
		keys[c.Key()] = true
		var err error
		if records, err = chardev.AppendRecord(records, &c); err != nil {
			t.Fatal(err)
		}
		if len(records) > chardev.WriteMax/2 {
			write()
		}
	}
	write()
	if got := in.Stats(t).Counters[chardev.CounterCreated]; got != uint64(n) {
		t.Fatalf("%d created, want %d", got, n)
	}
	return keys
}

// While other connections come and go, a snapshot has every connection that was
// there all the time, once.
func TestSnapshotUnderChurn(t *testing.T) {
	in := newInjection(t)
	want := in.fill(t, manyConns)
	serve(t, in.lab, "tcp", natPort)
	churn := traffic.Client{Namespace: in.lab.Client}.Churn(200, netip.AddrPortFrom(topology.Virtual, natPort))
	time.Sleep(500 * time.Millisecond)

	for round := range 3 {
		seen := make(map[ipvs.Key]int, manyConns)
		device := in.Attach(t, chardev.AttachOptions{Mode: chardev.ModeSnapshot})
		// A small buffer: as many stops in the walk as there can be.
		batch := chardev.NewBatch(chardev.ReadMin)
		for c, err := range chardev.Snapshot(t.Context(), device, batch) {
			if err != nil {
				t.Fatal(err)
			}
			seen[c.Key()]++
		}
		device.Close()
		missing, twice := 0, 0
		for key := range want {
			switch seen[key] {
			case 0:
				missing++
			case 1:
			default:
				twice++
			}
		}
		if missing != 0 || twice != 0 {
			t.Errorf("round %d: %d missing, %d twice, of %d", round, missing, twice, len(want))
		}
	}
	if opened, failed := churn.Stop(); opened < 100 || failed > 0 {
		t.Errorf("churn: %d opened, %d failed", opened, failed)
	}
	if restarts := counter(t, in.Director, chardev.CounterSnapshotRestarts); restarts != 0 {
		t.Logf("%d restarts", restarts)
	}
}

// A snapshot of what this director owns leaves its copies out, and what it had
// is known from then on.
func TestSnapshotOfWhatIsOwned(t *testing.T) {
	in := newInjection(t)
	in.fill(t, 100)
	serve(t, in.lab, "tcp", natPort)
	client := traffic.Client{Namespace: in.lab.Client}
	before := open(t, client, netip.AddrPortFrom(topology.Virtual, natPort)) // nobody captures: older than any reader

	if got := snapshot(t, in.Director, false); !slices.ContainsFunc(got, func(c ipvs.Conn) bool { return c.Client == before.Local() && c.Advert == 0 }) {
		t.Errorf("of what nobody was told, that is not said: %v", got)
	}
	owned := snapshot(t, in.Director, true)
	if len(owned) != 1 || owned[0].Client != before.Local() {
		t.Fatalf("owned: %v, want %v alone", owned, before.Local())
	}
	got := in.mustKnow(t, owned[0].Key())
	if got.Marks&ipvs.MarkKnown == 0 {
		t.Error("it is not known from then on")
	}
	// What was told is its last packet; and a record that is to be sent does
	// not say so.
	if apart := (got.Advert - got.Age).Abs(); got.Advert == 0 || apart > 50*time.Millisecond || owned[0].Advert != 0 {
		t.Errorf("its last packet was %v ago, and that which peers were told of %v ago; as it is told, %v", got.Age, got.Advert, owned[0].Advert)
	}
	reader := capture(t, in.Director)
	before.Close()
	time.Sleep(100 * time.Millisecond)
	news := readNews(t, reader)
	if len(news) != 1 || news[0].State != ipvs.TCPTimeWait {
		t.Errorf("told %v, want its end", news)
	}
}

// A snapshot shows one namespace.
func TestSnapshotOfOneNamespace(t *testing.T) {
	director.LoadModule(t)
	lab := topology.New(t, 2, 1)
	service := lab.AddService(t, director.Service{Method: director.NAT}, 80)
	serve(t, lab, "tcp", 80)
	stream := open(t, traffic.Client{Namespace: lab.Client}, service)
	if a := snapshot(t, lab.Directors[0], false); len(a) != 1 || a[0].Client != stream.Local() {
		t.Errorf("director A: %v", a)
	}
	if b := snapshot(t, lab.Directors[1], false); len(b) != 0 {
		t.Errorf("director B: %v", b)
	}
}
