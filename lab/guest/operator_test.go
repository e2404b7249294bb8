package guest

import (
	"slices"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/inspect"
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

	flush := func(i, copies int) {
		t.Helper()
		var done inspect.Flushed
		if code := f.daemons[i].Operator(t, &done, "flush", "--copies"); code != 0 || done.Copies != copies || done.Expired != copies {
			t.Errorf("%s: flush exits with %d: %+v, want %d copies", f.Directors[i].Name, code, done, copies)
		}
	}
	flush(0, 0)
	flush(1, total)
	eventually(t, 5*time.Second, func() bool { return b.Stats(t).ConnCount == 0 }, "copies are left")
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
