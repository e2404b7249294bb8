package peering

import (
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// newDonor has a synced host with what it was given before, and one that may join.
func newDonor(t *testing.T, give func(donor *host)) (w *world, donor, joiner *host) {
	w = newWorld(t, 1, 2)
	donor, joiner = w.hosts[0], w.hosts[1]
	give(donor)
	donor.start()
	w.run(12*time.Second, w.synced)
	return w, donor, joiner
}

// joinerOf starts a host beside a donor with a table, and lets it ask.
func joinerOf(t *testing.T, entries uint32) (w *world, donor, joiner *host) {
	w, donor, joiner = newDonor(t, func(donor *host) {
		donor.pps = 100_000
		donor.fill(0, entries)
	})
	joiner.start()
	if !w.run(12*time.Second, func() bool { return donor.node.Status().Serving > 0 }) {
		t.Fatal("no snapshot was asked for")
	}
	return w, donor, joiner
}

// Nothing is read ahead of what is acknowledged by more than the window.
func TestADonorReadsNoFurtherThanItsWindow(t *testing.T) {
	w, donor, joiner := joinerOf(t, 30_000)
	w.cut = func(a, b *host) bool { return a == joiner } // ACKs do not come
	w.run(400 * time.Millisecond)
	s := &donor.node.donor.all[0]
	if s.next-s.base != chunkWindow {
		t.Errorf("%d chunks under way", s.next-s.base)
	}
	// All of them are sent again, twice in two seconds.
	before := donor.count(SentChunkAgain)
	w.run(2 * time.Second)
	if n := donor.count(SentChunkAgain) - before; n < 2*chunkWindow || n > 3*chunkWindow {
		t.Errorf("%d sent again", n)
	}
	w.cut = nil
	w.run(10*time.Second, w.synced)
	w.wantEqual()
}

func TestAClosedNodeReadsNothingAnyMore(t *testing.T) {
	w, donor, joiner := joinerOf(t, 30_000)
	w.cut = func(a, b *host) bool { return a == joiner }
	donor.node.Announce(w.now)
	if !w.run(time.Second, func() bool { return donor.walks == 2 }) {
		t.Fatal("no walk for the announcement beside that for the joiner")
	}
	donor.node.Close()
	if donor.walks != 0 {
		t.Errorf("%d walks are left", donor.walks)
	}
}

func TestADonorGivesUpWithoutAnAck(t *testing.T) {
	w, donor, joiner := joinerOf(t, 30_000)
	w.cut = func(a, b *host) bool { return a == joiner }
	w.run(servingTimeout + time.Second)
	if n := donor.node.Status().Serving; n != 0 {
		t.Errorf("serves %d", n)
	}
	if donor.trouble(ServingFailed) != 1 {
		t.Errorf("%d failed", donor.trouble(ServingFailed))
	}
}

// The ACK of the last chunk is lost: the donor asks for it by sending again.
func TestALostLastAckIsRepeated(t *testing.T) {
	w, donor, joiner := joinerOf(t, 100)
	w.cut = func(a, b *host) bool { return a == joiner }
	w.run(12*time.Second, w.synced)
	w.cut = nil
	w.run(time.Second)
	if donor.count(SnapshotsServed) != 1 || donor.node.Status().Serving != 0 || joiner.count(Snapshots) != 1 {
		t.Errorf("%d served, %d taken", donor.count(SnapshotsServed), joiner.count(Snapshots))
	}
}

func TestADonorThatCannotReadRefuses(t *testing.T) {
	w, donor, joiner := joinerOf(t, 30_000)
	donor.broken = true
	w.run(2*time.Second, func() bool { return joiner.trouble(SnapshotsRefused) > 0 })
	if joiner.trouble(SnapshotsRefused) == 0 || donor.trouble(ServingFailed) == 0 {
		t.Errorf("%d refused, %d failed", joiner.trouble(SnapshotsRefused), donor.trouble(ServingFailed))
	}
	donor.broken = false
	if !w.run(5*time.Second, w.synced) {
		t.Error("not asked again")
	}
	w.wantEqual()
}

// What is read late is sent with the age that it has then, and what is sent
// again with the time since.
func TestAChunkThatIsSentAgainSaysHowLongItWasHeld(t *testing.T) {
	w, donor, joiner := joinerOf(t, 100)
	var held []time.Duration
	w.spy = func(from, to *host, raw []byte) {
		body, _ := block.Parse(raw)
		var b block.Block
		for blocks := body.Blocks(); from == donor && to == joiner && blocks.Next(&b); {
			if b.Type == block.TypeAdvert {
				a, _ := b.Advert()
				held = append(held, a.Held)
			}
		}
	}
	w.lossTo[joiner] = 1
	w.run(time.Second)
	w.lossTo[joiner] = 0
	w.run(3 * time.Second)
	w.wantEqual()
	if len(held) < 6 || held[0] != 0 || held[len(held)-1] < 400*time.Millisecond {
		t.Errorf("held %v", held)
	}
}

// A request that was repeated, and came when all was served.
func TestASnapshotIsNotServedTwice(t *testing.T) {
	w, donor, joiner := joinerOf(t, 100)
	w.run(12*time.Second, w.synced)
	w.run(time.Second) // and the last ACK is there
	p := donor.node.peers.index[joiner.node.cfg.Self]
	r := block.SnapshotRequest{Peer: donor.node.cfg.Self, Request: p.servedRequest, Classes: block.ClassesOf(block.ClassIPVS)}
	donor.node.takeRequest(w.now, p, &r)
	if n := donor.node.Status().Serving; n != 0 {
		t.Errorf("serves %d for a request that was served", n)
	}
	r.Request++
	donor.node.takeRequest(w.now, p, &r)
	if n := donor.node.Status().Serving; n != 1 {
		t.Errorf("serves %d for a new one", n)
	}
}

// One that asks anew is served anew, and not twice.
func TestANewRequestEndsTheEarlierOne(t *testing.T) {
	w, donor, joiner := joinerOf(t, 30_000)
	p := donor.node.peers.index[joiner.node.cfg.Self]
	r := block.SnapshotRequest{Peer: donor.node.cfg.Self, Request: 1 + donor.node.donor.of(p).request, Classes: block.ClassesOf(block.ClassIPVS)}
	donor.node.takeRequest(w.now, p, &r)
	if s := donor.node.donor.of(p); donor.node.Status().Serving != 1 || s.request != r.Request || s.next != 0 {
		t.Errorf("serves %d, request %d from %d on", donor.node.Status().Serving, s.request, s.next)
	}
}
