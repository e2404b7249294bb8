package daemon_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
	d, err := client.Diff(t.Context(), "dir2")
	if err != nil || !d.Equal || d.Here != many || d.There != many || d.Peer.Name != "dir2" {
		t.Fatalf("%+v, %v", d, err)
	}
	// Each has what the other never heard of.
	a.ask(request{Copies: 2, From: 50_000})
	b.ask(request{Copies: 3, From: 60_000})
	d, err = client.Diff(t.Context(), "dir2")
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
	if _, err := client.Diff(t.Context(), "dir3"); err == nil || !strings.Contains(err.Error(), "no such peer") {
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
	f, err := client.FlushCopies(t.Context())
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
	_, compared := client.Diff(t.Context(), "dir2")
	_, flushed := client.FlushCopies(t.Context())
	for _, err := range []error{explained, compared, flushed} {
		if err == nil || !strings.Contains(err.Error(), "only version 2 has it") {
			t.Errorf("%v", err)
		}
	}
}
