package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// fakeTable finds an object by its key.
type fakeTable struct{ kernel *kernel }

var errNoSelector = errors.New("no key of 4 bytes")

func (f fakeTable) Class() block.Class { return testClass }

func (f fakeTable) Find(ctx context.Context, selector []byte, room int) (found peering.Findings, err error) {
	if len(selector) != 4 {
		return found, errNoSelector
	}
	key := binary.BigEndian.Uint32(selector)
	var slow time.Duration
	f.kernel.do(func(k *kernel) {
		slow = k.slow
		if value, ok := k.table[key]; ok {
			m := block.MarkTold
			if k.owned[key] {
				m |= block.MarkOwned
			}
			found.Marks, found.Objects = []block.Marks{m}, appendEntries(nil, [][2]uint32{{key, value}})
		}
	})
	select {
	case <-time.After(slow):
	case <-ctx.Done():
	}
	return found, ctx.Err()
}

func keyed(key uint32) []byte { return binary.BigEndian.AppendUint32(nil, key) }

// asked is what peers answered.
type asked map[uint32]block.Answer

func (a asked) take(p block.Peer, answer *block.Answer) { a[p.Sender] = *answer }

func TestPeersAreAskedForObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(lan)
		a, b := pair(t, l)
		start(t, 3, newKernel(), testSettings(), l)
		b.kernel.set(7, 1)
		pass(5 * time.Second)
		got := asked{}
		silent, err := a.Ask(t.Context(), testClass, keyed(7), got.take)
		if err != nil || len(silent) != 0 || len(got) != 2 {
			t.Fatalf("%v are silent, answers %v, %v", silent, got, err)
		}
		if m := got[2].Marks; len(m) != 1 || m[0] != block.MarkOwned|block.MarkTold {
			t.Errorf("the owner says %v", m)
		}
		if m := got[3].Marks; len(m) != 1 || m[0] != block.MarkTold {
			t.Errorf("who has a copy says %v", m)
		}
		for _, tt := range []struct {
			name     string
			class    block.Class
			selector []byte
		}{{"a class that is not carried", testClass + 1, keyed(7)}, {"a selector that is none", testClass, []byte("x")}} {
			got := asked{}
			if _, err := a.Ask(t.Context(), tt.class, tt.selector, got.take); err != nil || !got[2].Failed || !got[3].Failed {
				t.Errorf("%s: %+v, %v", tt.name, got, err)
			}
		}
	})
}

// News goes on while a table is searched for somebody.
func TestNobodyWaitsForAQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, new(lan))
		table := newKernel()
		table.slow = 3 * time.Second
		b.finder.tables = []Table{fakeTable{table}}
		done := make(chan error, 1)
		ctx, stop := context.WithTimeout(t.Context(), 4*time.Second)
		defer stop()
		go func() {
			_, err := a.Ask(ctx, testClass, keyed(7), asked{}.take)
			done <- err
		}()
		pass(time.Second)
		b.kernel.set(1, 1)
		pass(2 * testPeriod)
		equal(t, a, b)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestWhoDoesNotAnswerIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, new(lan))
		b.kernel.do(func(k *kernel) { k.slow = 10 * time.Second })
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
		defer stop()
		silent, err := a.Ask(ctx, testClass, keyed(7), asked{}.take)
		if err != nil || len(silent) != 1 || silent[0].Sender != 2 {
			t.Errorf("%v are silent, %v", silent, err)
		}
	})
}

func TestATableOfAPeerIsInspected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, new(lan))
		for key := range uint32(1000) {
			b.kernel.set(key, 1)
		}
		pass(time.Second)
		equal(t, a, b)
		a.kernel.do(func(k *kernel) { clear(k.table) })
		s, err := a.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		entries := 0
		take := func(blocks block.Blocks) {
			for ad := (block.Advert{}); blocks.NextAdvert(testClass, &ad); {
				entries += ad.Count
			}
		}
		if err := a.Inspect(t.Context(), s.Peers[0].Peer, testClass, take); err != nil || entries != 1000 {
			t.Errorf("%d entries, %v", entries, err)
		}
		if n := len(a.kernel.copy()); n != 0 {
			t.Errorf("%d entries were applied", n)
		}
		if err := a.Inspect(t.Context(), block.Peer{Sender: 9}, testClass, take); !errors.Is(err, peering.ErrNoPeer) {
			t.Errorf("a stranger: %v", err)
		}
		// One that stops in its midst is an error, and so is one who asks no more.
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := a.Inspect(ctx, s.Peers[0].Peer, testClass, take); !errors.Is(err, context.Canceled) {
			t.Errorf("a context that is done: %v", err)
		}
		if err := b.stop(); err != nil {
			t.Fatal(err)
		}
		if err := a.Inspect(t.Context(), s.Peers[0].Peer, testClass, take); !errors.Is(err, peering.ErrPeer) {
			t.Errorf("a peer that stopped: %v", err)
		}
	})
}
