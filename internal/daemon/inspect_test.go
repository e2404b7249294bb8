package daemon_test

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/admin"
	differences "github.com/ssyncp/ssyncp/internal/inspect"
)

// inspected are two synced directors, of which the first one's operator asks.
func inspected(t *testing.T, args ...string) (a, b *director, client *admin.Client) {
	t.Helper()
	nsA, nsB := pair(t)
	key := newKey(t)
	socket := filepath.Join(t.TempDir(), "socket")
	a = start2(t, nsA, 1, key, append([]string{"--admin-socket=" + socket}, args...)...)
	b = start2(t, nsB, 2, key, args...)
	a.with(1).synced()
	b.with(1).synced()
	return a, b, admin.NewClient(socket)
}

func TestAnOperatorAsksWhereAConnectionIs(t *testing.T) {
	t.Parallel()
	a, b, client := inspected(t)
	a.ask(request{Queue: 3, Open: true})
	b.holds(clients(0, 3))
	e, err := client.Explain(t.Context(), admin.ExplainRequest{Client: clients(1, 1)[0], Protocol: "tcp"})
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Here.Connections) != 1 || len(e.Peers) != 1 || e.Peers[0].Name != "dir2" || len(e.Peers[0].Connections) != 1 {
		t.Fatalf("got %+v", e)
	}
	here, there := e.Here.Connections[0], e.Peers[0].Connections[0]
	if !here.Owned || here.Client != clients(1, 1)[0] || here.State != "ESTABLISHED" || here.Virtual != "203.0.113.1:80" {
		t.Errorf("here %+v", here)
	}
	if there.Owned || there.Dest != here.Dest || !slices.Equal(there.Owners, []string{"dir1"}) {
		t.Errorf("there %+v", there)
	}
	for _, other := range []admin.ExplainRequest{
		{Client: clients(1, 1)[0], Protocol: "udp"}, {Client: clients(1, 1)[0], Virtual: "203.0.113.1:81"}, {Client: clients(7, 1)[0]},
	} {
		e, err := client.Explain(t.Context(), other)
		if err != nil || len(e.Here.Connections)+len(e.Peers[0].Connections) != 0 || e.Peers[0].Silent || e.Peers[0].Failed {
			t.Errorf("%+v: %+v, %v", other, e, err)
		}
	}
}

