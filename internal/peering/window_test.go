package peering

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestWindowTakesEachNumberOnce(t *testing.T) {
	type step struct {
		number uint64
		want   bool
	}
	for _, tt := range []struct {
		name  string
		begin uint64
		steps []step
	}{
		{"the proof itself", 7, []step{{7, false}}},
		{"in order", 7, []step{{8, true}, {9, true}, {9, false}, {8, false}}},
		{"older than the proof", 7, []step{{6, false}, {1, false}, {8, true}, {6, false}}},
		{"out of order", 7, []step{{20, true}, {10, true}, {10, false}, {8, true}, {20, false}, {19, true}}},
		{"as old as it can be", 1, []step{{5000, true}, {5000 - windowSize + 1, true}, {5000 - windowSize, false}}},
		{"a leap over the whole window", 1, []step{{2, true}, {2 + windowSize, true}, {3 + windowSize, true}, {4, true}, {3, false}}},
		{"a leap as far as can be", 1, []step{{math.MaxUint64, true}, {math.MaxUint64, false}, {math.MaxUint64 - 1, true}, {2, false}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var w window
			w.begin(tt.begin)
			for i, s := range tt.steps {
				if got := w.take(s.number); got != s.want {
					t.Errorf("step %d, number %d: %v", i, s.number, got)
				}
			}
		})
	}
}

// Whatever the order, the window does what a set without a bound does for
// numbers that are in reach.
func TestWindowIsASet(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var w window
	w.begin(1000)
	seen, top := map[uint64]bool{1000: true}, uint64(1000)
	for range 100_000 {
		number := top + rng.Uint64N(40) - min(top, rng.Uint64N(5000))
		if rng.IntN(1000) == 0 {
			number = top + rng.Uint64N(3*windowSize)
		}
		want := !seen[number] && number >= 1000 && (number > top || top-number < windowSize)
		if got := w.take(number); got != want {
			t.Fatalf("number %d, top %d: %v", number, top, got)
		}
		if want {
			seen[number] = true
			top = max(top, number)
		}
	}
}
