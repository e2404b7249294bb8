package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// pair returns two directors that are synced.
func pair(t *testing.T, lans ...*lan) (a, b *host) {
	t.Helper()
	a = start(t, 1, newKernel(), testSettings(), lans...)
	b = start(t, 2, newKernel(), testSettings(), lans...)
	pass(5 * time.Second)
	for _, h := range []*host{a, b} {
		if s := h.state(t); s != block.StateSynced {
			t.Fatalf("%s is %v", h.cfg.Name, s)
		}
	}
	return a, b
}

func equal(t *testing.T, a, b *host) {
	t.Helper()
	one, other := a.kernel.copy(), b.kernel.copy()
	if !maps.Equal(one, other) {
		t.Errorf("%s has %d objects, %s %d, or others", a.cfg.Name, len(one), b.cfg.Name, len(other))
	}
}

func TestNewsIsAtThePeerAPeriodLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, new(lan))
		for key := range uint32(1000) {
			a.kernel.set(key, 1)
		}
		pass(2 * testPeriod)
		equal(t, a, b)
	})
}

func TestNewsSaysHowLongItWasHeldWhileItWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slow = 30 * time.Millisecond
		a, b := pair(t, new(lan))
		a.kernel.do(func(k *kernel) { k.slow = slow })
		a.kernel.set(1, 1)
		pass(3 * testPeriod)
		equal(t, a, b)
		b.kernel.do(func(k *kernel) {
			if k.held != slow {
				t.Errorf("held for %v, want %v", k.held, slow)
			}
		})
	})
}

func TestLateJoinerIsMadeWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(lan)
		a, b := pair(t, l)
		for key := range uint32(2000) {
			a.kernel.set(key, 1)
			b.kernel.set(10000+key, 2)
		}
		pass(time.Second)
		c := start(t, 3, newKernel(), testSettings(), l)
		pass(100 * time.Millisecond)
		if s := c.state(t); s != block.StateJoining {
			t.Errorf("after 100 ms it is %v", s)
		}
		pass(5 * time.Second)
		if s := c.state(t); s != block.StateSynced {
			t.Errorf("it is %v", s)
		}
		equal(t, a, c)
	})
}

func TestLostFramesAreSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(lan)
		a, b := pair(t, l)
		n := 0
		l.mu.Lock()
		l.lose = func([]byte) bool { n++; return n%5 == 0 }
		l.mu.Unlock()
		for key := range uint32(3000) {
			a.kernel.set(key, 1)
		}
		pass(10 * time.Second)
		equal(t, a, b)
	})
}

func TestOneOfTwoLinksMayFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := new(lan), new(lan)
		a, b := pair(t, first, second)
		a.links[0].do(func(l *fakeLink) { l.broken = errors.New("interface sync0 is down") })
		for key := range uint32(500) {
			a.kernel.set(key, 1)
		}
		pass(time.Second)
		equal(t, a, b)
		if n := a.counters.Troubles.Value(LinkFailed); n != 1 {
			t.Errorf("%d failures of links, want 1", n)
		}
		if n := len(a.links); n != 3 {
			t.Errorf("%d links were opened, want the first two, and the failed one again", n)
		}
		if !strings.Contains(a.log.String(), "interface sync0 is down") || !strings.Contains(a.log.String(), "link is open again") {
			t.Errorf("it did not say so:\n%s", a.log)
		}
	})
}

func TestObjectsThatFailAreOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, new(lan))
		b.kernel.do(func(k *kernel) { k.failing = errors.New("module unloaded") })
		for key := range uint32(500) {
			a.kernel.set(key, 1)
		}
		pass(3 * time.Second)
		if why := b.failing(t); len(why) != 1 || why[testClass] == nil || why[testClass].Error() != "module unloaded" {
			t.Errorf("what fails is %v", why)
		}
		b.kernel.do(func(k *kernel) { k.failing = nil })
		for key := range uint32(500) {
			b.kernel.set(1000+key, 2)
		}
		pass(10 * time.Second)
		equal(t, a, b)
		if b.kernel.opens != 2 {
			t.Errorf("opened %d times, want 2", b.kernel.opens)
		}
		if why := b.failing(t); len(why) > 0 {
			t.Errorf("it goes on to fail: %v", why)
		}
	})
}

