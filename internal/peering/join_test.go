package peering

import (
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

func TestADirectorWithoutPeersIsSyncedAlone(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.startAll()
	w.run(defaultJoinTimeout - time.Millisecond)
	if s := w.hosts[0].node.State(); s != block.StateJoining {
		t.Errorf("%v before join_timeout", s)
	}
	w.run(2 * time.Millisecond)
	if s := w.hosts[0].node.State(); s != block.StateSyncedAlone {
		t.Errorf("%v after join_timeout", s)
	}
}

// One that comes later has everything when it says that it is synced, while
// connections go on changing.
func TestALateJoinerIsWholeBeforeItSaysSo(t *testing.T) {
	seeds(t, 10, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, 2+int(seed%3))
		w.loss, w.dup, w.late = 0.05, 0.05, 0.05
		joiner := w.hosts[len(w.hosts)-1]
		others := w.hosts[:len(w.hosts)-1]
		for _, h := range others {
			h.start()
		}
		w.run(12*time.Second, w.synced)
		for range 50 {
			w.churn(simPeriod, 200, 3000, others...)
		}
		w.run(2 * time.Second)
		w.wantEqual()

		joiner.start()
		for i := 0; joiner.node.State() == block.StateJoining; i++ {
			if i == 200 {
				t.Fatal("not synced after 20 s")
			}
			w.churn(simPeriod/10, 20, 3000, others...)
		}
		// What was told by now, and was not on its way, is here. News of
		// the last moments may be lost: that is seen by the next heartbeat.
		missing, extra, _ := joiner.differences()
		if missing > 60 || extra > 0 {
			t.Errorf("%d of %d missing, %d extra", missing, len(w.truth), extra)
		}
		w.run(5 * time.Second)
		w.wantEqual()
	})
}

// Without loss and news, exactly so.
func TestALateJoinerHasEverythingAtTheMomentOfBeingSynced(t *testing.T) {
	seeds(t, 5, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, 3)
		w.loss, w.dup = 0.05, 0.05
		w.hosts[0].fill(0, 5000)
		w.hosts[1].fill(1<<24, 5000)
		w.hosts[0].start()
		w.hosts[1].start()
		w.run(20*time.Second, w.synced)
		w.run(3 * time.Second)
		w.wantEqual()
		w.hosts[2].start()
		if !w.run(20*time.Second, w.synced) {
			t.Fatal("not synced")
		}
		w.wantEqual()
	})
}

// Only the donor answers, and it has the most entries.
func TestADonorIsAskedAndAllOthersAreSilent(t *testing.T) {
	w := newWorld(t, 1, 4)
	for _, h := range w.hosts[:3] {
		h.start()
	}
	w.run(12*time.Second, w.synced)
	w.hosts[1].fill(1<<24, 2000) // as if it alone had heard of them
	w.run(2 * time.Second)
	before := [3]int{}
	for i, h := range w.hosts[:3] {
		before[i] = h.count(SentChunks)
	}
	w.hosts[3].start()
	w.run(12*time.Second, w.synced)
	for i, h := range w.hosts[:3] {
		if sent := h.count(SentChunks) - before[i]; (sent > 0) != (i == 1) {
			t.Errorf("host %d sent %d chunks", i, sent)
		}
	}
}

func TestADonorThatDiesIsReplaced(t *testing.T) {
	seeds(t, 5, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, 4)
		w.loss = 0.02
		joiner := w.hosts[3]
		w.hosts[0].fill(0, 6000)
		for _, h := range w.hosts[:3] {
			h.start()
		}
		w.run(12*time.Second, w.synced)
		w.run(2 * time.Second)
		joiner.start()
		half := func() bool { return len(joiner.table) > 3000 }
		if !w.run(12*time.Second, half) || joiner.node.transfer.donor == nil {
			t.Fatal("no half of a snapshot")
		}
		w.hosts[joiner.node.transfer.donor.id.Sender-1].stop()
		if !w.run(15*time.Second, w.synced) {
			t.Fatal("not synced")
		}
		w.wantEqual()
		if joiner.trouble(SnapshotsFailed) != 1 || joiner.happened(JoinedWithoutDonor) > 0 {
			t.Errorf("%d failed, events %v", joiner.trouble(SnapshotsFailed), joiner.events)
		}
	})
}

