package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/engine"
)

// times returns when events were.
func times(events []event) []time.Duration {
	list := make([]time.Duration, len(events))
	for i, e := range events {
		list[i] = e.at
	}
	return list
}

func TestASweepIsTakenAsOftenAsTheSourceAsks(t *testing.T) {
	w := running(t, usual, nil, func(*world) { time.Sleep(5*sweepEvery + period/2) })
	want := []time.Duration{sweepEvery, 2 * sweepEvery, 3 * sweepEvery, 4 * sweepEvery, 5 * sweepEvery}
	if got := times(w.trace.only("sweep")); !slices.Equal(got, want) {
		t.Errorf("sweeps at %v, want %v", got, want)
	}
	if n := w.engine.Counters().Counts.Value(engine.Sweeps); n != uint64(len(want)) {
		t.Errorf("%d counted", n)
	}
	if n := w.engine.Counters().Counts.Value(engine.Snapshots); n != 1 {
		t.Errorf("%d full snapshots counted, want that of the start", n)
	}
}

func TestASweepNeedNotWaitForThePeriod(t *testing.T) {
	const every = 730 * time.Millisecond
	w := running(t, usual, func(w *world) { w.kernel.every = every }, func(*world) { time.Sleep(3 * every) })
	if got := times(w.trace.only("sweep")); len(got) < 2 || got[0] != every || got[1] != 2*every {
		t.Errorf("sweeps at %v, want one each %v", got, every)
	}
}

func TestWhatIsDueIsToldOnce(t *testing.T) {
	w := running(t, usual, func(w *world) { w.kernel.owned = "o" }, func(w *world) {
		time.Sleep(sweepEvery / 2)
		w.kernel.do(func(k *kernel) { k.due = "abcdefgh" })
		time.Sleep(5 * sweepEvery)
	})
	sent := w.trace.only("send")
	if got := what(sent); got != "send:o send:abc send:def send:gh" {
		t.Fatal(got)
	}
	for _, e := range sent[1:] {
		if e.at != sweepEvery {
			t.Errorf("%s at %v, want %v", e.what, e.at, sweepEvery)
		}
	}
	counts := w.engine.Counters().Counts
	if n := counts.Value(engine.SentSweep); n != 3 {
		t.Errorf("%d adverts of sweeps counted, want 3", n)
	}
	if n := counts.Value(engine.SentSnapshot); n != 1 {
		t.Errorf("%d adverts of snapshots counted, want 1", n)
	}
	if n := w.logged("level="); n != w.logged("advertised what this director owns") || n != 1 {
		t.Errorf("sweeps that went well are in the log:\n%s", w.log.String())
	}
}

func TestNoSweepWhileEverythingIsAdvertised(t *testing.T) {
	// 100 adverts at 2.5 a second: 40 s.
	w := running(t, engine.Settings{Period: period, MaxPPS: 10}, func(w *world) {
		w.kernel.owned = strings.Repeat("abc", 100)
		w.kernel.due = "d"
	}, func(*world) { time.Sleep(45 * time.Second) })
	events := w.trace.only("snapshot", "close-snapshot", "sweep")
	if got := what(events[:3]); got != "snapshot close-snapshot sweep" {
		t.Fatal(got)
	}
	// Its time was over long ago.
	if done, next := events[1].at, events[2].at; next != done {
		t.Errorf("everything was told at %v, the sweep after it was at %v", done, next)
	}
}

func TestNoSweepWhileASnapshotIsDue(t *testing.T) {
	var lost time.Duration
	w := running(t, usual, func(w *world) { w.kernel.every = period / 4 }, func(w *world) {
		time.Sleep(10*time.Second + period/2)
		w.kernel.do(func(k *kernel) { k.lost = true })
		lost = time.Since(w.trace.start) + period/2 // it is read then
		time.Sleep(5 * time.Second)
	})
	snapshots := w.trace.only("snapshot")
	if len(snapshots) != 2 {
		t.Fatalf("snapshots %v", snapshots)
	}
	healed, around := snapshots[1].at, 0
	for _, at := range times(w.trace.only("sweep")) {
		switch {
		case at > lost && at <= healed:
			t.Errorf("a sweep at %v, between the loss at %v and the snapshot at %v", at, lost, healed)
		case at > lost-period && at < healed+period:
			around++
		}
	}
	if around < 4 {
		t.Errorf("%d sweeps shortly before and after that, want 4 in each period", around)
	}
}

func TestLostCutsASweepShort(t *testing.T) {
	w := running(t, engine.Settings{Period: period, MaxPPS: 10}, func(w *world) { w.kernel.owned = "o" }, func(w *world) {
		w.kernel.do(func(k *kernel) { k.due = strings.Repeat("d", 3*100) })
		time.Sleep(10 * time.Second)
		w.kernel.do(func(k *kernel) { k.lost, k.due = true, "" })
		time.Sleep(time.Second)
	})
	if got := what(w.trace.only("snapshot", "sweep", "close")[:6]); got !=
		"snapshot close-snapshot sweep close-sweep snapshot close-snapshot" {
		t.Error(got)
	}
	if n := w.engine.Counters().Troubles.Value(engine.SweepsFailed); n != 0 {
		t.Errorf("counted as %d failures", n)
	}
}

