package peering

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// ranges returns what is missing.
func (g *gaps) ranges() (r [][2]uint64) {
	for _, e := range g.list {
		r = append(r, [2]uint64{e.first, e.last})
	}
	return r
}

func TestGapsCountLossAndKnowItsAge(t *testing.T) {
	var g gaps
	check := func(after string, missed, repaired uint64, since time.Time) {
		t.Helper()
		if g.missed != missed || g.repaired != repaired || !g.since().Equal(since) {
			t.Errorf("%s: %d missed, %d repaired, since %v, want %d, %d, %v", after, g.missed, g.repaired, g.since(), missed, repaired, since)
		}
	}
	later := epoch.Add(time.Second)
	g.begin(10)
	g.receive(10, epoch, epoch)
	check("nothing is missing", 0, 0, time.Time{})
	g.receive(13, epoch, epoch) // 11 and 12
	g.receive(15, later, later) // 14
	check("two gaps", 3, 0, epoch)
	g.receive(11, later, later)
	check("one came late", 3, 1, epoch)
	g.receive(12, later, later)
	check("the older gap is filled", 3, 2, later)
	g.abandon()
	check("the rest is given up", 3, 2, time.Time{})
	g.begin(100)
	check("begun again", 3, 2, time.Time{})
	g.receive(101+maxMissing, later, later)
	check("too many", 3+1+maxMissing, 2, time.Time{})
}

func TestGapsAreWhatDidNotCome(t *testing.T) {
	for _, tt := range []struct {
		name    string
		arrive  []uint64
		last    uint64 // of a heartbeat behind them
		want    []arrival
		missing [][2]uint64
	}{
		{"in order", []uint64{10, 11, 12}, 12, []arrival{fresh, fresh, fresh}, nil},
		{"one is missing", []uint64{10, 12}, 0, []arrival{fresh, fresh}, [][2]uint64{{11, 11}}},
		{"the first ones are missing", []uint64{13}, 0, []arrival{fresh}, [][2]uint64{{10, 12}}},
		{"the tail is missing", []uint64{10}, 15, []arrival{fresh}, [][2]uint64{{11, 15}}},
		{"a heartbeat is old news", []uint64{10, 11}, 10, []arrival{fresh, fresh}, nil},
		{"twice", []uint64{10, 10, 11, 10}, 0, []arrival{fresh, repeated, fresh, repeated}, nil},
		{"sent before what is waited for", []uint64{9, 1}, 0, []arrival{early, early}, nil},
		{"filled from below", []uint64{14, 10}, 0, []arrival{fresh, fresh}, [][2]uint64{{11, 13}}},
		{"filled from above", []uint64{14, 13}, 0, []arrival{fresh, fresh}, [][2]uint64{{10, 12}}},
		{"filled in the middle", []uint64{14, 12}, 0, []arrival{fresh, fresh}, [][2]uint64{{10, 11}, {13, 13}}},
		{"filled, and twice", []uint64{11, 10, 10}, 0, []arrival{fresh, fresh, repeated}, nil},
		{"as many as are asked for", []uint64{10, 10 + maxMissing + 1}, 0, []arrival{fresh, fresh}, [][2]uint64{{11, 10 + maxMissing}}},
		{"too many", []uint64{10, 10 + maxMissing + 2}, 0, []arrival{fresh, overrun}, nil},
		{"too many in all", []uint64{10, 12, 12 + maxMissing + 1, 11}, 0, []arrival{fresh, fresh, overrun, repeated}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var g gaps
			g.begin(10)
			for i, s := range tt.arrive {
				if got, _ := g.receive(s, epoch, epoch); got != tt.want[i] {
					t.Errorf("sequence %d is %v, want %v", s, got, tt.want[i])
				}
			}
			g.extend(tt.last, epoch, epoch)
			if got := g.ranges(); !slices.Equal(got, tt.missing) {
				t.Errorf("missing %v, want %v", got, tt.missing)
			}
			count := 0
			for _, r := range tt.missing {
				count += int(r[1] - r[0] + 1)
			}
			if g.missing != count {
				t.Errorf("%d are counted as missing", g.missing)
			}
		})
	}
}

func TestGapsAreASet(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var g gaps
	g.begin(1)
	here := map[uint64]bool{}
	for range 50_000 {
		s := 1 + rng.Uint64N(g.top+3)
		if g.missing < 600 && rng.IntN(3) == 0 {
			s = g.top + 1 + rng.Uint64N(4)
		} else if len(g.list) > 0 && rng.IntN(2) == 0 {
			e := g.list[rng.IntN(len(g.list))]
			s = e.first + rng.Uint64N(e.last-e.first+1)
		}
		want := fresh
		if here[s] {
			want = repeated
		}
		if got, _ := g.receive(s, epoch, epoch); got != want {
			t.Fatalf("sequence %d is %v, want %v", s, got, want)
		}
		here[s] = true
		if g.missing != int(g.top)-len(here) {
			t.Fatalf("%d missing, of %d are %d here", g.missing, g.top, len(here))
		}
	}
	for i, e := range g.list {
		if e.last < e.first || i > 0 && e.first <= g.list[i-1].last {
			t.Fatalf("not ascending: %v", g.ranges())
		}
	}
}

func TestAGapIsAskedForLessAndLessOften(t *testing.T) {
	e := gap{first: 1, last: 1, due: epoch}
	now := epoch
	var waits []time.Duration
	for range nackTries {
		e.ask(now, 0)
		waits = append(waits, e.due.Sub(now))
		now = e.due
	}
	if want := []time.Duration{1e8, 2e8, 4e8, 8e8, 16e8}; !slices.Equal(waits, want) {
		t.Errorf("%v", waits)
	}
	g := gaps{known: true, list: []gap{e}, missing: 1}
	if g.exhausted(now.Add(-1)) || !g.exhausted(now) {
		t.Error("given up at another time than behind the last wait")
	}
}

func TestANackOfAnotherSparesOnesOwn(t *testing.T) {
	for _, tt := range []struct {
		name        string
		first, last uint64
		due         time.Duration
		tries       int
		want        bool
	}{
		{"exactly", 5, 9, 20 * time.Millisecond, 0, true},
		{"more", 1, 50, 20 * time.Millisecond, 0, true},
		{"less", 5, 8, 20 * time.Millisecond, 0, false},
		{"just asked for", 5, 9, 90 * time.Millisecond, 1, false},
		{"to be asked for again", 5, 9, 30 * time.Millisecond, 1, true},
		{"about to be given up", 5, 9, 30 * time.Millisecond, nackTries, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := gaps{known: true, missing: 5, list: []gap{{first: 5, last: 9, due: epoch.Add(tt.due), tries: tt.tries}}}
			if got := g.asked(tt.first, tt.last, epoch, 0); got != tt.want {
				t.Errorf("spared: %v", got)
			}
			if moved := g.list[0].due.After(epoch.Add(tt.due)); moved != tt.want {
				t.Errorf("put off: %v", moved)
			}
		})
	}
}

func TestWhatWasAskedForInVainIsAskedForAnewWhenThePeerIsBack(t *testing.T) {
	g := gaps{known: true, top: 9, missing: 2, list: []gap{{first: 5, last: 5, due: epoch, tries: nackTries}, {first: 7, last: 7, due: epoch, tries: 1}}}
	if !g.exhausted(epoch) {
		t.Fatal("not given up")
	}
	g.retry(epoch.Add(time.Second))
	if due, ok := g.next(); !ok || due != epoch.Add(time.Second) || g.exhausted(due) {
		t.Errorf("due at %v, given up: %v", due, g.exhausted(due))
	}
}