func TestWithoutADonorLeftTheJoinerIsSyncedWithAWarning(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.hosts[0].fill(0, 6000)
	w.hosts[0].start()
	w.run(12*time.Second, w.synced)
	joiner := w.hosts[1]
	joiner.start()
	w.run(12*time.Second, func() bool { return len(joiner.table) > 3000 })
	w.hosts[0].die()
	if !w.run(15*time.Second, w.synced) {
		t.Fatal("not synced")
	}
	if joiner.node.State() != block.StateSynced || joiner.happened(JoinedWithoutDonor) != 1 {
		t.Errorf("%v, events %v", joiner.node.State(), joiner.events)
	}
}

// The only donor is out of reach for a while, and heard again before the joiner
// gives up waiting for a peer: it is asked again, rather than done without.
func TestADonorThatIsBackIsAskedAgain(t *testing.T) {
	w, _, joiner := newDonor(t, func(donor *host) { donor.fill(0, 1000) })
	joiner.start()
	if !w.run(time.Second, func() bool { return len(joiner.table) > 0 }) {
		t.Fatal("no snapshot")
	}
	w.cut = func(a, b *host) bool { return true }
	if !w.run(4*time.Second, func() bool { return joiner.happened(PeerLost) > 0 }) {
		t.Fatal("the donor is not lost")
	}
	w.run(200 * time.Millisecond)
	w.cut = nil
	if !w.run(15*time.Second, w.synced) {
		t.Fatal("not synced")
	}
	if joiner.happened(JoinedWithoutDonor) > 0 {
		t.Error("it did without a donor")
	}
	w.wantEqual()
}

// The only donor has gaps, is lost before that is put up with, and is heard again:
// it has all the time again to fill them.
func TestADonorThatIsBackHasItsTimeToFillGapsAgain(t *testing.T) {
	w := newWorld(t, 1, 3)
	donor, third, joiner := w.hosts[0], w.hosts[1], w.hosts[2]
	away := false
	w.cut = func(a, b *host) bool {
		return (a == joiner || b == joiner) && (away || a == third || b == third)
	}
	donor.start()
	third.start()
	w.run(12*time.Second, w.synced)
	third.broken = true
	donor.node.Resync(w.now, third.id)
	w.run(2 * time.Second)
	joiner.start()
	joiner.node.cfg.JoinTimeout = time.Minute
	if !w.run(time.Second, func() bool { return joiner.count(Proofs) > 0 }) {
		t.Fatal("the donor is not proven")
	}
	away = true
	w.run(10 * time.Second)
	away = false
	if !w.run(2*time.Second, func() bool { return joiner.happened(PeerBack) > 0 }) {
		t.Fatal("the donor is not back")
	}
	w.run(gapsPatience - time.Millisecond)
	if n := joiner.count(SentRequests); n > 0 {
		t.Errorf("%d requests to a donor with gaps", n)
	}
	w.run(time.Second)
	if joiner.count(SentRequests) == 0 {
		t.Error("it is not asked behind that time")
	}
}

// A donor whose tables cannot be read is there, and refuses.
func TestAJoinerThatWasRefusedForTooLongIsSyncedWithAWarning(t *testing.T) {
	w, donor, joiner := newDonor(t, func(donor *host) { donor.fill(0, 1000) })
	donor.broken = true
	joiner.start()
	if !w.run(3*time.Minute, w.synced) {
		t.Fatal("not synced")
	}
	if joiner.happened(JoinedWithoutDonor) != 1 {
		t.Errorf("%v with %d entries, events %v", joiner.node.State(), len(joiner.table), joiner.events)
	}
}

