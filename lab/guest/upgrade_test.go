package guest

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/keyring"
	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/traffic"
)

// inOrders runs a test for each order in which a pair of directors is upgraded. As
// each step ends in a failover, it is always the active one's turn, or the other
// one's.
func inOrders(t *testing.T, of func(t *testing.T, order []int)) {
	t.Run("each while it is active", func(t *testing.T) { of(t, []int{1, 0}) })
	if inFull() {
		t.Run("each while it is not", func(t *testing.T) { of(t, []int{0, 1}) })
	}
}

// A rolling is a pair of directors that something is done to, one after the
// other, while streams go through them.
type rolling struct {
	*fleet
	virtual netip.AddrPort
	active  int
	streams []*traffic.Stream
}

func newRolling(t *testing.T) *rolling {
	const port = 8000
	r := &rolling{fleet: newFleet(t, 2, 2)}
	serve(t, r.Topology, "tcp", port)
	r.virtual = r.AddService(t, director.Service{Method: director.NAT}, port)
	return r
}

// step opens a few streams more, and has the other director go on with all that
// there are as soon as it has copies.
func (r *rolling) step(t testing.TB, after string) {
	t.Helper()
	const more = 5
	open, err := traffic.Client{Namespace: r.Client}.OpenMany(more, 0, r.virtual)
	if err != nil {
		t.Fatalf("%s: %v", after, err)
	}
	t.Cleanup(func() { traffic.CloseAll(open) })
	r.streams = append(r.streams, open...)
	r.exchange(t, after+", before the failover")

	other := r.Directors[1-r.active]
	missing := 0
	eventually(t, 15*time.Second, func() bool {
		missing = 0
		known := other.ByClient(t)
		for _, s := range r.streams {
			if known[s.Local()].State != "ESTABLISHED" {
				missing++
			}
		}
		return missing == 0
	}, after+": the other director does not have all streams")
	if missing > 0 {
		t.Fatalf("%s: %s lacks %d of %d streams", after, other.Name, missing, len(r.streams))
	}
	r.active = 1 - r.active
	r.Activate(t, other)
	r.exchange(t, after+", after the failover")
}

func (r *rolling) exchange(t testing.TB, when string) {
	t.Helper()
	if lost := traffic.Exchange(r.streams, crowdPatience); len(lost.Lost) > 0 {
		t.Fatalf("%s: %d of %d streams lost: %v", when, len(lost.Lost), len(r.streams), lost.Errors[0])
	}
}

// alive does something while all streams go on.
func (r *rolling) alive(t testing.TB, do func()) {
	t.Helper()
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-quit:
				return
			case <-time.After(director.DefaultPeriod):
			}
			if lost := traffic.Exchange(r.streams, crowdPatience); len(lost.Lost) > 0 {
				t.Errorf("%d of %d streams lost meanwhile: %v", len(lost.Lost), len(r.streams), lost.Errors[0])
				return
			}
		}
	}()
	defer func() {
		close(quit)
		<-ended
	}()
	do()
}

// restart stops a director's daemon in order and starts another one.
func (r *rolling) restart(t testing.TB, i int, c director.Config) {
	t.Helper()
	r.alive(t, func() {
		if r.daemons[i] != nil {
			r.daemons[i].Stop(t)
		}
		r.daemons[i] = r.Directors[i].StartDaemon(t, c)
	})
}

// From version 1 to version 2: each director speaks both, then each one only the
// new one.
func TestRollingUpgradeToVersion2(t *testing.T) {
	inOrders(t, func(t *testing.T, order []int) {
		r := newRolling(t)
		for _, i := range order {
			r.restart(t, i, director.Config{Version: 1})
		}
		r.step(t, "version 1")
		both := director.Config{Wire: fmt.Sprintf("dual_until = %s\n", time.Now().Add(time.Hour).UTC().Format(time.RFC3339))}
		for _, i := range order {
			r.restart(t, i, both)
			// What a peer says before, nobody hears, nor says it again.
			log := r.daemons[i].Log
			eventually(t, 10*time.Second, func() bool { return link1.MatchString(log()) }, "version 1 is not spoken")
			r.step(t, r.Directors[i].Name+" speaks both versions")
		}
		for _, i := range order {
			r.becomes(t, i, "synced")
			r.restart(t, i, director.Config{})
			r.step(t, r.Directors[i].Name+" speaks version 2")
		}
		for i := range r.daemons {
			r.becomes(t, i, "synced")
		}
		r.step(t, "version 2")
	})
}

// From one key to another: in three steps, each of them on all directors before
// the next, by reloading.
func TestKeyRotation(t *testing.T) {
	inOrders(t, func(t *testing.T, order []int) {
		r := newRolling(t)
		r.joinAll(t)
		r.step(t, "the old key")
		fresh := filepath.Join(t.TempDir(), "key")
		if _, err := keyring.Create(fresh); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct{ what, seals, accepted string }{
			{"accepts the new key", director.KeyFile, fresh},
			{"sends with the new key", fresh, director.KeyFile},
			{"has the new key alone", fresh, ""},
		} {
			for _, i := range order {
				r.reload(t, i, director.Config{Extra: fmt.Sprintf("[wire]\nkey_file = %q\nkey_file_accepted = %q\n", step.seals, step.accepted)})
				r.step(t, r.Directors[i].Name+" "+step.what)
			}
		}
		for i, daemon := range r.daemons {
			counts := daemon.Counters(t)
			for _, refused := range []string{"cluster_refused.key", "cluster_refused.seal", "peering_trouble.lost_peers"} {
				if counts[refused] != 0 {
					t.Errorf("%s: %s: %d", r.Directors[i].Name, refused, counts[refused])
				}
			}
		}
	})
}

// link1 is how a daemon says that it listens to version 1.
var link1 = regexp.MustCompile(`msg="link is open".* version=1\n`)

func (r *rolling) reload(t testing.TB, i int, c director.Config) {
	t.Helper()
	said := strings.Count(r.daemons[i].Log(), "configuration reloaded")
	r.alive(t, func() {
		r.daemons[i].Reload(t, c.Text())
		eventually(t, 10*time.Second, func() bool { return strings.Count(r.daemons[i].Log(), "configuration reloaded") > said },
			"the configuration is not reloaded")
	})
}

// From the in-kernel sync daemon: ssyncpd starts on each director beside it, then
// the masters stop, then the backups.
func TestRollingUpgradeFromTheInKernelDaemon(t *testing.T) {
	inOrders(t, func(t *testing.T, order []int) {
		r := newRolling(t)
		for _, i := range order {
			for _, state := range []string{"master", "backup"} {
				r.Directors[i].IPVSAdm(t, "--start-daemon", state, "--mcast-interface", director.SyncLink)
			}
		}
		r.step(t, "in-kernel daemons")
		for _, i := range order {
			r.alive(t, func() { r.join(t, i) })
			r.step(t, r.Directors[i].Name+" runs ssyncpd beside the in-kernel daemons")
		}
		for _, state := range []string{"master", "backup"} {
			for _, i := range order {
				r.alive(t, func() { r.Directors[i].IPVSAdm(t, "--stop-daemon", state) })
				r.step(t, r.Directors[i].Name+" has no in-kernel "+state)
			}
		}
		for i := range r.daemons {
			r.becomes(t, i, "synced")
		}
	})
}
