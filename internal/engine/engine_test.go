package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ssyncp/ssyncp/internal/engine"
)

const period = 100 * time.Millisecond

var usual = engine.Settings{Period: period, MaxPPS: 10000}

// running runs f while an engine runs, stops it, and returns what Run did.
func running(t *testing.T, s engine.Settings, prepare func(*world), f func(*world)) *world {
	t.Helper()
	var w *world
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(s)
		if prepare != nil {
			prepare(w)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.engine.Run(ctx) }()
		f(w)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	if w.kernel.open != 0 {
		t.Errorf("%d sources are still open", w.kernel.open)
	}
	for _, walk := range []string{"snapshot", "sweep"} {
		begun := len(w.trace.only(walk)) - len(w.trace.only(walk+"-failed"))
		if closed := len(w.trace.only("close-" + walk)); closed != begun {
			t.Errorf("%d of %d %ss were closed", closed, begun, walk)
		}
	}
	return w
}

func what(events []event) string {
	var words []string
	for _, e := range events {
		words = append(words, e.what)
	}
	return strings.Join(words, " ")
}

func TestSourceIsReadOncePerPeriod(t *testing.T) {
	w := running(t, usual, nil, func(w *world) {
		for range 40 { // a connection every 25 ms
			w.kernel.news("n")
			time.Sleep(period / 4)
		}
	})
	// At 0, 100 ms, ... 900 ms or 1 s, and once at the stop.
	if n := len(w.trace.only("read")); n < 11 || n > 12 {
		t.Errorf("%d reads in ten periods", n)
	}
}

func TestFullBufferIsReadAgainAtOnce(t *testing.T) {
	w := running(t, usual, nil, func(w *world) {
		time.Sleep(period / 2)
		w.kernel.news("abcdefghijklm") // two full reads and one entry
		time.Sleep(period)
	})
	events := w.trace.only("read", "send")
	want := "read read send:abc send:def read send:ghi send:jkl read send:m read"
	if got := what(events); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	for _, e := range events[1 : len(events)-1] {
		if e.at != period {
			t.Errorf("%s at %v, want all in the period at %v", e.what, e.at, period)
		}
	}
}

func TestPartialAdvertLeavesAtTheEndOfThePeriod(t *testing.T) {
	w := running(t, usual, nil, func(w *world) {
		time.Sleep(period / 2)
		w.kernel.news("abcd")
		time.Sleep(3 * period)
	})
	got := w.trace.only("send")
	if what(got) != "send:abc send:d" || got[1].at != period {
		t.Errorf("got %v", got)
	}
}

func TestNothingIsSentWhereThereIsNoNews(t *testing.T) {
	w := running(t, usual, nil, func(*world) { time.Sleep(time.Minute) })
	if sent := w.trace.only("send"); sent != nil {
		t.Errorf("sent %v", sent)
	}
}

func TestPaceHoldsBackAndDropsNothing(t *testing.T) {
	const pps = 50
	news := strings.Repeat("abc", 500)
	w := running(t, engine.Settings{Period: period, MaxPPS: pps}, nil, func(w *world) {
		w.kernel.news(news)
		time.Sleep(30 * time.Second)
	})
	sent := w.trace.only("send")
	if len(sent) != 500 {
		t.Errorf("%d adverts of 500", len(sent))
	}
	for i := range sent {
		if n := i + pps + 2; n < len(sent) && sent[n].at-sent[i].at < time.Second {
			t.Fatalf("more than %d adverts within a second from %v on", pps+2, sent[i].at)
		}
	}
	if took := sent[len(sent)-1].at; took > 11*time.Second {
		t.Errorf("took %v, the pace allows 10 s", took)
	}
}

