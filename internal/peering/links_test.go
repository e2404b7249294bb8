package peering

import (
	"testing"
	"time"
)

// What comes over two links is applied once, and no replay.
func TestCopiesOverAnotherLinkAreDuplicates(t *testing.T) {
	w := newWorld(t, 1, 3)
	w.links = 2
	w.startAll()
	w.run(12*time.Second, w.synced)
	w.churn(2*time.Second, 100, 1000, w.hosts...)
	w.run(2 * time.Second)
	w.wantEqual()
	for _, h := range w.hosts {
		if h.count(Duplicates) < 40 || h.trouble(Replayed) > h.count(Duplicates)/10 || h.count(SentNacks) > 0 {
			t.Errorf("host %d: %d duplicates, %d replayed, %d NACKs", h.index, h.count(Duplicates), h.trouble(Replayed), h.count(SentNacks))
		}
	}
}

// What one link loses comes over the other.
func TestTwoLinksLoseLittle(t *testing.T) {
	w := newWorld(t, 1, 3)
	w.links, w.loss = 2, 0.05
	w.startAll()
	w.run(12*time.Second, w.synced)
	w.churn(5*time.Second, 100, 1000, w.hosts...)
	w.run(3 * time.Second)
	w.wantEqual()
}

// A link that is 3 s late turns nothing back.
func TestALinkThatIsLateTurnsNothingBack(t *testing.T) {
	seeds(t, 3, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, 2)
		w.links = 2
		w.slow = func(link int) time.Duration { return time.Duration(link) * 3 * time.Second }
		w.startAll()
		w.run(12*time.Second, w.synced)
		w.churn(6*time.Second, 50, 20, w.hosts...)
		w.run(simPeriod + 10*time.Millisecond)
		w.wantEqual()
		w.run(6 * time.Second)
		w.wantEqual()
	})
}

func TestADeadLinkIsNoticed(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.links = 2
	w.startAll()
	w.run(12*time.Second, w.synced)
	w.run(2 * time.Second)
	h := w.hosts[0]
	if h.happened(LinkSilent) > 0 {
		t.Error("noticed before it died")
	}
	w.slow = func(link int) time.Duration { return -time.Duration(link) }
	w.run(10 * time.Second)
	w.hosts[1].update(1)
	w.run(time.Second)
	w.wantEqual()
	if h.happened(LinkSilent) != 1 || h.trouble(LinksSilent) != 1 || h.happened(PeerLost) > 0 {
		t.Errorf("told %d times, counted %d", h.happened(LinkSilent), h.trouble(LinksSilent))
	}
	for _, e := range h.events {
		if e.Kind == LinkSilent && (e.Origin.Link != 1 || e.Name != "host1") {
			t.Errorf("names link %d of %q", e.Origin.Link, e.Name)
		}
	}
	w.slow = nil
	w.run(2 * time.Second)
	if h.happened(LinkBack) != 1 {
		t.Errorf("back %d times", h.happened(LinkBack))
	}
}
