package vrrp

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

func TestMasterThatStopsWaitsForAnotherOne(t *testing.T) {
	peer := func(s block.State) peering.PeerStatus { return peering.PeerStatus{Proven: true, State: s} }
	lost, unproven := peer(block.StateSynced), peer(block.StateSynced)
	lost.Lost, unproven.Proven = true, false
	type peers = []peering.PeerStatus
	const never = time.Hour
	for _, tt := range []struct {
		name      string
		role      Role
		peers     peers
		until     time.Duration // it is master no more
		want      time.Duration
		unhandled uint64
	}{
		{"a peer takes the addresses", Master, peers{peer(block.StateSynced)}, 3300 * time.Millisecond, 3300 * time.Millisecond, 0},
		{"one of several can", Master, peers{lost, peer(block.StateDegraded)}, 3 * time.Second, 3 * time.Second, 0},
		{"nobody takes them", Master, peers{peer(block.StateSynced)}, never, handOverWithin, 1},
		{"it is backup", Backup, peers{peer(block.StateSynced)}, never, 0, 0},
		{"there is no peer", Master, nil, never, 0, 0},
		{"the peer is lost", Master, peers{lost}, never, 0, 0},
		{"the peer did not prove to be one", Master, peers{unproven}, never, 0, 0},
		{"the peer joins", Master, peers{peer(block.StateJoining)}, never, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, _ := follow(t, &director{status: peering.Status{State: block.StateSynced, Peers: tt.peers}})
				f.mustSet(t, "VI_1", tt.role)
				f.mustSet(t, "VI_2", Backup)
				began := time.Now()
				time.AfterFunc(tt.until, func() { f.mustSet(t, "VI_1", Backup) })
				f.HandOver(t.Context())
				if took := time.Since(began); took < tt.want || took > tt.want+handOverLook {
					t.Errorf("it took %v, want %v", took, tt.want)
				}
				if n := f.counters.Troubles.Value(NotHandedOver); n != tt.unhandled {
					t.Errorf("%d counted as not handed over, want %d", n, tt.unhandled)
				}
			})
		})
	}
}

func TestHandoverOfADirectorThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, d := range []*director{{hangs: true}, {err: errors.New("broken")}} {
			f, _ := follow(t, d)
			f.mustSet(t, "VI_1", Master)
			began := time.Now()
			f.HandOver(t.Context())
			if took := time.Since(began); took > patience {
				t.Errorf("it took %v", took)
			}
		}
	})
}

// A daemon that failed meanwhile has nothing to wait for, or to complain about.
func TestHandoverEndsWithItsDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, log := follow(t, &director{status: peering.Status{Peers: []peering.PeerStatus{{Proven: true, State: block.StateSynced}}}})
		f.mustSet(t, "VI_1", Master)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		f.HandOver(ctx)
		if took := time.Since(began); took != time.Second {
			t.Errorf("it took %v", took)
		}
		if strings.Contains(log.String(), "level=WARN") {
			t.Errorf("log: %s", log)
		}
	})
}