func TestStopSendsWhatIsQueued(t *testing.T) {
	w := running(t, usual, nil, func(w *world) {
		time.Sleep(period / 2)
		w.kernel.news("abcdefgh")
	})
	want := "send:abc send:def send:gh close-link close-sink close-source"
	if got := what(w.trace.only("send", "close-link", "close-sink", "close-source")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestStopFinishesWhatThePaceHeldBack(t *testing.T) {
	w := running(t, engine.Settings{Period: period, MaxPPS: 10}, nil, func(w *world) {
		w.kernel.news(strings.Repeat("abc", 20)) // two seconds' worth
		time.Sleep(time.Second)
	})
	if n := len(w.trace.only("send")); n != 20 {
		t.Errorf("%d adverts of 20", n)
	}
}

func TestStopGivesUpAfterFiveSeconds(t *testing.T) {
	var stopped time.Duration
	w := running(t, engine.Settings{Period: period, MaxPPS: 1}, nil, func(w *world) {
		w.kernel.news(strings.Repeat("abc", 1000))
		time.Sleep(time.Second)
		stopped = time.Since(w.trace.start)
	})
	closed := w.trace.only("close-source")
	if took := closed[0].at - stopped; took > 6*time.Second {
		t.Errorf("stop took %v", took)
	}
	if w.engine.Counters().Troubles.Value(engine.Unsent) == 0 || w.logged("stopped before everything was sent") != 1 {
		t.Error("what stayed behind was neither counted nor logged")
	}
}

func TestStartAdvertisesOnceWhatIsOwned(t *testing.T) {
	w := running(t, usual, func(w *world) { w.kernel.owned = "abcdefgh" }, func(*world) { time.Sleep(time.Minute) })
	if got := what(w.trace.only("send", "snapshot", "close-snapshot")); got != "snapshot send:abc send:def send:gh close-snapshot" {
		t.Error(got)
	}
}

func TestLostLeadsToOneSnapshotPerBackoff(t *testing.T) {
	w := running(t, usual, nil, func(w *world) {
		time.Sleep(30 * time.Second) // the first snapshot is past
		for range 300 {              // news is lost in every period of 30 s
			w.kernel.do(func(k *kernel) { k.lost = true })
			time.Sleep(period)
		}
		time.Sleep(20 * time.Second)
		w.kernel.do(func(k *kernel) { k.lost = true }) // after a calm
		time.Sleep(10 * time.Second)
	})
	times := w.kernel.snapshot
	var gaps []time.Duration
	for i := range times[1:] {
		gaps = append(gaps, (times[i+1].Sub(times[i])).Round(50*time.Millisecond))
	}
	// The first wait is 200 ms after the loss at 30 s; then each is the
	// back-off and up to a period until the next loss is read.
	want := []time.Duration{
		30200 * time.Millisecond, 500 * time.Millisecond, 900 * time.Millisecond,
		1700 * time.Millisecond, 3300 * time.Millisecond, 5100 * time.Millisecond,
		5100 * time.Millisecond, 5100 * time.Millisecond, 5100 * time.Millisecond,
	}
	if len(gaps) < len(want) {
		t.Fatalf("gaps %v", gaps)
	}
	for i, g := range gaps[:len(want)] {
		if g < want[i]-period || g > want[i]+period {
			t.Errorf("gap %d is %v, want about %v", i, g, want[i])
		}
	}
	last := times[len(times)-1]
	if at := last.Sub(w.trace.start); at > 81*time.Second {
		t.Errorf("after a calm the back-off did not begin anew: last snapshot at %v", at)
	}
	if n := w.logged("news was lost"); n != 2 {
		t.Errorf("%d log lines for two streaks", n)
	}
}

func TestLostDuringASnapshotLeadsToAnother(t *testing.T) {
	// 100 adverts at 2.5 a second: 40 s.
	w := running(t, engine.Settings{Period: period, MaxPPS: 10}, func(w *world) {
		w.kernel.owned = strings.Repeat("abc", 100)
	}, func(w *world) {
		time.Sleep(10 * time.Second)
		w.kernel.do(func(k *kernel) { k.lost = true })
		time.Sleep(90 * time.Second)
	})
	if got := what(w.trace.only("snapshot", "close-snapshot")); got != "snapshot close-snapshot snapshot close-snapshot" {
		t.Error(got)
	}
}

func TestSnapshotLeavesThreeQuartersOfThePaceToNews(t *testing.T) {
	w := running(t, engine.Settings{Period: period, MaxPPS: 100}, func(w *world) {
		w.kernel.owned = strings.Repeat("o", 3*1000)
	}, func(w *world) {
		for range 200 { // 70 adverts of news a second for 20 s
			w.kernel.news(strings.Repeat("n", 3*7))
			time.Sleep(period)
		}
	})
	owned, news := w.trace.only("send:o"), w.trace.only("send:n")
	if n := len(owned); n < 100 || n > 20*25+1 {
		t.Errorf("%d adverts of the snapshot in 20 s, want up to 25 a second", n)
	}
	if len(news) != 1400 {
		t.Errorf("%d adverts of news, want all 1400", len(news))
	}
	if last := news[len(news)-1].at; last > 20*time.Second+2*period {
		t.Errorf("the last news left at %v", last)
	}
}

func TestWhatIsReadEarlierLeavesEarlier(t *testing.T) {
	w := running(t, engine.Settings{Period: period, MaxPPS: 10}, func(w *world) {
		w.kernel.owned = strings.Repeat("o", 3*20)
	}, func(w *world) {
		for range 100 {
			w.kernel.news("n")
			time.Sleep(period)
		}
	})
	// Whatever was read, of news or of a snapshot, is gone before the next
	// read of either.
	pending := 0
	for _, e := range w.trace.only("walk", "read", "send") {
		switch {
		case e.what == "walk", e.what == "read":
			if pending > 1 {
				t.Fatalf("at %v something was read while %d adverts waited", e.at, pending)
			}
			pending = 0
		default:
			pending++
		}
	}
	events := w.trace.only("walk", "send:ooo")
	for i, e := range events[:len(events)-1] {
		if e.what == "walk" && events[i+1].what == "walk" && len(events)-i > 3 {
			t.Fatalf("at %v the snapshot was read twice before it was sent", e.at)
		}
	}
}

func TestPauseAndResume(t *testing.T) {
	master := errors.New("somebody else does it")
	w := running(t, usual, func(w *world) {
		w.kernel.pause = master // at the start already
		w.kernel.owned = "abc"
	}, func(w *world) {
		for range 20 {
			time.Sleep(period)
			w.kernel.do(func(k *kernel) { k.lost = true })
		}
		if sent := w.trace.only("send", "snapshot"); sent != nil {
			t.Errorf("while paused: %v", sent)
		}
		w.kernel.do(func(k *kernel) { k.pause, k.lost = nil, true })
		time.Sleep(10 * time.Second)
	})
	if n := w.logged("somebody else does it"); n != 1 {
		t.Errorf("the pause was logged %d times", n)
	}
	if got := what(w.trace.only("snapshot", "send")); got != "snapshot send:abc" {
		t.Errorf("after it: %s", got)
	}
	if n := w.logged("news was lost"); n != 0 {
		t.Errorf("what the pause lost was taken for an overrun %d times", n)
	}
}

func TestPauseEndsASnapshot(t *testing.T) {
	w := running(t, engine.Settings{Period: period, MaxPPS: 10}, func(w *world) {
		w.kernel.owned = strings.Repeat("abc", 100)
	}, func(w *world) {
		time.Sleep(5 * time.Second)
		w.kernel.do(func(k *kernel) { k.pause = errors.New("paused") })
		time.Sleep(time.Minute)
	})
	if n := len(w.trace.only("send")); n > 15 {
		t.Errorf("%d adverts of a snapshot that had to end after 5 s", n)
	}
	if got := what(w.trace.only("close-snapshot")); got != "close-snapshot" {
		t.Errorf("snapshot not closed once: %q", got)
	}
}

func TestSnapshotThatFailsIsTriedAgain(t *testing.T) {
	w := running(t, usual, func(w *world) {
		w.kernel.snapErr = errors.New("no memory")
		w.kernel.owned = "abc"
	}, func(w *world) {
		time.Sleep(time.Second)
		w.kernel.do(func(k *kernel) { k.snapErr = nil })
		time.Sleep(2 * time.Second)
	})
	if got := what(w.trace.only("send")); got != "send:abc" {
		t.Error(got)
	}
	if n := w.engine.Counters().Troubles.Value(engine.SnapshotsFailed); n < 2 || n > 4 {
		t.Errorf("%d attempts failed in a second, want the back-off", n)
	}
}

func TestSnapshotThatIsNotPossibleIsSaidOnce(t *testing.T) {
	w := running(t, usual, func(w *world) {
		w.kernel.snapErr = fmt.Errorf("%w: the module lacks something", engine.ErrNoSnapshot)
	}, func(w *world) {
		for range 100 {
			w.kernel.do(func(k *kernel) { k.lost = true })
			time.Sleep(period)
		}
	})
	if n := w.logged("the module lacks something"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

func TestPeersAdvertsReachTheSink(t *testing.T) {
	w := running(t, usual, nil, func(w *world) {
		w.incoming <- [][]byte{[]byte("abc"), []byte("d")}
		w.incoming <- [][]byte{[]byte("e")}
		time.Sleep(time.Millisecond)
	})
	if got := what(w.trace.only("apply")); got != "apply:abc apply:d apply:e" {
		t.Error(got)
	}
}

func TestFirstSessionMustOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(usual)
		w.kernel.openErr = errors.New("no device")
		if err := w.engine.Run(t.Context()); !errors.Is(err, w.kernel.openErr) {
			t.Errorf("err = %v", err)
		}
		if got := what(w.trace.only("open", "close")); got != "open-link open-failed close-link" {
			t.Error(got)
		}
	})
}

func TestFailureEndsASessionAndAnotherBegins(t *testing.T) {
	failure := errors.New("it broke")
	for _, tt := range []struct {
		name   string
		broke  func(*world)
		mend   func(*world)
		reopen string // what is closed and opened again
	}{
		{"the device", func(w *world) { w.kernel.do(func(k *kernel) { k.readErr, k.openErr = failure, failure }) },
			func(w *world) { w.kernel.do(func(k *kernel) { k.readErr, k.openErr = nil, nil }) },
			"close-link close-sink close-source open-link open-device"},
		{"the interface", func(w *world) { w.network.do(func(n *network) { n.checkErr, n.openErr = failure, failure }) },
			func(w *world) { w.network.do(func(n *network) { n.checkErr, n.openErr = nil, nil }) },
			"close-link open-link"},
		{"sending", func(w *world) {
			w.network.do(func(n *network) { n.sendErr, n.openErr = failure, failure })
			w.kernel.news("x")
		}, func(w *world) { w.network.do(func(n *network) { n.sendErr, n.openErr = nil, nil }) },
			"close-link open-link"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := running(t, usual, func(w *world) { w.kernel.owned = "abc" }, func(w *world) {
				time.Sleep(5 * time.Second)
				tt.broke(w)
				time.Sleep(time.Minute)
				tt.mend(w)
				time.Sleep(10 * time.Second)
				w.kernel.news("n")
				time.Sleep(time.Second)
			})
			want := "open-link open-device " + tt.reopen + " close-link close-sink close-source"
			if got := what(w.trace.only("open-link", "open-device", "close-link", "close-sink", "close-source")); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			tries := len(w.trace.only("open-failed"))
			if tries < 10 || tries > 20 {
				t.Errorf("%d attempts in a minute, want a back-off of up to 5 s", tries)
			}
			if n := w.logged("it broke"); n > 2 {
				t.Errorf("the failure was logged %d times in a minute:\n%s", n, w.log.String())
			}
			if n := w.logged("synchronization goes on"); n != 1 {
				t.Errorf("the recovery was logged %d times", n)
			}
			// What peers missed is advertised again, and news goes on.
			if got := what(w.trace.only("send")); got != "send:abc send:abc send:n" {
				t.Error(got)
			}
		})
	}
}

