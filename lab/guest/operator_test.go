package guest

import (
	"slices"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/inspect"
	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// An operator compares two directors, asks where a connection is, drops the
// copies of one, sees that they are gone, and has them back.
func TestOperatorsAskAboutConnections(t *testing.T) {
	const many = 1000
	f := newFleet(t, 2, 1)
	a, b := f.Directors[0], f.Directors[1]
	f.joinAll(t)
	began := time.Now()
	service := f.flooded(t, 8000)
	f.segments(t, traffic.ACK, service.Virtual, many, halves[0])
	nearly(t, sameTables(t, 10*time.Second, a, b), many)
	sticky := service
	sticky.Persistence = persistence
	sticky.Virtual = f.AddService(t, sticky, 8001)
	f.segments(t, traffic.ACK, sticky.Virtual, 100, halves[0])
	total := sameTables(t, 10*time.Second, a, b)

	compare := func(code int) (d admin.Difference) {
		t.Helper()
		if got := f.daemons[0].Operator(t, &d, "diff", b.Name); got != code {
			t.Errorf("diff exits with %d, want %d: %+v", got, code, d)
		}
		return d
	}
	if d := compare(0); !d.Equal || d.Here != total || d.There != total {
		t.Errorf("before: %+v", d)
	}

	var e admin.Explanation
	all := snapshot(t, a, false)
	if !slices.ContainsFunc(all, func(c ipvs.Conn) bool { return c.Template() }) {
		t.Error("there are no templates")
	}
	c := all[slices.IndexFunc(all, func(c ipvs.Conn) bool { return !c.Template() })]
	if code := f.daemons[0].Operator(t, &e, "explain", c.Client.String(), "--virtual", c.Virtual.String()); code != 0 || len(e.Here.Connections) != 1 ||
		len(e.Peers) != 1 || len(e.Peers[0].Connections) != 1 {
		t.Fatalf("exits with %d: %+v", code, e)
	}
	here, there := e.Here.Connections[0], e.Peers[0].Connections[0]
	if !here.Owned || !here.Told || !here.Bound || there.Owned || !there.Bound || !slices.Equal(there.Owners, []string{a.Name}) {
		t.Errorf("here %+v, there %+v", here, there)
	}
	if here.State != there.State || here.Dest != there.Dest || there.RemainingMS > here.RemainingMS+2000 {
		t.Errorf("here %+v, there %+v", here, there)
	}

	// When peers were told of it last is known at both ends.
	elapsed := time.Since(began).Milliseconds()
	for name, ago := range map[string]*int64{"its owner": here.LastAdvertMS, "the copy": there.LastAdvertMS} {
		if ago == nil || *ago < 1 || *ago > elapsed {
			t.Errorf("%s was told %v ago, all began %d ms ago", name, ago, elapsed)
		}
	}
	// It came behind the packet that it tells of.
	if here.LastAdvertMS != nil && there.LastAdvertMS != nil && *there.LastAdvertMS > *here.LastAdvertMS+1000 {
		t.Errorf("told of a packet of %d ms ago, and heard of %d ms ago", *here.LastAdvertMS, *there.LastAdvertMS)
	}

	flush := func(i, copies int) {
		t.Helper()
		var done inspect.Flushed
		if code := f.daemons[i].Operator(t, &done, "flush", "--copies"); code != 0 || done.Copies != copies || done.Expired != copies {
			t.Errorf("%s: flush exits with %d: %+v, want %d copies", f.Directors[i].Name, code, done, copies)
		}
	}
	flush(0, 0)
	flush(1, total)
	// IPVS puts off for a minute what somebody looks at in that moment.
	eventually(t, 90*time.Second, func() bool { return b.Stats(t).ConnCount == 0 }, "copies are left")
	if n := len(holdings(t, a)); n != total {
		t.Errorf("%d connections at their owner, want %d", n, total)
	}
	if d := compare(1); d.Equal || d.Kinds[inspect.MissingThere] != total || d.Differing != total {
		t.Errorf("after a flush: %+v", d)
	}
	f.daemons[1].Resync(t)
	sameTables(t, 10*time.Second, a, b)
	compare(0)
}

// Connections through IPVS that netfilter tracks, too: an operator finds them in
// both classes, compares both, and drops the copies of one; the other one stays,
// and so do the streams, through a failover behind that.
func TestOperatorsAskAboutBothClasses(t *testing.T) {
	const (
		port    = 8000
		streams = 21
	)
	c := newClusterOf(t, 2, 1, director.Config{Extra: carryConntrack})
	a, b := c.Directors[0], c.Directors[1]
	for _, d := range c.Directors {
		guard(t, d, statefulFirewall)
		d.Set(t, "conntrack", "1")
		if err := d.Sysctl("netfilter.nf_conntrack_tcp_loose", "0"); err != nil {
			t.Fatal(err)
		}
	}
	c.synced(t)
	serve(t, c.Topology, "tcp", port)
	virtual := c.AddService(t, director.Service{Method: director.NAT}, port)
	open, err := traffic.Client{Namespace: c.Client, Network: "tcp"}.OpenMany(streams, 0, virtual)
	if err != nil {
		t.Fatal(err)
	}
	defer traffic.CloseAll(open)
	if r := traffic.Exchange(open, crowdPatience); len(r.Lost) > 0 {
		t.Fatalf("through director A: %v", r.Errors[0])
	}
	mirrored(t, a, b, open...)

	compare := func(class string) (d admin.Difference, code int) {
		t.Helper()
		code = c.daemons[0].Operator(t, &d, "diff", b.Name, "--class", class)
		if d.Class != class {
			t.Errorf("compared %q, not %q", d.Class, class)
		}
		return d, code
	}
	alike := func() {
		t.Helper()
		for _, class := range []string{"ipvs", "conntrack"} {
			if d, code := compare(class); code != 0 || !d.Equal || d.Here < streams || d.There < streams {
				t.Errorf("%s: diff exits with %d: %+v", class, code, d)
			}
		}
	}
	alike()

	var e admin.Explanation
	client := open[0].Local().String()
	if code := c.daemons[1].Operator(t, &e, "explain", client, "--virtual", virtual.String()); code != 0 || len(e.Peers) != 1 || e.Here.Conntrack == nil {
		t.Fatalf("explain exits with %d: %+v", code, e)
	}
	for name, p := range map[string]admin.Place{"here": e.Here, "there": e.Peers[0]} {
		if len(p.Connections) != 1 || p.Conntrack == nil || len(p.Conntrack.Entries) != 1 {
			t.Fatalf("%s: %+v, %+v", name, p.Connections, p.Conntrack)
		}
	}
	own, copied := e.Peers[0].Conntrack.Entries[0], e.Here.Conntrack.Entries[0]
	if !own.Owned || copied.Owned || !slices.Equal(copied.Owners, []string{a.Name}) || copied.LastAdvertMS == nil {
		t.Errorf("the entry here %+v, there %+v", copied, own)
	}
	// IPVS's translation is in both.
	if there := e.Peers[0].Connections[0]; own.Original.Source != there.Client || own.Original.Destination != there.Virtual || own.Reply.Source != there.Dest || copied.Reply != own.Reply {
		t.Errorf("the connection %+v, its entry %+v, the copy %+v", there, own, copied)
	}

	var done inspect.Flushed
	if code := c.daemons[1].Operator(t, &done, "flush", "--copies", "--class", "conntrack"); code != 0 || done.Expired < streams || len(done.Refused) != 0 {
		t.Errorf("flush exits with %d: %+v", code, done)
	}
	if d, code := compare("conntrack"); code != 1 || d.Kinds[inspect.MissingThere] < streams || d.Kinds[inspect.MissingHere] != 0 {
		t.Errorf("behind the flush, diff exits with %d: %+v", code, d.Kinds)
	}
	if d, code := compare("ipvs"); code != 0 || !d.Equal {
		t.Errorf("IPVS's, which was not flushed, diff exits with %d: %+v", code, d)
	}
	if r := traffic.Exchange(open, crowdPatience); len(r.Lost) > 0 {
		t.Errorf("the flush at director B ended %d streams through director A", len(r.Lost))
	}
	c.daemons[1].Resync(t)
	eventually(t, 10*time.Second, func() bool { d, _ := compare("conntrack"); return d.Equal }, "the entries did not come back")
	alike()

	c.failOver(t, 0, 1)
	r := traffic.Exchange(open, crowdPatience)
	for _, err := range r.Errors {
		t.Error(err)
	}
	if dropped := invalidPackets(t, b); dropped != 0 {
		t.Errorf("director B's firewall dropped %d packets", dropped)
	}
}
