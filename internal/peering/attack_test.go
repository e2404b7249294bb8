package peering

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// recorded is what somebody overheard.
type recorded struct {
	from *host
	body []byte
}

// record keeps everything that is sent.
func (w *world) record() *[]recorded {
	var all []recorded
	w.spy = func(from, _ *host, body []byte) {
		all = append(all, recorded{from, slices.Clone(body)})
	}
	return &all
}

// replay sends it all again to a host, in order, and then lets time pass.
func (w *world) replay(to *host, all []recorded) {
	for _, r := range all {
		w.inject(to, r.from.addr, r.body, 0)
	}
	w.run(3 * time.Second)
}

// acquaintance is two hosts that are synced, recorded since their start.
func acquaintance(t *testing.T) (w *world, all *[]recorded) {
	w = newWorld(t, 1, 2)
	all = w.record()
	w.startAll()
	w.run(12*time.Second, w.synced)
	return w, all
}

// conversation is two synced hosts that had things to tell, recorded.
func conversation(t *testing.T) (*world, []recorded) {
	w, all := acquaintance(t)
	w.churn(2*time.Second, 50, 200, w.hosts...)
	w.run(time.Second)
	w.spy = nil
	return w, *all
}

// state is what no attack may change.
func (h *host) state() (map[uint32]row, block.State, int) {
	table := map[uint32]row{}
	for k, r := range h.table {
		table[k] = r
	}
	return table, h.node.State(), h.count(Applied)
}

func TestReplayWithinAStartIsDropped(t *testing.T) {
	w, all := conversation(t)
	h := w.hosts[0]
	_, state, applied := h.state()
	w.replay(h, all)
	if h.count(Applied) != applied || h.node.State() != state {
		t.Errorf("%v, applied %d frames", h.node.State(), h.count(Applied)-applied)
	}
	if h.trouble(Replayed) == 0 || h.trouble(Own) == 0 {
		t.Errorf("%d replayed, %d own", h.trouble(Replayed), h.trouble(Own))
	}
	w.wantEqual()
}

// What was sent before the proof was never new, and is a replay as well.
func TestReplayFromBeforeTheProofIsNoDuplicate(t *testing.T) {
	w, all := acquaintance(t)
	w.spy = nil
	w.replay(w.hosts[0], *all)
	if h := w.hosts[0]; h.count(Duplicates) > 0 || h.trouble(Replayed) == 0 {
		t.Errorf("%d duplicates, %d replayed", h.count(Duplicates), h.trouble(Replayed))
	}
}

// The sender started anew: its earlier start cannot prove that it is there.
func TestReplayAcrossARestartOfTheSenderIsDropped(t *testing.T) {
	w, all := conversation(t)
	w.hosts[1].stop()
	w.hosts[1].start()
	w.run(12*time.Second, w.synced)
	w.run(70 * time.Second) // the earlier start is forgotten
	h := w.hosts[0]
	_, _, applied := h.state()
	w.replay(h, all)
	if n := h.count(Applied) - applied; n != 0 {
		t.Errorf("applied %d frames", n)
	}
	if h.trouble(UnprovenAdvert) == 0 || h.trouble(EchoWrong) == 0 || h.happened(TwinPeers) > 0 {
		t.Errorf("%d unproven adverts, %d wrong echoes, events %v", h.trouble(UnprovenAdvert), h.trouble(EchoWrong), h.events)
	}
	w.wantEqual()
}

// The receiver started anew, and the sender is gone: nobody answers.
func TestReplayAcrossARestartOfTheReceiverIsDropped(t *testing.T) {
	w, all := conversation(t)
	w.hosts[1].die()
	h := w.hosts[0]
	h.die()
	h.start()
	w.replay(h, all)
	w.run(5 * time.Second)
	if len(h.table) != 0 || h.count(Applied) != 0 || h.count(Proofs) != 0 {
		t.Errorf("%d entries, %d frames applied, %d proofs", len(h.table), h.count(Applied), h.count(Proofs))
	}
	if h.node.State() != block.StateSyncedAlone {
		t.Errorf("it is %v", h.node.State())
	}
	if h.trouble(UnprovenAdvert) == 0 {
		t.Error("none was counted")
	}
}