// The only donor was out of reach when the joiner gave up waiting. When it is back
// it is one like any other: services that appear later need one.
func TestADonorThatIsBackBehindTheEndOfJoiningIsOneAgain(t *testing.T) {
	w, _, joiner := newDonor(t, func(donor *host) { donor.fill(0, 6000) })
	joiner.lacks = func(uint32) bool { return true }
	joiner.start()
	w.run(12*time.Second, func() bool { return joiner.missed > 3000 })
	w.cut = func(a, b *host) bool { return true }
	if !w.run(15*time.Second, w.synced) {
		t.Fatal("not synced")
	}
	w.cut = nil
	w.run(10 * time.Second)
	if s := joiner.node.State(); s != block.StateDegraded {
		t.Fatalf("%v without services", s)
	}
	joiner.lacks = nil
	joiner.node.ServicesAppeared(w.now)
	w.run(time.Minute)
	if s := joiner.node.State(); s != block.StateSynced {
		t.Errorf("%v with all services", s)
	}
	w.wantEqual()
}

// orphan makes copies of entries whose owner is gone.
func (h *host) orphan(from, count uint32) {
	h.fill(from, count)
	for key := from; key < from+count; key++ {
		r := h.table[key]
		h.table[key] = row{r.value, r.at, false}
	}
}

// The link is not there when a director starts, as behind a switch port that learns
// first. What its peer has of others, or of the director's own earlier start, is
// owned by nobody: a snapshot of what the peer owns would not have it.
func TestADirectorThatWasAloneSinceItsStartAsksForEverything(t *testing.T) {
	for _, tt := range []struct {
		name string
		lack bool // it is degraded then
	}{{"synced", false}, {"degraded", true}} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, 1, 3)
			late := w.hosts[2]
			w.hosts[0].fill(0, 300)
			w.hosts[0].orphan(1000, 300)
			w.hosts[1].fill(2000, 300)
			w.cut = func(a, b *host) bool { return a == late || b == late }
			w.hosts[0].start()
			w.run(12*time.Second, w.synced)
			w.hosts[1].start()
			w.run(12*time.Second, w.synced)
			w.run(5 * time.Second)
			late.start()
			w.run(30 * time.Second)
			if s := late.node.State(); s != block.StateSyncedAlone {
				t.Fatalf("%v without a link", s)
			}
			if tt.lack {
				late.lacks = func(key uint32) bool { return key%10 == 0 }
			}
			w.cut = nil
			if !w.run(12*time.Second, func() bool { return late.node.State() != block.StateSyncedAlone }) {
				t.Fatal("still alone")
			}
			if !tt.lack {
				w.wantEqual()
			} else if n := len(late.table); n != 810 {
				t.Errorf("%d entries, want the 810 that it has a service for", n)
			}
			w.run(10 * time.Second)
			if n := late.count(SentChunks); n > 10 {
				t.Errorf("it served %d chunks", n)
			}
		})
	}
}

// Of several that turn up at once, it is the one with the most entries that is asked
// for everything.
func TestADirectorThatWasAloneAsksWhoHasTheMost(t *testing.T) {
	w := newWorld(t, 1, 3)
	late, empty, full := w.hosts[0], w.hosts[1], w.hosts[2]
	full.orphan(0, 600)
	w.cut = func(a, b *host) bool { return true }
	w.startAll()
	w.run(30 * time.Second)
	w.cut = func(a, b *host) bool { return a != late && b != late }
	w.run(3 * time.Second)
	if n := len(late.table); n != 600 {
		t.Errorf("%d of 600 entries", n)
	}
	if n := empty.count(SnapshotsServed) + full.count(SnapshotsServed); n != 1 {
		t.Errorf("%d snapshots were served", n)
	}
}

// The only donor is lost in the midst of its snapshot, and back when the joiner has
// given up: what is made up for is everything.
func TestWhatADonorWasAskedForInVainIsAskedForWhenItIsBack(t *testing.T) {
	w, _, joiner := newDonor(t, func(donor *host) { donor.orphan(0, 6000) })
	joiner.start()
	w.run(12*time.Second, func() bool { return len(joiner.table) > 3000 })
	w.cut = func(a, b *host) bool { return true }
	if !w.run(15*time.Second, w.synced) || joiner.happened(JoinedWithoutDonor) != 1 {
		t.Fatalf("%v, events %v", joiner.node.State(), joiner.events)
	}
	w.cut = nil
	w.run(10 * time.Second)
	w.wantEqual()
}