// What a joiner's donor sends while the objects cannot be used is lost, and nobody
// else owns it: the joiner is not synced without it.
func TestObjectsThatFailWhileJoiningMissNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(lan)
		slow := testSettings()
		slow.MaxPPS = 40
		copies := newKernel()
		for key := range uint32(2000) {
			copies.table[key] = 1
		}
		a := start(t, 1, copies, slow, l)
		pass(6 * time.Second)
		b := start(t, 2, newKernel(), testSettings(), l)
		pass(1500 * time.Millisecond)
		b.kernel.do(func(k *kernel) { k.failing = errors.New("module unloaded") })
		pass(1500 * time.Millisecond)
		b.kernel.do(func(k *kernel) { k.failing = nil })
		for range 100 {
			if pass(100 * time.Millisecond); b.state(t) != block.StateJoining {
				break
			}
		}
		if s := b.state(t); s != block.StateSynced {
			t.Errorf("it is %v", s)
		}
		equal(t, a, b)
	})
}

func TestLostNewsIsMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, new(lan))
		a.kernel.do(func(k *kernel) {
			for key := range uint32(500) { // not in the queue
				k.table[key], k.owned[key] = 1, true
			}
			k.lost = true
		})
		pass(2 * time.Second)
		equal(t, a, b)
	})
}

func TestWhatIsDueIsToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, new(lan))
		a.kernel.do(func(k *kernel) {
			for key := range uint32(500) {
				k.table[key], k.owned[key] = 1, true
				k.due = append(k.due, key)
			}
		})
		pass(3 * time.Second)
		equal(t, a, b)
		if a.counters.Counts.Value(SentSwept) == 0 {
			t.Error("no sweep told it")
		}
	})
}

func TestCaptureIsPausedWhileAnotherOwnsTheObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, new(lan))
		a.kernel.do(func(k *kernel) { k.pause = errors.New("the in-kernel master runs") })
		a.kernel.set(1, 1)
		pass(time.Second)
		if n := len(b.kernel.copy()); n != 0 {
			t.Errorf("%d objects told meanwhile", n)
		}
		a.kernel.do(func(k *kernel) { k.pause = nil })
		pass(time.Second)
		equal(t, a, b)
		if n := strings.Count(a.log.String(), "the in-kernel master runs"); n != 1 {
			t.Errorf("said %d times, want once", n)
		}
	})
}

func TestNewsWaitsInTheKernelForThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(lan)
		s := testSettings()
		s.MaxPPS = 10
		a := start(t, 1, newKernel(), s, l)
		b := start(t, 2, newKernel(), testSettings(), l)
		pass(5 * time.Second)
		for round := range uint32(20) {
			for key := range uint32(1000) {
				a.kernel.set(key, round)
			}
			pass(testPeriod)
		}
		before := a.counters.Peering.Counts.Value(peering.SentNews)
		if before > 15 {
			t.Errorf("%d frames of news in a second, want 10", before)
		}
		pass(4 * time.Second)
		equal(t, a, b)
	})
}

func TestStopSendsWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, new(lan))
		for key := range uint32(5000) {
			a.kernel.set(key, 1)
		}
		if err := a.stop(); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		equal(t, a, b)
	})
}

func TestServicesThatAppearHeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, new(lan))
		b.kernel.do(func(k *kernel) { k.lack[5] = true })
		for key := range uint32(10) {
			a.kernel.set(key, 1)
		}
		pass(3 * time.Second)
		if s := b.state(t); s != block.StateDegraded {
			t.Errorf("without a service it is %v", s)
		}
		pass(2 * time.Minute) // for the back-off
		b.kernel.do(func(k *kernel) { k.lack, k.services = map[uint32]bool{}, 1 })
		pass(5 * time.Second)
		if s := b.state(t); s != block.StateSynced {
			t.Errorf("with the service it is %v", s)
		}
		equal(t, a, b)
	})
}

func TestKeysAreChangedWithoutLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, new(lan))
		next := frame.NewKey([frame.KeySize]byte{2})
		for i, step := range []struct {
			host *host
			keys Keys
		}{
			{a, Keys{Seal: testKeys.Seal, Accepted: next}},
			{b, Keys{Seal: testKeys.Seal, Accepted: next}},
			{a, Keys{Seal: next, Accepted: testKeys.Seal}},
			{b, Keys{Seal: next, Accepted: testKeys.Seal}},
			{a, Keys{Seal: next}},
			{b, Keys{Seal: next}},
		} {
			s := testSettings()
			s.Keys = step.keys
			if err := step.host.Check(s); err != nil {
				t.Fatal(err)
			}
			step.host.Set(s)
			a.kernel.set(uint32(i), 1)
			b.kernel.set(uint32(100+i), 1)
			pass(2 * testPeriod)
			equal(t, a, b)
		}
		for _, h := range []*host{a, b} {
			if n := h.counters.Refused.Value(RefusedKey) + h.counters.Refused.Value(RefusedSeal); n != 0 {
				t.Errorf("%s refused %d frames", h.cfg.Name, n)
			}
		}
	})
}

func TestRefusedMessagesAreCountedByReason(t *testing.T) {
	sealed := func(keys Keys, syncID uint8, body []byte) []byte {
		s, err := keys.sealer(syncID)
		if err != nil {
			t.Fatal(err)
		}
		f, err := s.Seal(nil, body)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	body := make([]byte, block.HeaderSize)
	header := block.Header{Peer: block.Peer{Sender: 9}, Number: 1}
	header.Put(body)
	body, err := block.AppendProbe(body, 10)
	if err != nil {
		t.Fatal(err)
	}
	broken := append([]byte(nil), body...)
	broken[len(broken)-7] = 1 // the length of the block
	other := Keys{Seal: frame.NewKey([frame.KeySize]byte{3})}
	change := func(f []byte, at int, to byte) []byte { f[at] = to; return f }
	flipped := sealed(testKeys, 7, body)
	flipped[50] ^= 1
	for _, c := range []struct {
		what string
		send []byte
		want Refusal
	}{
		{"nothing", nil, RefusedShort},
		{"version 1", make([]byte, 32), RefusedOtherVersion},
		{"another key", sealed(other, 7, body), RefusedKey},
		{"a flipped bit", flipped, RefusedSeal},
		{"no key", sealed(Keys{}, 7, body), RefusedNotSealed},
		{"another cluster", sealed(testKeys, 8, body), RefusedForeignSyncID},
		{"cut off", sealed(testKeys, 7, body)[:60], RefusedSize},
		{"another suite", change(sealed(testKeys, 7, body), 8, 9), RefusedSuite},
		{"a broken block", sealed(testKeys, 7, broken), RefusedBlock},
		{"no body", sealed(testKeys, 7, nil), RefusedBody},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := new(lan)
				h := start(t, 1, newKernel(), testSettings(), l)
				pass(time.Second)
				l.join("10.0.0.9").Send([][]byte{c.send})
				pass(time.Second)
				for name, n := range h.counters.Refused.All() {
					want := uint64(0)
					if name == refusalNames[c.want] {
						want = 1
					}
					if n != want {
						t.Errorf("%s: %d, want %d", name, n, want)
					}
				}
				if n := h.counters.Counts.Value(Opened); n != 0 {
					t.Errorf("%d frames opened", n)
				}
			})
		})
	}
}

func TestRefusalsHaveNames(t *testing.T) {
	for _, e := range openErrors {
		if got := refusal(fmt.Errorf("around it: %w", e.err)); got != e.refusal {
			t.Errorf("%v: %s, want %s", e.err, refusalNames[got], refusalNames[e.refusal])
		}
	}
	if got := refusal(errors.New("something else")); got != RefusedOther {
		t.Errorf("something else: %s", refusalNames[got])
	}
}

// A link with less room makes frames smaller, and nothing is lost by that.
func TestFramesFitTheSmallestLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(lan)
		a, b := pair(t, l)
		for key := range uint32(2000) {
			a.kernel.set(key, 1)
		}
		a.links[0].do(func(l *fakeLink) { l.room = 700 }) // the fake does not take more from now on
		pass(5 * time.Second)
		equal(t, a, b)
	})
}