func TestLinkThatOpensAndFailsAtOnce(t *testing.T) {
	w := running(t, usual, nil, func(w *world) {
		time.Sleep(time.Minute)
		w.network.do(func(n *network) { n.sendErr = errors.New("a firewall") })
		for range 600 {
			w.kernel.news("n")
			time.Sleep(period)
		}
		if n := len(w.trace.only("open-link")); n < 10 || n > 20 {
			t.Errorf("opened %d times in a minute, want a back-off of up to 5 s", n)
		}
		w.network.do(func(n *network) { n.sendErr = nil })
		time.Sleep(time.Minute)
	})
	if n := w.logged("a firewall"); n != 1 {
		t.Errorf("the reason was logged %d times", n)
	}
	// At the first attempt, and when it was true.
	if n := w.logged("synchronization goes on"); n != 2 {
		t.Errorf("the recovery was logged %d times", n)
	}
}

func TestSinkFailureEndsASession(t *testing.T) {
	w := running(t, usual, func(w *world) {
		failure := errors.New("write failed")
		w.sink.err.Store(&failure)
	}, func(w *world) {
		w.incoming <- [][]byte{[]byte("a")}
		time.Sleep(time.Second)
		w.sink.err.Store(nil)
		w.incoming <- [][]byte{[]byte("b")}
		time.Sleep(time.Second)
	})
	if got := what(w.trace.only("open-device", "apply")); got != "open-device apply:a open-device apply:b" {
		t.Error(got)
	}
}