func TestSweepLeavesThreeQuartersOfThePaceToNews(t *testing.T) {
	w := running(t, engine.Settings{Period: period, MaxPPS: 100}, func(w *world) {
		w.kernel.due = strings.Repeat("d", 3*1000)
	}, func(w *world) {
		for range 200 { // 70 adverts of news a second for 20 s
			w.kernel.news(strings.Repeat("n", 3*7))
			time.Sleep(period)
		}
	})
	due, news := w.trace.only("send:d"), w.trace.only("send:n")
	if n := len(due); n < 100 || n > 20*25+1 {
		t.Errorf("%d adverts of sweeps in 20 s, want up to 25 a second", n)
	}
	if len(news) != 1400 || news[len(news)-1].at > 20*time.Second+2*period {
		t.Errorf("%d adverts of news, want all 1400 in time", len(news))
	}
	for i, events := 0, w.trace.only("tell", "send:d"); i+1 < len(events); i++ {
		if events[i].what == "tell" && events[i+1].what == "tell" {
			t.Fatalf("at %v the sweep was read twice before it was sent", events[i].at)
		}
	}
}

func TestASweepThatFailsIsTriedAtItsNextTime(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(k *kernel, err error)
		try  string
	}{
		{"to begin", func(k *kernel, err error) { k.dueErr = err }, "sweep-failed"},
		{"to be read", func(k *kernel, err error) { k.walkErr = err }, "tell"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := running(t, usual, func(w *world) {
				w.kernel.due = "d"
				tt.set(w.kernel, errors.New("no memory"))
			}, func(w *world) {
				time.Sleep(10*sweepEvery + period/2)
				if got := w.trace.only(tt.try); len(got) != 10 || got[9].at != 10*sweepEvery {
					t.Errorf("tried at %v, want each %v", times(got), sweepEvery)
				}
				w.kernel.do(func(k *kernel) { tt.set(k, nil) })
				time.Sleep(sweepEvery)
				w.kernel.do(func(k *kernel) { tt.set(k, errors.New("no memory again")) })
				time.Sleep(2 * sweepEvery)
			})
			if got := what(w.trace.only("open", "snapshot", "send")); got != "open-link open-device snapshot send:d" {
				t.Error(got)
			}
			if n := w.engine.Counters().Troubles.Value(engine.SweepsFailed); n != 12 {
				t.Errorf("%d failures counted, want 12", n)
			}
			if first, second := w.logged(`error="no memory"`), w.logged(`error="no memory again"`); first != 1 || second != 1 {
				t.Errorf("two streaks are %d and %d lines:\n%s", first, second, w.log.String())
			}
		})
	}
}

func TestTheTimeBetweenSweepsChangesWithTheSource(t *testing.T) {
	const shorter = sweepEvery / 4
	w := running(t, usual, nil, func(w *world) {
		time.Sleep(2*sweepEvery + period)
		w.kernel.do(func(k *kernel) { k.every = shorter })
		time.Sleep(2 * sweepEvery)
	})
	want := []time.Duration{sweepEvery, 2 * sweepEvery, 3 * sweepEvery, 3*sweepEvery + shorter, 3*sweepEvery + 2*shorter}
	if got := times(w.trace.only("sweep")); len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		t.Errorf("sweeps at %v, want %v", got, want)
	}
}

func TestASourceThatCannotSayHowOftenIsOpenedAgain(t *testing.T) {
	w := running(t, usual, nil, func(w *world) {
		time.Sleep(sweepEvery / 2)
		w.kernel.do(func(k *kernel) { k.everyErr = errors.New("the device is gone") })
		time.Sleep(sweepEvery)
		w.kernel.do(func(k *kernel) { k.everyErr = nil })
		time.Sleep(10 * time.Second)
	})
	if n := w.logged("the device is gone"); n != 1 {
		t.Errorf("said %d times:\n%s", n, w.log.String())
	}
	if n := w.logged("synchronization goes on"); n != 1 {
		t.Errorf("the recovery was logged %d times", n)
	}
}

func TestALinkThatFailsInASweepIsOpenedAgain(t *testing.T) {
	w := running(t, usual, func(w *world) { w.kernel.owned = "o" }, func(w *world) {
		time.Sleep(sweepEvery / 2)
		w.kernel.do(func(k *kernel) { k.due = "d" })
		w.network.do(func(n *network) { n.sendErr = errors.New("down") })
		time.Sleep(sweepEvery/2 + period/2)
		w.network.do(func(n *network) { n.sendErr = nil })
		time.Sleep(time.Second)
	})
	want := "open-link open-device send:o close-link open-link send:o close-link"
	if got := what(w.trace.only("open", "close-link", "send")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestNoSweepWhilePaused(t *testing.T) {
	w := running(t, engine.Settings{Period: period, MaxPPS: 10}, func(w *world) {
		w.kernel.due = strings.Repeat("d", 3*100)
	}, func(w *world) {
		time.Sleep(sweepEvery + time.Second + period/2)
		w.kernel.do(func(k *kernel) { k.pause = errors.New("paused") })
		time.Sleep(time.Minute)
		if got := what(w.trace.only("sweep", "close-sweep")); got != "sweep close-sweep" {
			t.Errorf("paused within a sweep: %s", got)
		}
		w.kernel.do(func(k *kernel) { k.pause, k.due = nil, "" })
		time.Sleep(sweepEvery + 2*period)
	})
	after := w.trace.only("snapshot", "sweep")
	if got := what(after); got != "snapshot sweep snapshot sweep" {
		t.Fatal(got)
	}
	if wait := after[3].at - after[2].at; wait != sweepEvery {
		t.Errorf("the first sweep was %v after everything was told, want %v", wait, sweepEvery)
	}
}

func TestNoSweepsWhereThereAreNoSnapshots(t *testing.T) {
	w := running(t, usual, func(w *world) {
		w.kernel.snapErr = fmt.Errorf("%w: the module lacks something", engine.ErrNoSnapshot)
	}, func(*world) { time.Sleep(time.Minute) })
	if n := len(w.trace.only("sweep")); n != 0 {
		t.Errorf("%d sweeps", n)
	}
}