// Two directors that forgot each other hear each other again. Somebody sends, over and
// over and from elsewhere, the challenges that they once proved themselves by: the
// answers are not to go there instead of to the peer.
func TestReplayedChallengesDoNotKeepDirectorsApart(t *testing.T) {
	w, all := acquaintance(t)
	w.spy = nil
	var challenges []recorded
	for _, r := range *all {
		body, err := block.Parse(r.body)
		if err != nil {
			t.Fatal(err)
		}
		var b block.Block
		for blocks := body.Blocks(); blocks.Next(&b); {
			if b.Type == block.TypeChallenge {
				challenges = append(challenges, r)
				break
			}
		}
	}
	w.cut = func(a, b *host) bool { return true }
	w.run(forgetProven + 10*time.Second)
	w.cut = nil
	elsewhere := Origin{Addr: netip.MustParseAddrPort("10.0.3.200:114")}
	for range 500 {
		for _, r := range challenges {
			w.inject(w.hosts[1-r.from.index], elsewhere, r.body, 0)
		}
		w.run(10 * time.Millisecond)
	}
	for _, h := range w.hosts {
		if h.node.livePeers() != 1 {
			t.Errorf("host %d does not have its peer 5 s later", h.index)
		}
	}
}

// forged is a body of a sender that never proved anything.
func forged(number uint64, blocks ...func([]byte) []byte) []byte {
	body := make([]byte, block.HeaderSize)
	h := block.Header{Peer: block.Peer{Sender: 666, Start: block.StartID{6}}, Number: number}
	h.Put(body)
	for _, b := range blocks {
		body = b(body)
	}
	return body
}