func TestNewsWaitsInTheKernelWhileTheLinkIsAway(t *testing.T) {
	w := running(t, usual, nil, func(w *world) {
		time.Sleep(time.Second)
		away := errors.New("down")
		w.network.do(func(n *network) { n.checkErr, n.openErr = away, away })
		time.Sleep(2 * time.Second)
		w.kernel.news("abcd")
		time.Sleep(time.Minute)
		if sent := w.trace.only("send"); sent != nil {
			t.Errorf("sent %v", sent)
		}
		w.network.do(func(n *network) { n.checkErr, n.openErr = nil, nil })
		time.Sleep(10 * time.Second)
	})
	if got := what(w.trace.only("send")); got != "send:abc send:d" {
		t.Error(got)
	}
}

func TestCarrierThatComesBackIsASnapshot(t *testing.T) {
	w := running(t, usual, func(w *world) { w.kernel.owned = "abc" }, func(w *world) {
		time.Sleep(5 * time.Second)
		w.network.do(func(n *network) { n.unplugged = true })
		time.Sleep(time.Minute)
		w.network.do(func(n *network) { n.unplugged = false })
		time.Sleep(5 * time.Second)
	})
	if got := what(w.trace.only("open", "send")); got != "open-link open-device send:abc send:abc" {
		t.Error(got)
	}
	if w.logged("no carrier") != 1 || w.logged("carrier again") != 1 {
		t.Errorf("log:\n%s", w.log.String())
	}
}

