package peering

import (
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// The daemon is restarted; connections changed meanwhile.
func TestARestartedDaemonTellsWhatChangedMeanwhile(t *testing.T) {
	seeds(t, 3, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, 3)
		w.loss = 0.05
		w.startAll()
		w.run(12*time.Second, w.synced)
		w.churn(2*time.Second, 100, 1000, w.hosts...)
		w.run(2 * time.Second)
		h := w.hosts[1]
		h.stop()
		for range 100 {
			h.update(uint32(h.index)<<24 | w.rng.Uint32N(1000))
		}
		h.dirty = nil
		w.churn(time.Second, 50, 1000, w.hosts[0], w.hosts[2])
		h.start()
		w.run(12*time.Second, w.synced)
		w.run(5 * time.Second)
		w.wantEqual()
		for _, h := range w.hosts {
			if h.happened(TwinPeers)+h.happened(TwinOfOurs) > 0 {
				t.Errorf("host %d takes a restart for a clone", h.index)
			}
		}
	})
}

// The start that ended is not counted on any longer than it takes to know.
func TestARestartIsKnownAsOne(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.startAll()
	w.run(12*time.Second, w.synced)
	w.hosts[1].stop()
	w.run(500 * time.Millisecond)
	w.hosts[1].start()
	w.run(2500 * time.Millisecond)
	h := w.hosts[0]
	if h.happened(PeerRestarted) != 1 || h.happened(PeerLost) != 0 {
		t.Errorf("restarted %d times, lost %d times, want once and never", h.happened(PeerRestarted), h.happened(PeerLost))
	}
}

// News of a service that is not here makes a director degraded, too.
func TestNewsWithoutAServiceMakesADirectorDegraded(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.startAll()
	w.run(12*time.Second, w.synced)
	h := w.hosts[0]
	h.lacks = func(uint32) bool { return true }
	w.hosts[1].update(1)
	w.run(2 * time.Second)
	if s := h.node.Status(); s.State != block.StateDegraded || s.Missing != 1 {
		t.Errorf("%v, %d missing", s.State, s.Missing)
	}
	h.lacks = nil
	h.node.ServicesAppeared(w.now)
	w.run(2 * time.Second)
	if s := h.node.State(); s != block.StateSynced {
		t.Errorf("%v with all services", s)
	}
	w.wantEqual()
}

// What was refused a moment before the services appeared comes with the snapshot
// that is taken then. It must not count as missing behind it: nobody would ask
// for it again.
func TestNewsRefusedJustBeforeServicesAppearedIsNotMissingBehindTheirSnapshot(t *testing.T) {
	seeds(t, 20, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, 3)
		w.startAll()
		w.run(12*time.Second, w.synced)
		h := w.hosts[0]
		h.lacks = func(uint32) bool { return true }
		// Longer than heartbeats are apart, to whatever moment between two.
		w.churn(2*time.Second+time.Duration(w.rng.Int64N(int64(2*time.Second))), 100, 1000, w.hosts[1:]...)
		h.lacks = nil
		h.node.ServicesAppeared(w.now)
		w.run(5 * time.Second)
		if s := h.node.Status(); s.State != block.StateSynced {
			t.Errorf("%v with all services, %d missing", s.State, s.Missing)
		}
		w.wantEqual()
	})
}

// It is not alone any more when it has what its first peer owns.
func TestADirectorInCompanyIsNotSyncedAlone(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.hosts[0].start()
	w.run(12*time.Second, w.synced)
	if s := w.hosts[0].node.State(); s != block.StateSyncedAlone {
		t.Errorf("%v without peers", s)
	}
	w.hosts[1].start()
	w.run(12*time.Second, w.synced)
	w.run(time.Second)
	for _, h := range w.hosts {
		if s := h.node.State(); s != block.StateSynced {
			t.Errorf("host %d is %v", h.index, s)
		}
	}
}

// Two that were alone for long, each with entries that it never advertised.
func TestStrangersExchangeWhatTheyOwn(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.cut = func(a, b *host) bool { return true }
	w.hosts[0].fill(0, 500)
	w.hosts[1].fill(1<<24, 500)
	w.startAll()
	w.run(12*time.Second, w.synced)
	w.cut = nil
	w.run(5 * time.Second)
	w.wantEqual()
}

func TestLostNewsIsAnnounced(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.startAll()
	w.run(12*time.Second, w.synced)
	h := w.hosts[0]
	h.fill(0, 1000) // and the kernel's queue had no room for it
	for range 3 {
		h.node.Announce(w.now)
	}
	w.run(4 * time.Second)
	w.wantEqual()
	if n := h.count(Announcements); n != 1 {
		t.Errorf("announced %d times", n)
	}
}

// What has no snapshot now is tried again.
func TestAnAnnouncementThatFailsIsRepeated(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.startAll()
	w.run(12*time.Second, w.synced)
	h := w.hosts[0]
	h.fill(0, 100)
	h.broken = true
	h.node.Announce(w.now)
	w.run(2 * time.Second)
	if h.trouble(AnnouncingFailed) == 0 || h.happened(AnnouncingFailedEvent) == 0 {
		t.Error("a failure was not told")
	}
	h.broken = false
	w.run(5 * time.Second)
	w.wantEqual()
}

func TestResyncByHandAsksThePeerThatIsNamedOrAll(t *testing.T) {
	w := newWorld(t, 1, 3)
	w.startAll()
	w.run(12*time.Second, w.synced)
	h := w.hosts[0]
	for _, other := range w.hosts[1:] {
		other.fill(uint32(other.index)<<24, 100)
	}
	if n := h.node.Resync(w.now, 99); n != 0 {
		t.Errorf("asks %d of a sender that is not there", n)
	}
	if n := h.node.Resync(w.now, w.hosts[1].id); n != 1 {
		t.Errorf("asks %d", n)
	}
	w.run(2 * time.Second)
	if len(h.table) != 100 {
		t.Errorf("%d entries", len(h.table))
	}
	if n := h.node.Resync(w.now, 0); n != 2 {
		t.Errorf("asks %d", n)
	}
	w.run(2 * time.Second)
	if len(h.table) != 200 {
		t.Errorf("%d entries", len(h.table))
	}
}

// A peer that refuses is asked again later and later.
func TestResyncsOfOnePeerAreLessAndLessFrequent(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.startAll()
	w.run(12*time.Second, w.synced)
	w.hosts[1].broken = true
	before := w.hosts[0].count(SentRequests)
	w.hosts[0].node.Resync(w.now, 0)
	w.run(time.Minute)
	// At 0, 1, 3, 7, 15 and 31 s.
	if n := w.hosts[0].count(SentRequests) - before; n < 5 || n > 7 {
		t.Errorf("%d requests within a minute", n)
	}
	if s := w.hosts[0].node.State(); s != block.StateSynced {
		t.Errorf("is %v", s)
	}
}

// A local flush is not undone.
func TestAFlushIsNotUndone(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.hosts[0].fill(0, 100)
	w.startAll()
	w.run(12*time.Second, w.synced)
	w.run(time.Second)
	clear(w.hosts[1].table)
	w.run(time.Minute)
	if n := len(w.hosts[1].table); n != 0 {
		t.Errorf("%d entries came back", n)
	}
}