// An unproven peer can do nothing, whatever it sends; each is counted under its
// own name.
func TestAnUnprovenPeerChangesNothing(t *testing.T) {
	self := func(h *host) block.Peer { return h.node.cfg.Self }
	for _, tt := range []struct {
		name  string
		block func(h *host, dst []byte) ([]byte, error)
		want  Trouble
	}{
		{"advert", func(h *host, dst []byte) ([]byte, error) {
			dst, _ = h.appendEntries(dst, simRoom, []uint32{77})
			block.Stamp(dst, 5, 0)
			return dst, nil
		}, UnprovenAdvert},
		{"NACK", func(h *host, dst []byte) ([]byte, error) {
			return block.AppendNack(dst, self(h), []block.Range{{First: 1, Count: 10}})
		}, UnprovenNack},
		{"NACK of another's", func(h *host, dst []byte) ([]byte, error) {
			return block.AppendNack(dst, self(h.w.hosts[1]), []block.Range{{First: 1, Count: 10}})
		}, UnprovenNack},
		{"GONE", func(h *host, dst []byte) ([]byte, error) {
			return block.AppendGone(dst, block.Gone{First: 1, Last: 100})
		}, UnprovenGone},
		{"snapshot request", func(h *host, dst []byte) ([]byte, error) {
			return block.AppendSnapshotRequest(dst, &block.SnapshotRequest{Peer: self(h), Request: 1, Classes: 2})
		}, UnprovenRequest},
		{"snapshot chunk", func(h *host, dst []byte) ([]byte, error) {
			dst, _ = h.appendEntries(dst, simRoom-chunkBlock, []uint32{77})
			return block.AppendSnapshotChunk(dst, &block.SnapshotChunk{Peer: self(h), Request: 1, Last: true})
		}, UnprovenChunk},
		{"snapshot ACK", func(h *host, dst []byte) ([]byte, error) {
			return block.AppendSnapshotAck(dst, &block.SnapshotAck{Peer: self(h), Request: 1}, nil)
		}, UnprovenAck},
		{"probe", func(h *host, dst []byte) ([]byte, error) { return block.AppendProbe(dst, 100) }, UnprovenOther},
		{"probe ACK", func(h *host, dst []byte) ([]byte, error) {
			return block.AppendProbeAck(dst, &block.ProbeAck{Peer: self(h), Number: 1})
		}, UnprovenOther},
		{"query", func(h *host, dst []byte) ([]byte, error) {
			return block.AppendQuery(dst, &block.Query{Peer: self(h), Query: 1, Class: block.ClassIPVS})
		}, UnprovenQuery},
		{"answer", func(h *host, dst []byte) ([]byte, error) {
			return block.AppendAnswer(dst, &block.Answer{Peer: self(h), Query: 1}, nil)
		}, UnprovenAnswer},
		{"challenge to another start", func(h *host, dst []byte) ([]byte, error) {
			return block.AppendChallenge(dst, &block.Challenge{Peer: block.Peer{Sender: h.id}})
		}, ChallengeStale},
		{"echo of what was not asked", func(h *host, dst []byte) ([]byte, error) {
			return block.AppendEcho(dst, &block.Challenge{Peer: self(h)})
		}, EchoWrong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, _ := conversation(t)
			h := w.hosts[0]
			h.table[77] = row{1, w.now, true}
			w.truth[77] = 1
			w.hosts[1].table[77] = row{1, w.now, false}
			table, state, applied := h.state()
			sent := [...]int{h.count(SentAgain), h.count(SentChunks), h.count(SentEchoes), h.count(SentGone), h.count(SentRefusals), h.count(SentAnswers)}
			for number := range uint64(20) {
				w.inject(h, Origin{}, forged(1+number, func(dst []byte) []byte {
					dst, err := tt.block(h, dst)
					if err != nil {
						t.Fatal(err)
					}
					return dst
				}), time.Duration(number)*10*time.Millisecond)
			}
			w.run(2 * time.Second)
			if h.trouble(tt.want) < 20 {
				t.Errorf("%d of 20 counted", h.trouble(tt.want))
			}
			after, stateAfter, appliedAfter := h.state()
			if state != stateAfter || applied != appliedAfter || len(table) != len(after) || after[77] != table[77] {
				t.Errorf("%v, %d applied, %d entries", stateAfter, appliedAfter-applied, len(after))
			}
			if now := [...]int{h.count(SentAgain), h.count(SentChunks), h.count(SentEchoes), h.count(SentGone), h.count(SentRefusals), h.count(SentAnswers)}; now != sent {
				t.Errorf("it was answered: %v, before %v", now, sent)
			}
			w.wantEqual()
		})
	}
}

// A challenge is answered once in 100 ms, whoever asks.
func TestEchoesAreFew(t *testing.T) {
	w, _ := conversation(t)
	h := w.hosts[0]
	before := h.count(SentEchoes)
	for number := range uint64(1000) {
		w.inject(h, Origin{}, forged(1+number, func(dst []byte) []byte {
			dst, _ = block.AppendChallenge(dst, &block.Challenge{Peer: h.node.cfg.Self, Challenge: [16]byte{1}})
			return dst
		}), time.Duration(number)*time.Millisecond)
	}
	w.run(2 * time.Second)
	if n := h.count(SentEchoes) - before; n < 9 || n > 10 {
		t.Errorf("%d echoes within a second", n)
	}
}