func TestStopDuringAnOutage(t *testing.T) {
	running(t, usual, nil, func(w *world) {
		time.Sleep(time.Second)
		w.network.do(func(n *network) { n.checkErr = errors.New("down"); n.openErr = n.checkErr })
		time.Sleep(time.Minute)
	})
}

func TestSettingsChangeWhileRunning(t *testing.T) {
	w := running(t, engine.Settings{Period: time.Second, MaxPPS: 1}, nil, func(w *world) {
		time.Sleep(10*time.Second + time.Millisecond)
		w.engine.Set(usual)
		time.Sleep(10 * time.Second)
	})
	reads := w.trace.only("read")
	slow := slices.IndexFunc(reads, func(e event) bool { return e.at > 11*time.Second })
	if slow < 11 || slow > 13 {
		t.Errorf("%d reads in the first 11 s", slow)
	}
	if fast := len(reads) - slow; fast < 88 || fast > 93 {
		t.Errorf("%d reads in the 9 s after the change", fast)
	}
}

func TestEngineShowsThatItLivesWhateverItWaitsFor(t *testing.T) {
	alive := func(w *world) error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*period)
		defer cancel()
		return w.engine.Alive(ctx)
	}
	running(t, usual, nil, func(w *world) {
		for range 10 {
			if err := alive(w); err != nil {
				t.Errorf("running: %v", err)
			}
			time.Sleep(period / 3)
		}
		failure := errors.New("gone")
		w.network.do(func(n *network) { n.checkErr, n.openErr = failure, failure })
		time.Sleep(2 * time.Second)
		for range 10 {
			if err := alive(w); err != nil {
				t.Errorf("interrupted: %v", err)
			}
			time.Sleep(period / 3)
		}
	})
	slow := engine.Settings{Period: period, MaxPPS: 1}
	running(t, slow, nil, func(w *world) {
		w.kernel.news("abcdefghijklmnopqrstuvwxyz")
		for range 10 {
			if err := alive(w); err != nil {
				t.Errorf("waiting for the pace: %v", err)
			}
			time.Sleep(period / 3)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		if err := alive(newWorld(usual)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("not running: %v", err)
		}
	})
}
