package peering

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// finder keeps what is asked for, and answers when it is told to.
type finder struct{ asked []Lookup }

func (f *finder) Find(l Lookup) { f.asked = append(f.asked, l) }

// found is an answer with one object.
func (h *host) found(key uint32) *Findings {
	objects, _ := h.appendEntries(nil, simRoom, []uint32{key})
	return &Findings{Marks: []block.Marks{block.MarkOwned}, Objects: objects, Adverts: []time.Duration{1500 * time.Millisecond}}
}

// asking is two synced hosts, of which the second can be asked.
func asking(t *testing.T) (w *world, f *finder) {
	w = newWorld(t, 1, 2)
	w.startAll()
	w.run(12*time.Second, w.synced)
	w.run(2 * time.Second)
	w.hosts[1].update(5)
	f = new(finder)
	w.hosts[1].node.Finder = f
	return w, f
}

// answers are what came of a question.
type answers map[block.Peer]block.Answer

func (a answers) take(p block.Peer, answer *block.Answer) { a[p] = *answer }

func TestAQuestionIsAnsweredByWhoeverIsThere(t *testing.T) {
	w, f := asking(t)
	a, b := w.hosts[0], w.hosts[1]
	got := answers{}
	q := a.node.Inquire(block.ClassIPVS, []byte("which"), got.take)
	w.run(10 * time.Millisecond)
	if len(f.asked) != 1 || string(f.asked[0].Selector) != "which" || f.asked[0].Class != block.ClassIPVS || f.asked[0].Room < 400 {
		t.Fatalf("looked for %+v", f.asked)
	}
	a.node.AskAgain(q) // it is being looked for
	w.run(10 * time.Millisecond)
	b.node.Found(&f.asked[0], b.found(5))
	w.run(10 * time.Millisecond)
	answer, ok := got[b.node.cfg.Self]
	if !ok || len(f.asked) != 1 || answer.Failed || answer.More || len(answer.Marks) != 1 || answer.Marks[0] != block.MarkOwned {
		t.Errorf("%d lookups, answer %+v", len(f.asked), answer)
	}
	if len(answer.Adverts) != 1 || answer.Adverts[0] != 1500*time.Millisecond {
		t.Errorf("told last: %v", answer.Adverts)
	}
	if len(q.Open()) != 0 {
		t.Errorf("%v have not answered", q.Open())
	}
	a.node.CloseInquiry(q)
	b.node.Found(&f.asked[0], b.found(5)) // nobody is looking any more
	w.run(10 * time.Millisecond)
	if n := b.count(SentAnswers); n != 1 {
		t.Errorf("%d answers", n)
	}
}

func TestALostQuestionIsAskedAgain(t *testing.T) {
	w, f := asking(t)
	a, b := w.hosts[0], w.hosts[1]
	got := answers{}
	w.cut = func(from, _ *host) bool { return from == a }
	q := a.node.Inquire(block.ClassIPVS, nil, got.take)
	w.run(10 * time.Millisecond)
	w.cut = nil
	if len(f.asked) != 0 || len(q.Open()) != 1 {
		t.Fatalf("%d lookups, open at %v", len(f.asked), q.Open())
	}
	a.node.AskAgain(q)
	w.run(10 * time.Millisecond)
	b.node.Found(&f.asked[0], &Findings{Failed: true})
	w.run(10 * time.Millisecond)
	if answer := got[b.node.cfg.Self]; !answer.Failed {
		t.Errorf("answer %+v", answer)
	}
}

// Reading tables for others has its bounds, and what is over them is counted.
func TestQuestionsAreAnsweredAtABoundedRate(t *testing.T) {
	w, f := asking(t)
	a, b := w.hosts[0], w.hosts[1]
	ask := func() {
		if q := a.node.Inquire(block.ClassIPVS, nil, answers{}.take); q != nil {
			a.node.CloseInquiry(q)
		}
		w.run(time.Millisecond)
	}
	for range 6 {
		ask()
	}
	if len(f.asked) != maxLookups || b.trouble(QueriesIgnored) != 6-maxLookups {
		t.Errorf("%d lookups at once, %d ignored", len(f.asked), b.trouble(QueriesIgnored))
	}
	for range 10 {
		for i := range f.asked {
			b.node.Found(&f.asked[i], &Findings{})
		}
		ask()
	}
	if len(f.asked) > queriesAnswered {
		t.Errorf("%d lookups within a second", len(f.asked))
	}
	if got := len(f.asked) + b.trouble(QueriesIgnored); got != 16 {
		t.Errorf("%d of 16 looked up or counted", got)
	}
}

