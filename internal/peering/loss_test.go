package peering

import (
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

func TestNothingIsMissingAfterLossDuplicationAndReordering(t *testing.T) {
	seeds(t, 10, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, 2+int(seed%4))
		w.loss, w.dup, w.late, w.reflect = 0.05, 0.05, 0.05, true
		w.startAll()
		w.run(10*time.Second, w.synced)
		w.churn(5*time.Second, 200, 1000, w.hosts...)
		w.run(6 * time.Second)
		w.wantEqual()
		for _, h := range w.hosts {
			if h.trouble(Own) == 0 || h.trouble(Replayed) == 0 || h.count(SentNacks) == 0 {
				t.Errorf("host %d has noticed nothing", h.index)
			}
			// Five NACKs or answers in a row are lost once in a long while:
			// then a snapshot heals it.
			if h.trouble(GapsAbandoned) > 1 {
				t.Errorf("host %d gave up %d times", h.index, h.trouble(GapsAbandoned))
			}
		}
	})
}

func TestNothingIsMissingAfterAPartition(t *testing.T) {
	for _, length := range []time.Duration{3 * time.Second, 6 * time.Second, 90 * time.Second} {
		t.Run(length.String(), func(t *testing.T) {
			seeds(t, 5, func(t *testing.T, seed uint64) {
				w := newWorld(t, seed, 4)
				w.loss, w.dup, w.late = 0.02, 0.02, 0.02
				w.startAll()
				w.run(10*time.Second, w.synced)
				w.churn(time.Second, 100, 500, w.hosts...)
				w.cut = func(a, b *host) bool { return a.index < 2 != (b.index < 2) }
				w.churn(length/10, 200, 1000, w.hosts...)
				w.run(length - length/10)
				w.cut = nil
				w.churn(time.Second, 50, 1000, w.hosts...)
				w.run(20 * time.Second)
				w.wantEqual()
			})
		})
	}
}

// One receiver of sixteen loses a third: what its repair takes is bounded, and
// all get everything in the end.
func TestRepairsTakeAQuarterOfThePaceAtMost(t *testing.T) {
	seeds(t, 2, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, 17)
		sender, loser := w.hosts[0], w.hosts[16]
		sender.pps = 400
		w.startAll()
		w.run(12*time.Second, w.synced)
		w.run(2 * time.Second)
		w.lossTo[loser] = 0.3

		// The most that leaves within a second, news and what is beside it.
		var extra []time.Time
		w.spy = func(from, _ *host, body []byte) {
			if from == sender && again(t, sender, body) {
				extra = append(extra, w.now)
			}
		}
		w.churn(5*time.Second, 1200, 50000, sender)
		w.run(25 * time.Second)
		w.wantEqual()
		limit := sender.pps/repairShare + sender.pps/repairShare/100 + 1
		for i := range extra {
			if j := i + limit; j < len(extra) && extra[j].Sub(extra[i]) < time.Second {
				t.Fatalf("more than %d frames within a second from %v on", limit, extra[i].Sub(epoch))
			}
		}
		if len(extra) == 0 {
			t.Error("nothing was sent again")
		}
		for _, h := range w.hosts[1:16] {
			if h.count(SentNacks) > 0 {
				t.Errorf("host %d lost nothing, and sent %d NACKs", h.index, h.count(SentNacks))
			}
		}
	})
}

// again reports whether a body has entries that were sent before: adverts with
// a sequence that is not the newest, or chunks.
func again(t testing.TB, h *host, raw []byte) bool {
	body, err := block.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	var b block.Block
	for blocks := body.Blocks(); blocks.Next(&b); {
		switch b.Type {
		case block.TypeAdvert:
			a, _ := b.Advert()
			return a.Sequence != h.node.sequence
		case block.TypeSnapshotChunk:
			return true
		}
	}
	return false
}

// Many receivers that lost the same frame ask for it once, or twice.
func TestReceiversAskForWhatAllHaveLostOnce(t *testing.T) {
	w := newWorld(t, 1, 16)
	w.startAll()
	w.run(12*time.Second, w.synced)
	w.run(2 * time.Second)
	sender := w.hosts[0]
	before := 0
	for _, h := range w.hosts {
		before += h.count(SentNacks)
	}
	w.cut = func(a, _ *host) bool { return a == sender }
	sender.update(1)
	w.run(simPeriod)
	w.cut = nil
	sender.update(2)
	w.run(3 * time.Second)
	w.wantEqual()
	nacks := -before
	for _, h := range w.hosts {
		nacks += h.count(SentNacks)
	}
	if nacks < 1 || nacks > 3 {
		t.Errorf("%d NACKs of 15 receivers", nacks)
	}
	if again := sender.count(SentAgain); again != 1 {
		t.Errorf("sent %d times again", again)
	}
}

