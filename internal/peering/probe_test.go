package peering

import (
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

const fullRoom = 1400

// newWide has hosts whose links claim to take more than the least.
func newWide(t testing.TB, seed uint64, hosts, links int) *world {
	w := newWorld(t, seed, hosts)
	w.room, w.links = fullRoom, links
	return w
}

// joinWide starts them all and lets them find out about their links.
func (w *world) joinWide() {
	w.Helper()
	w.startAll()
	if !w.run(12*time.Second, w.synced) {
		w.Fatal("they are not synced")
	}
	w.run(5 * time.Second)
}

// about returns the events of a kind.
func (h *host) about(k Kind) (events []Event) {
	for _, e := range h.events {
		if e.Kind == k {
			events = append(events, e)
		}
	}
	return events
}

func TestALinkThatTakesWhatItClaimsIsLeftAlone(t *testing.T) {
	seeds(t, 3, func(t *testing.T, seed uint64) {
		for _, loss := range []float64{0, 0.05} {
			w := newWide(t, seed, 4, 2)
			w.loss = loss
			w.joinWide()
			w.run(5 * time.Minute)
			for _, h := range w.hosts {
				if len(h.about(MTUTooSmall)) > 0 || h.node.Room() != fullRoom {
					t.Errorf("loss %v: host %d has room for %d, events %+v", loss, h.index, h.node.Room(), h.about(MTUTooSmall))
				}
				if h.count(SentProbes) == 0 || h.count(SentProbeAcks) == 0 {
					t.Errorf("loss %v: %d probes, %d answers", loss, h.count(SentProbes), h.count(SentProbeAcks))
				}
				if h.trouble(ProbesIgnored)+h.trouble(LinksNarrow)+h.trouble(UnprovenOther) > 0 {
					t.Errorf("loss %v: %d probes ignored, %d narrow links, %d blocks unproven", loss,
						h.trouble(ProbesIgnored), h.trouble(LinksNarrow), h.trouble(UnprovenOther))
				}
			}
		}
	})
}

// A link loses what is long, and says nothing. It is found, bodies become as
// long as passes, and long again when the link takes them.
func TestALinkThatLosesLongFramesIsFound(t *testing.T) {
	seeds(t, 3, func(t *testing.T, seed uint64) {
		for _, tt := range []struct {
			name   string
			passes int
			loss   float64
		}{
			{"a tunnel on the way", 1350, 0},
			{"much less", 800, 0},
			{"hardly anything", MinRoom, 0},
			{"by some bytes", fullRoom - 4, 0},
			{"with losses", 1350, 0.05},
		} {
			t.Run(tt.name, func(t *testing.T) {
				w := newWide(t, seed, 3, 2)
				w.joinWide()
				w.loss = tt.loss
				broken := true
				w.narrow = func(from, to *host, link int) int {
					if broken && link == 1 && from == w.hosts[0] && to == w.hosts[2] {
						return tt.passes
					}
					return fullRoom
				}
				h := w.hosts[0]
				w.run(probeInterval+20*time.Second, func() bool { return len(h.about(MTUTooSmall)) > 0 })
				events := h.about(MTUTooSmall)
				if len(events) != 1 || h.trouble(LinksNarrow) != 1 {
					t.Fatalf("told %d times, counted %d", len(events), h.trouble(LinksNarrow))
				}
				if e := events[0]; e.Name != "host2" || e.Origin.Link != 1 || e.Room != h.node.Room() {
					t.Errorf("told of link %d to %q, room for %d", e.Origin.Link, e.Name, e.Room)
				}
				if room := h.node.Room(); room > tt.passes || tt.loss == 0 && room <= tt.passes-probeGrain {
					t.Errorf("room for %d, %d pass", room, tt.passes)
				}
				s := h.node.Status()
				if want := [maxLinks]int{1: h.node.Room() + frameOverhead}; s.Narrow != want || s.Frame != want[1] {
					t.Errorf("the status has frames of %d bytes, links that take %v, want %v", s.Frame, s.Narrow, want)
				}
				// Nothing is lost by it, and nobody else has less room.
				w.churn(3*time.Second, 200, 1000, w.hosts...)
				w.run(3 * time.Second)
				w.wantEqual()
				for _, other := range w.hosts[1:] {
					if other.node.Room() != fullRoom || len(other.about(MTUTooSmall)) > 0 {
						t.Errorf("host %d has room for %d", other.index, other.node.Room())
					}
				}
				before := h.node.Room()
				w.run(2 * probeInterval)
				if room := h.node.Room(); room > tt.passes || tt.loss == 0 && room < before || len(h.about(MTUBack)) > 0 {
					t.Errorf("later room for %d, before %d", room, before)
				}

				broken = false
				w.run(probeInterval+20*time.Second, func() bool { return len(h.about(MTUBack)) > 0 })
				if back := h.about(MTUBack); len(back) != 1 || back[0].Origin.Link != 1 || h.node.Room() != fullRoom {
					t.Errorf("told %d times that it is back, room for %d", len(back), h.node.Room())
				}
				if s := h.node.Status(); s.Narrow != [maxLinks]int{} || s.Frame != fullRoom+frameOverhead {
					t.Errorf("it is back, and the status has frames of %d bytes, links that take %v", s.Frame, s.Narrow)
				}
			})
		}
	})
}

// Where the long ones never passed, it is found before anybody gives up.
func TestANarrowLinkIsFoundWhileJoining(t *testing.T) {
	seeds(t, 5, func(t *testing.T, seed uint64) {
		w := newWide(t, seed, 2, 1)
		w.narrow = func(from, to *host, link int) int { return 1000 }
		w.hosts[0].fill(0, 5000)
		w.hosts[0].start()
		w.run(7 * time.Second)
		w.hosts[1].start()
		if !w.run(time.Minute, func() bool {
			m, x, d := w.hosts[1].differences()
			return w.synced() && m+x+d == 0
		}) {
			w.wantEqual()
		}
		w.run(20 * time.Second)
		for _, h := range w.hosts {
			if room := h.node.Room(); room > 1000 || room <= 1000-probeGrain {
				t.Errorf("host %d has room for %d", h.index, room)
			}
		}
	})
}

// A peer that answers no probe at all says nothing about the link.
func TestWhoAnswersNoProbeIsNotWaitedFor(t *testing.T) {
	w := newWide(t, 1, 3, 1)
	w.narrow = func(from, to *host, link int) int {
		if to == w.hosts[2] {
			return MinRoom - 1
		}
		return fullRoom
	}
	w.startAll()
	w.run(2 * time.Minute)
	h := w.hosts[0]
	if h.node.Room() != fullRoom || len(h.about(MTUTooSmall)) > 0 {
		t.Errorf("room for %d, %d events", h.node.Room(), len(h.about(MTUTooSmall)))
	}
	w.narrow = func(from, to *host, link int) int {
		if to == w.hosts[1] {
			return 900
		}
		return MinRoom - 1
	}
	w.run(time.Minute)
	if h.node.Room() > 900 {
		t.Errorf("room for %d: the silent peer hides the other one", h.node.Room())
	}
}

// A link that nobody is on any more limits nobody.
func TestADeadLinkGivesItsRoomBack(t *testing.T) {
	w := newWide(t, 1, 2, 2)
	w.narrow = func(from, to *host, link int) int { return fullRoom - 500*link }
	w.joinWide()
	w.run(10 * time.Second)
	h := w.hosts[0]
	if room := h.node.Room(); room > fullRoom-500 {
		t.Fatalf("room for %d", room)
	}
	w.slow = func(link int) time.Duration { return -time.Duration(link) }
	w.run(2 * probeInterval)
	if h.node.Room() != fullRoom {
		t.Errorf("room for %d", h.node.Room())
	}
}

func TestANarrowLinkIsFoundAgainBehindAnOutage(t *testing.T) {
	w := newWide(t, 1, 2, 1)
	w.narrow = func(from, to *host, link int) int { return 1000 }
	w.joinWide()
	h := w.hosts[0]
	if h.node.Room() > 1000 {
		t.Fatalf("room for %d", h.node.Room())
	}
	w.cut = func(a, b *host) bool { return true }
	w.run(probeInterval + 10*time.Second)
	w.cut = nil
	w.run(probeInterval / 2)
	if room := h.node.Room(); room > 1000 || room <= 1000-probeGrain {
		t.Errorf("room for %d", room)
	}
}

func TestAnotherRoomIsProbedAtOnce(t *testing.T) {
	w := newWide(t, 1, 2, 1)
	w.narrow = func(from, to *host, link int) int { return 1000 }
	for _, h := range w.hosts {
		h.w.room = 900
	}
	w.joinWide()
	h := w.hosts[0]
	if h.node.Room() != 900 || len(h.about(MTUTooSmall)) > 0 {
		t.Fatalf("room for %d", h.node.Room())
	}
	w.room = fullRoom
	h.node.SetRoom(fullRoom)
	w.run(10 * time.Second)
	if room := h.node.Room(); room > 1000 || room <= 1000-probeGrain {
		t.Errorf("room for %d", room)
	}
	h.node.SetRoom(700)
	if h.node.Room() != 700 {
		t.Errorf("room for %d, set to 700", h.node.Room())
	}
}

// However many come, few are answered.
func TestAnswersToProbesAreFew(t *testing.T) {
	w, _ := conversation(t)
	h, peer := w.hosts[0], w.hosts[1]
	before := h.count(SentProbeAcks)
	for i := range 1000 {
		body, err := block.AppendProbe(make([]byte, block.HeaderSize), 100)
		if err != nil {
			t.Fatal(err)
		}
		peer.node.head(body)
		w.inject(h, peer.addr, body, time.Duration(i)*time.Millisecond)
	}
	w.run(1500 * time.Millisecond)
	answered, ignored := h.count(SentProbeAcks)-before, h.trouble(ProbesIgnored)
	if answered < probeAnswers || answered > 2*probeAnswers || answered+ignored != 1000 {
		t.Errorf("%d answered, %d ignored", answered, ignored)
	}
}

// Answers that nobody asked for, or of another's probe, change nothing.
func TestOtherAnswersChangeNothing(t *testing.T) {
	w := newWide(t, 1, 2, 1)
	w.narrow = func(from, to *host, link int) int { return 1000 }
	w.joinWide()
	h, peer := w.hosts[0], w.hosts[1]
	w.run(10 * time.Second)
	before := h.node.Room()
	if before > 1000 {
		t.Fatalf("room for %d", before)
	}
	for i := range 20000 {
		ack := block.ProbeAck{Peer: h.node.cfg.Self, Number: h.node.number/2 + 1}
		if i%2 == 0 {
			ack = block.ProbeAck{Peer: peer.node.cfg.Self, Number: h.node.number}
		}
		body, err := block.AppendProbeAck(make([]byte, block.HeaderSize), &ack)
		if err != nil {
			t.Fatal(err)
		}
		peer.node.head(body)
		w.inject(h, peer.addr, body, 0)
		w.run(2 * time.Millisecond)
	}
	if h.node.Room() != before || len(h.about(MTUBack)) > 0 {
		t.Errorf("room for %d, before %d", h.node.Room(), before)
	}
}

// The link begins to lose long frames just as a snapshot was asked for: those that
// were built for more never come, however often they are sent, and short ones do.
func TestASnapshotWhoseChunksDoNotPassIsBegunAnew(t *testing.T) {
	seeds(t, 3, func(t *testing.T, seed uint64) {
		w := newWide(t, seed, 2, 1)
		donor, joiner := w.hosts[0], w.hosts[1]
		donor.fill(0, 3000)
		donor.start()
		w.run(12*time.Second, w.synced)
		w.narrow = func(from, _ *host, _ int) int {
			if from == donor && joiner.count(SentRequests) > 0 {
				return 800
			}
			return fullRoom
		}
		joiner.start()
		if !w.run(30*time.Second, w.synced) {
			t.Fatalf("joining for 30 s, with %d of %d entries", len(joiner.table), len(donor.table))
		}
		w.wantEqual()
	})
}