// A donor that refuses is asked for everything later and later, and has it in the end.
func TestADonorThatRefusedIsAskedForEverythingLater(t *testing.T) {
	w, donor, joiner := newDonor(t, func(donor *host) { donor.orphan(0, 1000) })
	donor.broken = true
	joiner.start()
	if !w.run(3*time.Minute, w.synced) {
		t.Fatal("not synced")
	}
	before := joiner.count(SentRequests)
	w.run(time.Minute)
	if n := joiner.count(SentRequests) - before; n < 5 || n > 7 {
		t.Errorf("%d requests within a minute", n)
	}
	donor.broken = false
	w.run(time.Minute)
	w.wantEqual()
}

// Each asks each for what that one owns: with three that know nothing of each
// other's connections, every table goes out twice, which is the most.
func TestAllStartAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name   string
		hosts  int
		owned  uint32
		copies bool // everybody has the others' entries from before
	}{
		{"two", 2, 1000, false},
		{"three, with copies", 3, 1000, true},
		{"three", 3, 1000, false},
		{"sixteen, with copies", 16, 60, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seeds(t, 3, func(t *testing.T, seed uint64) {
				w := newWorld(t, seed, tt.hosts)
				for i, h := range w.hosts {
					h.fill(uint32(i)<<24, tt.owned)
				}
				if tt.copies {
					for _, h := range w.hosts {
						for _, other := range w.hosts {
							if other != h {
								h.know(other)
							}
						}
					}
				}
				// A table's size on the wire is that of a snapshot of it.
				const perFrame = (simRoom - block.HeaderSize - chunkBlock - block.HeadSize - block.AdvertHeaderSize) / entrySize
				size := 0
				for _, h := range w.hosts {
					size += len(h.table)*entrySize + (len(h.table)+perFrame-1)/perFrame*(simRoom+overhead-perFrame*entrySize)
				}
				w.startAll()
				if !w.run(10*time.Second, w.synced) {
					t.Fatal("not synced within 10 s")
				}
				w.run(3 * time.Second)
				w.wantEqual()
				t.Logf("%d bytes sent, %.2f times the tables", w.bytes, float64(w.bytes)/float64(size))
				if w.bytes > 2*size {
					t.Errorf("%d bytes sent for tables of %d", w.bytes, size)
				}
			})
		})
	}
}

// A donor serves two at a time; the others ask again.
func TestManyJoinAtOnce(t *testing.T) {
	w := newWorld(t, 1, 8)
	w.hosts[0].fill(0, 3000)
	w.hosts[0].start()
	w.run(12*time.Second, w.synced)
	for _, h := range w.hosts[1:] {
		h.start()
	}
	serving := 0
	if !w.run(time.Minute, func() bool {
		serving = max(serving, w.hosts[0].node.Status().Serving)
		return w.synced()
	}) {
		t.Fatal("not synced")
	}
	w.wantEqual()
	if serving != maxServed {
		t.Errorf("served %d at a time", serving)
	}
}

func TestEntriesWithoutAServiceMakeADirectorDegraded(t *testing.T) {
	w := newWorld(t, 1, 3)
	w.hosts[0].fill(0, 1000)
	w.hosts[0].start()
	w.hosts[1].start()
	w.run(12*time.Second, w.synced)
	joiner := w.hosts[2]
	joiner.lacks = func(key uint32) bool { return key%10 == 0 }
	joiner.start()
	w.run(12*time.Second, w.synced)
	if s := joiner.node.Status(); s.State != block.StateDegraded || s.Missing < 100 {
		t.Errorf("%v, %d missing", s.State, s.Missing)
	}
	// Some services, then all.
	joiner.lacks = func(key uint32) bool { return key%100 == 0 }
	joiner.node.ServicesAppeared(w.now)
	w.run(5 * time.Second)
	if s := joiner.node.State(); s != block.StateDegraded {
		t.Errorf("%v while services are missing", s)
	}
	joiner.lacks = nil
	joiner.node.ServicesAppeared(w.now)
	w.run(5 * time.Second)
	if s := joiner.node.State(); s != block.StateSynced {
		t.Errorf("%v with all services", s)
	}
	w.wantEqual()
}