// A link that loses what is long is found: frames get shorter, and what was lost
// is made up for.
func TestALinkThatLosesLongFramesIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		narrow, other := new(lan), new(lan)
		a, b := pair(t, narrow, other)
		lose := func(f []byte) bool { return len(f) > 900 }
		for _, l := range []*lan{narrow, other} {
			l.mu.Lock()
			l.lose = lose
			l.mu.Unlock()
		}
		for key := range uint32(3000) {
			a.kernel.set(key, 1)
		}
		pass(time.Minute)
		equal(t, a, b)
		for _, h := range []*host{a, b} {
			for _, want := range []string{"a link loses full-size frames", "link=1", "link=2"} {
				if !strings.Contains(h.log.String(), want) {
					t.Errorf("%s did not say %q:\n%s", h.cfg.Name, want, h.log)
				}
			}
		}
		for _, l := range []*lan{narrow, other} {
			l.mu.Lock()
			l.lose = nil
			l.mu.Unlock()
		}
		pass(time.Minute)
		for _, h := range []*host{a, b} {
			if n := strings.Count(h.log.String(), "a link takes full-size frames again"); n != 2 {
				t.Errorf("%s said of %d links that they do again", h.cfg.Name, n)
			}
		}
		for key := range uint32(3000) {
			a.kernel.set(key, 2)
		}
		pass(time.Second)
		equal(t, a, b)
	})
}

func TestRunFailsWhereItCannotBegin(t *testing.T) {
	link := errors.New("interface sync does not exist")
	device := errors.New("no such device")
	for _, c := range []struct {
		what  string
		parts Parts
		want  error
	}{
		{"no link opens", Parts{
			Links:   []func() (Link, error){func() (Link, error) { return nil, link }},
			Objects: []func() (Objects, error){newKernel().open},
		}, link},
		{"a link that never opens, though it says so", Parts{
			Links:   []func() (Link, error){func() (Link, error) { return nil, ErrNotYet }},
			Objects: []func() (Objects, error){newKernel().open},
		}, ErrNotYet},
		{"no objects", Parts{
			Links:   []func() (Link, error){func() (Link, error) { return new(lan).join("10.0.0.1"), nil }},
			Objects: []func() (Objects, error){func() (Objects, error) { return nil, device }},
		}, device},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, err := New(Config{SyncID: 7, Sender: 1}, c.parts, testSettings(), discard)
				if err != nil {
					t.Fatal(err)
				}
				if err := d.Run(t.Context()); !errors.Is(err, c.want) {
					t.Errorf("%v, want %v", err, c.want)
				}
				if _, err := d.Status(t.Context()); !errors.Is(err, ErrStopped) {
					t.Errorf("status of one that does not run: %v", err)
				}
			})
		})
	}
}

func TestStartWaitsForALinkThatIsNotYetThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		soon := time.Now().Add(2 * time.Second)
		parts := Parts{
			Links: []func() (Link, error){func() (Link, error) {
				if time.Now().Before(soon) {
					return nil, fmt.Errorf("interface sync: %w", ErrNotYet)
				}
				return new(lan).join("10.0.0.1"), nil
			}},
			Objects: []func() (Objects, error){newKernel().open},
		}
		d, err := New(Config{SyncID: 7, Sender: 1}, parts, testSettings(), discard)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- d.Run(ctx) }()
		if _, err := d.Status(t.Context()); err != nil {
			t.Errorf("status: %v", err)
		}
		if waited := time.Since(soon); waited < 0 || waited > time.Second {
			t.Errorf("began %v after the link was there", waited)
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func TestResyncAsksPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, new(lan))
		a.kernel.do(func(k *kernel) { k.table[1], k.owned[1] = 1, true }) // what news did not tell
		asked, err := b.Resync(t.Context(), 0)
		if err != nil || asked != 1 {
			t.Errorf("asked %d: %v", asked, err)
		}
		if asked, _ := b.Resync(t.Context(), 99); asked != 0 {
			t.Errorf("asked %d of a peer that is not there", asked)
		}
		pass(2 * time.Second)
		equal(t, a, b)
	})
}

func TestAnnounceTellsPeersOfWhatIsOwned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, new(lan))
		a.kernel.do(func(k *kernel) { k.table[1], k.owned[1] = 1, true }) // what news did not tell
		if err := a.Announce(t.Context()); err != nil {
			t.Error(err)
		}
		pass(2 * time.Second)
		equal(t, a, b)
	})
}
