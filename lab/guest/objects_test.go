package guest

import (
	"net/netip"
	"testing"
	"time"

	synccluster "github.com/ssyncp/ssyncp/internal/cluster"
	"github.com/ssyncp/ssyncp/internal/ipvsclass"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/block/blocktest"
)

// bodyRoom is that of a body in a packet of an Ethernet.
const bodyRoom = 1400

// objects opens the connections of a director as version 2 has them, until the
// end of the test.
func objects(t testing.TB, d *director.Director) *ipvsclass.Objects {
	t.Helper()
	o, err := ipvsclass.Open(ipvsclass.Options{
		Device: func() (ipvsdevice.Device, error) {
			var device ipvsdevice.Device
			err := d.Do(func() (err error) {
				device, err = chardev.Open(chardev.DefaultPath)
				return err
			})
			return device, err
		},
		Counters: ipvsclass.NewCounters(),
	})
	if err != nil {
		t.Fatalf("%s: %v", d.Name, err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

// servicesOf returns the number of a director's services.
func servicesOf(t testing.TB, d *director.Director, o *ipvsclass.Objects) (n uint64) {
	t.Helper()
	if err := d.Do(func() (err error) {
		n, err = o.Services()
		return err
	}); err != nil {
		t.Fatalf("%s: %v", d.Name, err)
	}
	return n
}

// hand applies a body, and returns what it lacked a service for.
func hand(t testing.TB, body []byte, to *ipvsclass.Objects, sequence uint64) (missing int) {
	t.Helper()
	if err := to.Apply(blocktest.Sent(t, body, sequence, 0), 0); err != nil {
		t.Fatal(err)
	}
	if err := to.Flush(); err != nil {
		t.Fatal(err)
	}
	return to.Missing()
}

// What one director tells in version 2 is missing on one without its services,
// which sees them appear; a walk brings it then, whole.
func TestObjectsWaitForTheirServices(t *testing.T) {
	const port = 8000
	c := newQuietCluster(t, 2, 2)
	a, b := c.Directors[0], c.Directors[1]
	serve(t, c.Topology, "tcp", port)
	virtual := netip.AddrPortFrom(topology.Virtual, port)
	service := director.Service{Method: director.NAT, Persistence: time.Hour, Virtual: virtual}
	for _, server := range c.Servers {
		service.Servers = append(service.Servers, netip.AddrPortFrom(server.Address, port))
	}
	a.AddService(t, service)
	from, to := objects(t, a), objects(t, b)
	const streams = 3
	var open []*traffic.Stream
	for range streams {
		open = append(open, visit(t, c, virtual))
	}
	const all = streams + 1 // a template

	out := synccluster.NewOutbox(bodyRoom)
	if r, err := from.News(out); err != nil || r.Entries != all || r.Lost || r.Pause != nil || out.Len() != 1 {
		t.Fatalf("news of %+v, %d bodies, %v; want %d entries in one", r, out.Len(), err, all)
	}
	if n := hand(t, out.Next(1)[0], to, 1); n != all {
		t.Errorf("%d entries are missing without their service, want %d", n, all)
	}
	none := servicesOf(t, b, to)
	if n := servicesOf(t, b, to); n != none {
		t.Errorf("services: %x, then %x", none, n)
	}
	b.AddService(t, service)
	some := servicesOf(t, b, to)
	if some == none {
		t.Error("nothing says that there is a service now")
	}
	for _, s := range open {
		exchange(t, s) // is counted, and no news
	}
	b.IPVSAdm(t, "--edit-server", "--tcp-service", virtual.String(), "--real-server", service.Servers[0].String(), "--masquerading", "--weight", "0")
	if n := servicesOf(t, b, to); n != some {
		t.Error("a weight passes for a service")
	}
	service.Virtual = netip.AddrPortFrom(topology.Virtual, port+1)
	b.AddService(t, service)
	if n := servicesOf(t, b, to); n == some {
		t.Error("nothing says that there is one more service")
	}

	walk, err := from.Walk(synccluster.Owned)
	if err != nil {
		t.Fatal(err)
	}
	defer walk.Close()
	body, more, err := walk.Read(make([]byte, block.HeaderSize), bodyRoom)
	if err != nil || more {
		t.Fatalf("a walk over %d entries in one part: more %v, %v", all, more, err)
	}
	if n := hand(t, body, to, 2); n != 0 {
		t.Errorf("%d entries are missing with their service", n)
	}
	if pairs := compare(t, a, b); len(pairs) != all {
		t.Errorf("%d copies, want %d", len(pairs), all)
	}
	if n := from.Entries(); n != all {
		t.Errorf("%s: %d entries, want %d", a.Name, n, all)
	}
	// By default a half-closed connection has a minute.
	if sweep, err := from.SweepEvery(); err != nil || sweep != 7500*time.Millisecond {
		t.Errorf("a sweep every %v, %v; want 7.5s", sweep, err)
	}
}