func TestALostTailIsSeenByTheNextHeartbeat(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.startAll()
	w.run(12*time.Second, w.synced)
	w.cut = func(a, b *host) bool { return true }
	w.hosts[0].update(1)
	w.run(simPeriod)
	w.cut = nil
	w.run(defaultInterval + nackDelayMax + 10*time.Millisecond)
	w.wantEqual()
}

// What was overtaken is older than what overtook it, though nobody held it.
func TestAFrameThatWasOvertakenTurnsNothingBack(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.startAll()
	w.run(12*time.Second, w.synced)
	sender, receiver := w.hosts[0], w.hosts[1]
	w.cut = func(a, b *host) bool { return a == sender }
	var delayed []byte
	w.spy = func(from, to *host, body []byte) {
		if from == sender && delayed == nil {
			delayed = append(delayed, body...)
		}
	}
	sender.update(1)
	sender.tick() // a heartbeat may be due
	delayed = nil
	sender.period = w.now
	sender.tick()
	w.spy, w.cut = nil, func(a, b *host) bool { return b == sender } // no NACK comes through
	w.run(simPeriod)
	sender.update(1)
	w.run(2 * simPeriod)
	w.inject(receiver, sender.addr, delayed, 0)
	w.run(time.Second)
	w.wantEqual()
	if receiver.node.peers.index[sender.node.cfg.Self].gaps.missing != 0 {
		t.Error("the frame that was overtaken did not come")
	}
}

// Fewer than are given up at once, but more than the ring keeps.
func TestWhatIsGoneComesAsASnapshot(t *testing.T) {
	w := newWorld(t, 1, 3)
	w.hosts[0].ring = 20 * simRoom
	w.startAll()
	w.run(12*time.Second, w.synced)
	away := w.hosts[2]
	w.cut = func(a, b *host) bool { return a == away || b == away }
	w.churn(2*time.Second, 1000, 20000, w.hosts[0])
	w.cut = nil
	w.run(5 * time.Second)
	w.wantEqual()
	if w.hosts[0].count(SentGone) == 0 || away.trouble(GapsAbandoned) != 1 {
		t.Errorf("%d GONE, gave up %d times", w.hosts[0].count(SentGone), away.trouble(GapsAbandoned))
	}
	if n := w.hosts[1].count(Snapshots); n != 2 { // of both, at the start
		t.Errorf("who lost nothing took %d snapshots", n)
	}
}

// What nobody answers to is asked for five times.
func TestWhatIsAskedForInVainComesAsASnapshot(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.startAll()
	w.run(12*time.Second, w.synced)
	sender, receiver := w.hosts[0], w.hosts[1]
	w.cut = func(a, b *host) bool { return true }
	sender.update(1)
	w.run(simPeriod)
	before := receiver.count(SentNacks)
	w.cut = func(a, b *host) bool { return a == receiver }
	w.run(5 * time.Second)
	w.cut = nil
	w.run(3 * time.Second)
	w.wantEqual()
	if n := receiver.count(SentNacks) - before; n != nackTries || receiver.trouble(GapsAbandoned) != 1 {
		t.Errorf("%d NACKs, gave up %d times", n, receiver.trouble(GapsAbandoned))
	}
}

func TestWhatTheRingHasNoLongerComesAsASnapshot(t *testing.T) {
	seeds(t, 3, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, 3)
		w.startAll()
		w.run(12*time.Second, w.synced)
		away := w.hosts[2]
		w.cut = func(a, b *host) bool { return a == away || b == away }
		w.churn(3*time.Second, 6000, 20000, w.hosts[0])
		w.cut = nil
		w.run(10 * time.Second)
		w.wantEqual()
		if away.trouble(GapsAbandoned) != 1 || away.count(Snapshots) < 2 {
			t.Errorf("gave up %d times, took %d snapshots", away.trouble(GapsAbandoned), away.count(Snapshots))
		}
	})
}

// What a director sends before its peers have its proof is asked for behind it.
func TestTheFirstNewsOfADirectorThatHasJustStartedIsNotLost(t *testing.T) {
	w := newWorld(t, 1, 2)
	old, young := w.hosts[0], w.hosts[1]
	old.start()
	w.run(12*time.Second, w.synced)
	w.cut = func(a, b *host) bool { return a == young }
	young.start()
	for key := range uint32(3) {
		young.update(key)
		w.run(2 * simPeriod)
	}
	w.cut = nil
	if !w.run(2*time.Second, func() bool { return len(old.table) == 3 }) {
		t.Fatalf("%d of 3 entries", len(old.table))
	}
	if young.node.State() != block.StateJoining || old.count(SentNacks) == 0 {
		t.Errorf("it is %v by then, %d NACKs", young.node.State(), old.count(SentNacks))
	}
}