// A frame was lost, by the donor and by the joiner, while the snapshot was on
// its way: the joiner does not say that it is synced before it has it.
func TestWhatIsMissingBehindTheLastChunkIsWaitedFor(t *testing.T) {
	w := newWorld(t, 1, 3)
	donor, third, joiner := w.hosts[0], w.hosts[1], w.hosts[2]
	donor.pps = 200
	donor.fill(0, 4000)
	donor.start()
	third.start()
	w.run(20*time.Second, w.synced)
	w.run(3 * time.Second)
	joiner.start()
	nearly := func() bool { return len(joiner.table) > 3500 }
	if !w.run(12*time.Second, nearly) || joiner.node.transfer.donor == nil {
		t.Fatal("no snapshot")
	}
	w.cut = func(a, b *host) bool { return a == third }
	third.update(1 << 24)
	w.run(2 * simPeriod)
	w.cut = func(a, b *host) bool { return b == third } // no NACK comes through
	third.update(1<<24 + 1)
	w.run(2*time.Second, func() bool { return joiner.node.transfer.donor == nil })
	w.run(100 * time.Millisecond)
	if s := joiner.node.State(); s != block.StateJoining || joiner.count(Snapshots) == 0 {
		t.Errorf("%v while a frame is missing, %d snapshots", s, joiner.count(Snapshots))
	}
	w.cut = nil
	if !w.run(5*time.Second, func() bool { return joiner.node.State() != block.StateJoining }) {
		t.Fatal("not synced")
	}
	w.wantEqual()
}

// While a snapshot is on its way, a director turns up that donor and joiner did
// not hear before, with connections of its own.
func TestAStrangerThatTurnsUpWhileJoiningIsAskedBeforeItIsSynced(t *testing.T) {
	w := newWorld(t, 1, 3)
	donor, stranger, joiner := w.hosts[0], w.hosts[1], w.hosts[2]
	donor.pps = 200
	donor.fill(0, 4000)
	stranger.fill(1<<24, 500)
	w.cut = func(a, b *host) bool { return a == stranger || b == stranger }
	donor.start()
	stranger.start()
	w.run(12*time.Second, w.synced)
	joiner.start()
	if !w.run(12*time.Second, func() bool { return len(joiner.table) > 1000 }) {
		t.Fatal("no snapshot")
	}
	w.cut = nil
	if !w.run(12*time.Second, w.synced) {
		t.Fatal("not synced")
	}
	if missing, extra, differing := joiner.differences(); missing+extra+differing > 0 {
		t.Errorf("%d missing, %d extra, %d differing", missing, extra, differing)
	}
	w.run(10 * time.Second)
	w.wantEqual()
}

// What the joiner sends is lost for a while: its echo, so that the donor does
// not take its request, and then the request. A donor that is heard is asked
// again.
func TestADonorThatIsHeardIsAskedAgain(t *testing.T) {
	for _, away := range []time.Duration{300 * time.Millisecond, 2 * time.Second, donorTimeout + 2*time.Second} {
		t.Run(away.String(), func(t *testing.T) {
			w, _, joiner := newDonor(t, func(donor *host) { donor.fill(0, 1000) })
			joiner.start()
			w.run(time.Second, func() bool { return joiner.count(Proofs) > 0 })
			w.cut = func(a, b *host) bool { return a == joiner }
			w.run(away)
			w.cut = nil
			if !w.run(15*time.Second, w.synced) {
				t.Fatal("not synced")
			}
			w.wantEqual()
			if joiner.happened(JoinedWithoutDonor) > 0 {
				t.Error("gave up")
			}
		})
	}
}