// Recorded frames of many starts do not push out who is there.
func TestManyStartsDoNotPushOutProvenPeers(t *testing.T) {
	w, _ := conversation(t)
	h := w.hosts[0]
	before := h.count(SentChallenges)
	for i := range 1000 {
		body := make([]byte, block.HeaderSize)
		header := block.Header{Peer: block.Peer{Sender: 2, Start: block.StartID{1, byte(i), byte(i >> 8)}}, Number: 1}
		header.Put(body)
		body, _ = block.AppendGone(body, block.Gone{First: 1, Last: 1})
		w.inject(h, w.hosts[1].addr, body, time.Duration(i)*100*time.Microsecond)
	}
	w.run(100 * time.Millisecond)
	if n := len(h.node.peers.all); n != maxPeers {
		t.Errorf("%d peers", n)
	}
	if n := h.count(SentChallenges) - before; n > 3*challengeBurst+maxPeers {
		t.Errorf("%d challenges", n)
	}
	w.hosts[1].update(5)
	w.run(3 * time.Second)
	w.wantEqual()
	if h.happened(PeerForgotten)+h.happened(PeerLost) > 0 {
		t.Errorf("events %v", h.events)
	}
	w.run(forgetUnproven)
	if n := len(h.node.peers.all); n != 1 {
		t.Errorf("%d peers are remembered", n)
	}
}

// A machine was cloned: two directors have one sender ID.
func TestACloneIsAnErrorThatNamesBoth(t *testing.T) {
	w := newWorld(t, 1, 2)
	clone := w.addHost(2, 1)
	w.hosts[0].start()
	w.hosts[1].start()
	w.run(12*time.Second, w.synced)
	clone.start()
	w.run(12*time.Second, w.synced)
	w.churn(2*time.Second, 20, 100, w.hosts...)
	w.run(5 * time.Second)
	w.wantEqual() // and what both send is applied
	var twins []Event
	for _, e := range w.hosts[0].events {
		if e.Kind == TwinPeers {
			twins = append(twins, e)
		}
	}
	if len(twins) != 1 || w.hosts[0].trouble(Twins) == 0 {
		t.Fatalf("told %d times, counted %d", len(twins), w.hosts[0].trouble(Twins))
	}
	e := twins[0]
	if e.Name != "host1" || e.Origin != w.hosts[1].addr || e.OtherName != "host2" || e.OtherOrigin != clone.addr {
		t.Errorf("names %q at %v and %q at %v", e.Name, e.Origin, e.OtherName, e.OtherOrigin)
	}
	for _, h := range []*host{w.hosts[1], clone} {
		if h.happened(TwinOfOurs) != 1 {
			t.Errorf("host %d was told %d times of its twin", h.index, h.happened(TwinOfOurs))
		}
	}
}

// It was cloned while it ran: even the start ID is the same.
func TestAFrameOfOursThatWeNeverSentIsOfAClone(t *testing.T) {
	w, all := conversation(t)
	h := w.hosts[0]
	w.replay(h, all)
	if h.happened(ClonedWhileRunning) > 0 {
		t.Error("takes a replay for a clone")
	}
	body := forged(1, func(dst []byte) []byte { return h.node.appendHeartbeat(dst) })
	header := block.Header{Peer: h.node.cfg.Self, Number: h.node.number + 100}
	header.Put(body)
	for range 2 {
		w.inject(h, w.hosts[1].addr, body, 0)
	}
	w.run(10 * time.Millisecond)
	if h.happened(ClonedWhileRunning) != 1 || h.trouble(Twins) != 2 {
		t.Errorf("told %d times, counted %d", h.happened(ClonedWhileRunning), h.trouble(Twins))
	}
}

func TestReflectedFramesAreDropped(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.reflect = true
	w.startAll()
	w.run(12*time.Second, w.synced)
	w.churn(time.Second, 20, 100, w.hosts...)
	w.run(2 * time.Second)
	w.wantEqual()
	for _, h := range w.hosts {
		if h.trouble(Own) == 0 || h.happened(TwinOfOurs) > 0 || len(h.node.peers.all) != 1 {
			t.Errorf("host %d: %d own, %d peers", h.index, h.trouble(Own), len(h.node.peers.all))
		}
	}
}
