package daemon_test

import (
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/admin"
)

// Tables as large as many directors have, while connections come and go.
func TestLargeTablesAreCompared(t *testing.T) {
	t.Parallel()
	many := 100_000
	if raceDetector { // with the detector, the fake device alone takes seconds for so many
		many /= 10
	}
	nsA, nsB := pair(t)
	key := newKey(t)
	socket := filepath.Join(t.TempDir(), "socket")
	a := start2(t, nsA, 1, key, "--admin-socket="+socket, "--test-table="+strconv.Itoa(many))
	b := start2(t, nsB, 2, key)
	a.with(1).synced()
	b.with(1).synced()
	type outcome struct {
		admin.Difference
		err error
	}
	compared := make(chan outcome, 1)
	go func() {
		d, err := admin.NewClient(socket).Diff(t.Context(), admin.DiffRequest{Peer: "dir2"})
		compared <- outcome{d, err}
	}()
	for opened := 0; ; opened += 50 {
		a.ask(request{Queue: 50, From: 200_000 + opened, Open: true, Brief: true})
		select {
		case d := <-compared:
			if d.err != nil || !d.Equal || d.Here < many || d.There < many {
				t.Fatalf("%+v, %v", d.Difference, d.err)
			}
			t.Logf("compared in %v s, while %d came; %d differed at the first look", d.Took, opened, d.Passing)
			a.stop()
			b.stop()
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}