// Before it is asked about tables a peer may be stopped, or older.
func TestAPeerThatDoesNotAnswerIsNamed(t *testing.T) {
	t.Parallel()
	a, b, client := inspected(t)
	a.ask(request{Queue: 1, Open: true})
	b.holds(clients(0, 1))
	b.process.Process.Kill()
	<-b.ended
	e, err := client.Explain(t.Context(), admin.ExplainRequest{Client: clients(0, 1)[0]})
	if err != nil || len(e.Here.Connections) != 1 || len(e.Peers) != 1 || !e.Peers[0].Silent || e.Peers[0].Name != "dir2" {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestAnOperatorComparesTables(t *testing.T) {
	t.Parallel()
	const many = 2000
	a, b, client := inspected(t)
	a.ask(request{Queue: many, Open: true, Brief: true})
	b.holds(clients(0, many))
	d, err := client.Diff(t.Context(), admin.DiffRequest{Peer: "dir2"})
	if err != nil || !d.Equal || d.Here != many || d.There != many || d.Peer.Name != "dir2" {
		t.Fatalf("%+v, %v", d, err)
	}
	// Each has what the other never heard of.
	a.ask(request{Copies: 2, From: 50_000})
	b.ask(request{Copies: 3, From: 60_000})
	d, err = client.Diff(t.Context(), admin.DiffRequest{Peer: "dir2"})
	if err != nil {
		t.Fatal(err)
	}
	if d.Equal || d.Differing != 5 || d.Kinds[differences.MissingThere] != 2 || d.Kinds[differences.MissingHere] != 3 || len(d.Connections) != 5 {
		t.Errorf("%+v", d)
	}
	for _, c := range d.Connections {
		if (c.Here == nil) == (c.There == nil) {
			t.Errorf("%+v", c)
		}
	}
	if _, err := client.Diff(t.Context(), admin.DiffRequest{Peer: "dir3"}); err == nil || !strings.Contains(err.Error(), "no such peer") {
		t.Errorf("a stranger: %v", err)
	}
	// Nothing of it was applied.
	if got := a.ask(request{}).Written; len(got) != 0 {
		t.Errorf("%d connections were written", len(got))
	}
}

func TestAnOperatorFlushesCopies(t *testing.T) {
	t.Parallel()
	a, b, client := inspected(t)
	a.ask(request{Queue: 10, Open: true})
	b.holds(clients(0, 10))
	a.ask(request{Copies: 5, From: 50_000})
	before := len(a.ask(request{}).Written)
	f, err := client.FlushCopies(t.Context(), "")
	if err != nil || f.Copies != 5 || f.Expired != 5 || len(f.Refused) != 0 {
		t.Errorf("%+v, %v", f, err)
	}
	if got := a.ask(request{}).Written[before:]; !slices.Equal(got, clients(50_000, 5)) {
		t.Errorf("told to end: %v", got)
	}
	a.logs("copies were flushed")
}

func TestVersion1CannotBeAskedAboutConnections(t *testing.T) {
	t.Parallel()
	ns, _ := pair(t)
	socket := filepath.Join(t.TempDir(), "socket")
	start(t, ns, "--admin-socket="+socket).started()
	client := admin.NewClient(socket)
	_, explained := client.Explain(t.Context(), admin.ExplainRequest{Client: "10.0.0.1:5"})
	_, compared := client.Diff(t.Context(), admin.DiffRequest{Peer: "dir2"})
	_, flushed := client.FlushCopies(t.Context(), "")
	for _, err := range []error{explained, compared, flushed} {
		if err == nil || !strings.Contains(err.Error(), "only version 2 has it") {
			t.Errorf("%v", err)
		}
	}
}

// bothCarried are two firewalls that carry conntrack entries, of which the first
// one's operator asks, and so many streams through the first one.
func bothCarried(t *testing.T, n int) (f *firewalls, d [2]*director, clients [2]*admin.Client, streams []net.Conn) {
	t.Helper()
	f = newFirewalls(t)
	key := newKey(t)
	for i, ns := range f.ways {
		socket := filepath.Join(t.TempDir(), "socket")
		d[i] = start2(t, ns, i+1, key, "--conntrack-enabled=true", "--admin-socket="+socket)
		clients[i] = admin.NewClient(socket)
	}
	for i := range d {
		d[i].with(1).synced()
	}
	f.echo(t)
	streams = f.streams(t, n)
	eventually(t, "all connections at the peer", func() bool { return tracked(t, f.ways[1], "ESTABLISHED") == n })
	return f, d, clients, streams
}

// Entries of the kernel's own are compared, found at both, dropped where they
// are copies, and come back; the streams go on all the while.
func TestAnOperatorAsksAboutConntrackEntries(t *testing.T) {
	const n = 200
	f, d, clients, streams := bothCarried(t, n)
	compare := func() admin.Difference {
		t.Helper()
		got, err := clients[0].Diff(t.Context(), admin.DiffRequest{Peer: "dir2", Class: "conntrack"})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := compare(); !got.Equal || got.Here < n || got.There < n || got.Class != "conntrack" {
		t.Errorf("before: %+v", got)
	}
	if got, err := clients[0].Diff(t.Context(), admin.DiffRequest{Peer: "dir2"}); err != nil || !got.Equal || got.Here != 0 || got.Class != "ipvs" {
		t.Errorf("of IPVS: %+v, %v", got, err)
	}
	if s, err := clients[0].Status(t.Context()); err != nil || !slices.Equal(s.Classes, []string{"ipvs", "conntrack"}) {
		t.Errorf("status: %v, %v", s.Classes, err)
	}

	where := func(i int) (here, there *differences.Entries) {
		t.Helper()
		e, err := clients[i].Explain(t.Context(), admin.ExplainRequest{Client: streams[0].LocalAddr().String(), Protocol: "tcp"})
		if err != nil || e.Here.Conntrack == nil || len(e.Peers) != 1 || e.Peers[0].Conntrack == nil {
			t.Fatalf("%+v, %v", e, err)
		}
		return e.Here.Conntrack, e.Peers[0].Conntrack
	}
	for i, name := range []string{"the first one", "the second one"} {
		here, there := where(i)
		if i == 1 {
			here, there = there, here
		}
		if len(here.Entries) != 1 || len(there.Entries) != 1 {
			t.Fatalf("%s says %+v and %+v", name, here, there)
		}
		own, other := here.Entries[0], there.Entries[0]
		if !own.Owned || !own.Told || other.Owned || !slices.Equal(other.Owners, []string{"dir1"}) {
			t.Errorf("%s says %+v and %+v", name, own, other)
		}
		if own.State != "ESTABLISHED" || other.State != own.State || other.Reply != own.Reply || !strings.HasPrefix(own.Reply.Destination, natAddress) {
			t.Errorf("%s says %+v and %+v", name, own, other)
		}
	}

	if done, err := clients[0].FlushCopies(t.Context(), "conntrack"); err != nil || done.Copies != 0 {
		t.Errorf("where everything is its own: %+v, %v", done, err)
	}
	done, err := clients[1].FlushCopies(t.Context(), "conntrack")
	if err != nil || done.Expired < n || done.Copies != done.Expired {
		t.Errorf("where all are copies: %+v, %v", done, err)
	}
	if left := tracked(t, f.ways[1], "ESTABLISHED"); left != 0 {
		t.Errorf("%d copies are left", left)
	}
	d[1].logs("copies were flushed", "class=conntrack")
	time.Sleep(300 * time.Millisecond)
	if own := tracked(t, f.ways[0], "ESTABLISHED"); own != n {
		t.Errorf("their owner has %d of %d left", own, n)
	}
	if got := compare(); got.Equal || got.Kinds[differences.MissingThere] < n || len(got.Entries) < n || got.Entries[0].There != nil {
		t.Errorf("behind the flush: %d differ, %v", got.Differing, got.Kinds)
	}
	if alive := survivors(streams, patience); alive != n {
		t.Errorf("%d of %d streams live", alive, n)
	}
	if _, err := clients[1].Resync(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all connections at the peer again", func() bool { return tracked(t, f.ways[1], "ESTABLISHED") == n })
	if got := compare(); !got.Equal {
		t.Errorf("told again: %+v", got)
	}
}

// A peer that carries no entries is not one that has lost them all.
func TestAPeerWithoutConntrackEntriesIsNotComparedWith(t *testing.T) {
	nsA, nsB := pair(t)
	key := newKey(t)
	socket := filepath.Join(t.TempDir(), "socket")
	a := start2(t, nsA, 1, key, "--conntrack-enabled=true", "--admin-socket="+socket)
	b := start2(t, nsB, 2, key)
	a.with(1).synced()
	b.with(1).synced()
	client := admin.NewClient(socket)
	s, err := client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(s.Classes, "conntrack") {
		t.Skip("conntrack entries cannot be carried here")
	}
	if _, err := client.Diff(t.Context(), admin.DiffRequest{Peer: "dir2", Class: "conntrack"}); err == nil || !strings.Contains(err.Error(), "the peer does not carry conntrack entries") {
		t.Errorf("%v", err)
	}
	e, err := client.Explain(t.Context(), admin.ExplainRequest{Client: "10.0.0.1:5"})
	if err != nil || !e.Peers[0].Conntrack.Failed || e.Peers[0].Failed {
		t.Errorf("%+v, %v", e, err)
	}
}