func TestWhatIsNotAskedIsNoAnswer(t *testing.T) {
	w, f := asking(t)
	a, b := w.hosts[0], w.hosts[1]
	q := a.node.Inquire(block.ClassIPVS, nil, func(block.Peer, *block.Answer) { t.Error("it was taken") })
	w.run(10 * time.Millisecond)
	a.node.CloseInquiry(q)
	b.node.Found(&f.asked[0], b.found(5))
	w.run(10 * time.Millisecond)
	if n := a.trouble(AnswerUnasked); n != 1 {
		t.Errorf("%d counted", n)
	}
	stale := forgedQuery(a, block.Peer{Sender: b.id, Start: block.StartID{9}})
	a.node.unicast(a.node.peers.index[b.node.cfg.Self], stale)
	w.run(10 * time.Millisecond)
	if n := b.trouble(QueryStale); n != 1 || len(f.asked) != 1 {
		t.Errorf("%d counted, %d lookups", n, len(f.asked))
	}
}

func forgedQuery(from *host, to block.Peer) []byte {
	body, _ := block.AppendQuery(from.node.begin(), &block.Query{Peer: to, Query: 1, Class: block.ClassIPVS})
	return body
}

func TestOpenQuestionsAreFew(t *testing.T) {
	w, _ := asking(t)
	for i := range maxInquiries + 1 {
		if q := w.hosts[0].node.Inquire(block.ClassIPVS, nil, answers{}.take); (q == nil) != (i == maxInquiries) {
			t.Errorf("question %d: %v", i, q)
		}
	}
}

// inspection is what came of one.
type inspection struct {
	entries int
	ended   bool
	err     error
}

func (i *inspection) take(blocks block.Blocks) {
	var a block.Advert
	for blocks.NextAdvert(block.ClassIPVS, &a) {
		i.entries += a.Count
	}
}

func (i *inspection) done(err error) { i.ended, i.err = true, err }

func (i *inspection) begin(w *world, of *host) error {
	_, err := w.hosts[0].node.Inspect(w.now, of.node.cfg.Self, block.ClassesOf(block.ClassIPVS), i.take, i.done)
	return err
}

// A table is handed over whole, at the pace of snapshots, and nothing of it is
// applied.
func TestATableIsInspected(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.hosts[1].fill(0, 3000)
	w.startAll()
	w.run(12*time.Second, w.synced)
	a, b := w.hosts[0], w.hosts[1]
	a.table = map[uint32]row{}
	w.loss = 0.05
	var i inspection
	began := w.now
	if err := i.begin(w, b); err != nil {
		t.Fatal(err)
	}
	if err := new(inspection).begin(w, b); !errors.Is(err, ErrBusy) {
		t.Errorf("a second one: %v", err)
	}
	if s := a.node.Status(); s.Taking != nil {
		t.Error("it is shown as a snapshot that is taken")
	}
	if !w.run(20*time.Second, func() bool { return i.ended }) || i.err != nil || i.entries != 3000 {
		t.Fatalf("%d entries, ended %v: %v", i.entries, i.ended, i.err)
	}
	perBody := (simRoom - block.HeaderSize - chunkBlock - block.HeadSize - block.AdvertHeaderSize) / entrySize
	if least := time.Duration(3000/perBody*repairShare) * time.Second / time.Duration(b.pps+100); w.now.Sub(began) < least {
		t.Errorf("it took %v, a quarter of the pace is %v", w.now.Sub(began), least)
	}
	if len(a.table) != 0 {
		t.Errorf("%d entries were applied", len(a.table))
	}
	if n := a.count(Snapshots); n != 1 {
		t.Errorf("%d snapshots, want that of the start", n)
	}
	// And snapshots that are wanted come afterwards.
	w.loss = 0
	a.node.Resync(w.now, b.id)
	w.run(5 * time.Second)
	w.wantEqual()
}

