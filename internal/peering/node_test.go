package peering

import (
	"slices"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/block/blocktest"
)

// Every counter has a name of its own.
func TestCountersHaveNames(t *testing.T) {
	c := NewCounters()
	var names []string
	for name := range c.Counts.All() {
		names = append(names, name)
	}
	for name := range c.Troubles.All() {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != int(counts)+int(troubles) || slices.Contains(names, "") {
		t.Errorf("%d names of %d counters: %v", len(names), int(counts)+int(troubles), names)
	}
	for k := range Kind(len(kindNames)) {
		if k.String() == "" {
			t.Errorf("event %d has no name", k)
		}
	}
	if got := Kind(len(kindNames)).String(); got != "unknown event" {
		t.Errorf("got %q", got)
	}
}

func TestBrokenEntriesAreCountedAndNotAskedForAgain(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.startAll()
	w.run(12*time.Second, w.synced)
	body := blocktest.Body(blocktest.Advert(t, block.ClassIPVS, 1, []byte{1, 2, 3}))
	nacks := w.hosts[1].count(SentNacks)
	w.hosts[0].node.Advertise(w.now, w.now, body)
	w.run(5 * time.Second)
	if h := w.hosts[1]; h.trouble(BrokenEntries) != 1 || h.count(SentNacks) != nacks {
		t.Errorf("%d counted, %d NACKs", h.trouble(BrokenEntries), h.count(SentNacks)-nacks)
	}
}

func TestAnUnknownClassIsCounted(t *testing.T) {
	for _, class := range []block.Class{block.ClassConntrack, 31, 32, 255} {
		w := newWorld(t, 1, 2)
		w.startAll()
		w.run(12*time.Second, w.synced)
		body := blocktest.Body(blocktest.Advert(t, class, 1, make([]byte, entrySize)))
		w.hosts[0].node.Advertise(w.now, w.now, body)
		w.run(time.Second)
		if n := w.hosts[1].trouble(UnknownClass); n != 1 {
			t.Errorf("class %d: %d counted", class, n)
		}
	}
}

// What an advert waited for before it was sent is a part of its age.
func TestNewsThatWaitedIsOlder(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.startAll()
	w.run(12*time.Second, w.synced)
	h := w.hosts[0]
	h.update(1)
	body, _ := h.appendEntries(make([]byte, block.HeaderSize), simRoom, []uint32{1})
	h.node.Advertise(w.now, w.now.Add(-time.Hour), body)
	h.dirty = nil
	w.run(time.Second)
	if age := w.now.Sub(w.hosts[1].table[1].at); age < time.Hour || age > time.Hour+2*time.Second {
		t.Errorf("it is %v old", age)
	}
}

// A name that may not be shown is not sent.
func TestANameThatMayNotBeShownIsNone(t *testing.T) {
	n := New(Config{Self: block.Peer{Sender: 1}, Name: "a\nb", Room: 1400, MaxPPS: 1},
		Parts{Network: idleHost{}, Sink: idleHost{}, Source: idleHost{}, Observer: idleHost{}}, epoch)
	body := forged(1, n.appendHeartbeat)
	parsed, err := block.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	var b block.Block
	blocks := parsed.Blocks()
	blocks.Next(&b)
	if h, err := b.Heartbeat(); err != nil || len(h.Name) != 0 {
		t.Errorf("name %q, %v", h.Name, err)
	}
}

// With 64 peers that are there, another one is counted, and dropped.
func TestAPeerTooManyIsDropped(t *testing.T) {
	n := newIdle(1)
	for i := range uint32(maxPeers) {
		n.prove(epoch, n.meet(epoch, block.Peer{Sender: i + 2}), 1)
	}
	receive(n, block.Peer{Sender: 1000}, advertBody(), 1)
	if got := n.Counters().Troubles.Value(PeersFull); got != 1 || len(n.peers.all) != maxPeers {
		t.Errorf("%d counted, %d peers", got, len(n.peers.all))
	}
	// The one that is lost gives way.
	n.peers.all[10].lost = true
	receive(n, block.Peer{Sender: 1000}, advertBody(), 1)
	if n.peers.index[block.Peer{Sender: 1000}] == nil || n.peers.index[block.Peer{Sender: 12}] != nil || len(n.peers.all) != maxPeers {
		t.Errorf("%d peers", len(n.peers.all))
	}
}

// A changed pace and size hold from then on.
func TestSettingsChangeWhileItRuns(t *testing.T) {
	n := newIdle(1)
	n.SetPace(100, epoch)
	if got := n.Ready(epoch.Add(time.Second)); got != 1 {
		t.Errorf("%d may leave", got)
	}
	n.SetRoom(10)
	if n.cfg.Room != MinRoom {
		t.Errorf("room for %d", n.cfg.Room)
	}
}

// A peer is lost after three and a half intervals of silence, heard again, and
// forgotten in the end.
func TestSilence(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.startAll()
	w.run(12*time.Second, w.synced)
	h := w.hosts[0]
	w.cut = func(a, b *host) bool { return true }
	w.run(3*defaultInterval - 10*time.Millisecond)
	if h.happened(PeerLost) != 0 {
		t.Error("lost early")
	}
	w.run(time.Second)
	if h.happened(PeerLost) != 1 || !h.node.Status().Peers[0].Lost {
		t.Error("not lost")
	}
	w.cut = nil
	w.run(2 * defaultInterval)
	if h.happened(PeerBack) != 1 || h.node.Status().Peers[0].Lost {
		t.Error("not back")
	}
	w.cut = func(a, b *host) bool { return true }
	w.run(forgetProven + time.Second)
	if h.happened(PeerForgotten) != 1 || len(h.node.Status().Peers) != 0 {
		t.Error("not forgotten")
	}
}