func TestAnInspectionThatCannotBeEndsWithTheReason(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.hosts[1].fill(0, 3000)
	w.startAll()
	a, b := w.hosts[0], w.hosts[1]
	if err := new(inspection).begin(w, b); !errors.Is(err, ErrNoPeer) {
		t.Errorf("of a stranger: %v", err)
	}
	w.run(12*time.Second, func() bool { return a.node.livePeers() == 1 })
	if err := new(inspection).begin(w, b); !errors.Is(err, ErrJoining) {
		t.Errorf("while joining: %v", err)
	}
	w.run(12*time.Second, w.synced)
	w.run(time.Second)

	b.broken = true
	var refused inspection
	if err := refused.begin(w, b); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	if !errors.Is(refused.err, ErrRefused) {
		t.Errorf("a peer that cannot read: %v", refused.err)
	}
	b.broken = false

	var lost inspection
	if err := lost.begin(w, b); err != nil {
		t.Fatal(err)
	}
	w.run(20 * time.Millisecond)
	b.die()
	w.run(10 * time.Second)
	if !errors.Is(lost.err, ErrPeer) {
		t.Errorf("a peer that died: %v", lost.err)
	}
	b.start()
	w.run(12*time.Second, w.synced)
	var stopped inspection
	i, err := a.node.Inspect(w.now, b.node.cfg.Self, block.ClassesOf(block.ClassIPVS), stopped.take, stopped.done)
	if err != nil {
		t.Fatal(err)
	}
	a.node.StopInspecting(w.now, i)
	w.run(10 * time.Second)
	if stopped.ended {
		t.Error("one that was stopped ended")
	}
}

// A LAST ADVERTS is about the ANSWER that it is before, or about none.
func TestLastAdvertsAreThoseOfTheirAnswer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(*block.LastAdverts)
		behind bool // it stands behind the ANSWER
		want   int
	}{
		{"of it", func(*block.LastAdverts) {}, false, 1},
		{"of another question", func(l *block.LastAdverts) { l.Query++ }, false, 0},
		{"of another director", func(l *block.LastAdverts) { l.Peer.Sender++ }, false, 0},
		{"of more objects", func(l *block.LastAdverts) { l.Ago = append(l.Ago, 0) }, false, 0},
		{"behind it", func(*block.LastAdverts) {}, true, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, f := asking(t)
			a, b := w.hosts[0], w.hosts[1]
			got := answers{}
			a.node.Inquire(block.ClassIPVS, nil, got.take)
			w.run(10 * time.Millisecond)
			lookup, found := f.asked[0], b.found(5)
			l := block.LastAdverts{Peer: lookup.Peer, Query: lookup.Query, Ago: found.Adverts}
			tt.before(&l)
			answer := block.Answer{Peer: lookup.Peer, Query: lookup.Query, Marks: found.Marks}
			parts := []func([]byte) ([]byte, error){
				func(p []byte) ([]byte, error) { return block.AppendLastAdverts(p, &l) },
				func(p []byte) ([]byte, error) { return block.AppendAnswer(p, &answer, found.Objects) },
			}
			if tt.behind {
				slices.Reverse(parts)
			}
			body := b.node.begin()
			for _, part := range parts {
				var err error
				if body, err = part(body); err != nil {
					t.Fatal(err)
				}
			}
			b.node.unicast(b.node.peers.index[a.node.cfg.Self], body)
			w.run(10 * time.Millisecond)
			if answer, ok := got[b.node.cfg.Self]; !ok || len(answer.Adverts) != tt.want || len(answer.Marks) != 1 {
				t.Errorf("%v: %+v", ok, answer)
			}
			if n := a.trouble(UnknownBlock); n != 0 {
				t.Errorf("%d blocks are unknown", n)
			}
		})
	}
}
