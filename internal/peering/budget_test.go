package peering

import (
	"testing"
	"time"
)

// spend lets time pass in steps, with so much news in each as is wanted, and
// repairs without end.
func spend(b *budget, d, step time.Duration, wanted int) (news, repairs int) {
	for at := time.Duration(0); at < d; at += step {
		now := epoch.Add(at)
		for range min(wanted, b.ready(now)) {
			b.news()
			news++
		}
		for b.take(now) {
			repairs++
		}
	}
	return news, repairs
}

func TestRepairsHaveAQuarterAndNewsTheRest(t *testing.T) {
	for _, tt := range []struct {
		name          string
		wanted        int // of news in a millisecond; the pace is one
		news, repairs [2]int
	}{
		{"no news", 0, [2]int{0, 0}, [2]int{2490, 2510}},
		{"news all the time", 10, [2]int{9990, 10110}, [2]int{0, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b budget
			b.set(1000, epoch)
			news, repairs := spend(&b, 10*time.Second, time.Millisecond, tt.wanted)
			if news < tt.news[0] || news > tt.news[1] || repairs < tt.repairs[0] || repairs > tt.repairs[1] {
				t.Errorf("%d news, %d repairs", news, repairs)
			}
		})
	}
}

func TestRepairsFillWhatNewsLeaves(t *testing.T) {
	var b budget
	b.set(1000, epoch)
	news, repairs := 0, 0
	for at := time.Duration(0); at < 10*time.Second; at += 10 * time.Millisecond {
		n, r := 0, 0
		now := epoch.Add(at)
		for range min(9, b.ready(now)) { // nine tenths
			b.news()
			n++
		}
		for b.take(now) {
			r++
		}
		news, repairs = news+n, repairs+r
	}
	if news < 8900 || repairs < 900 || news+repairs > 10_020 {
		t.Errorf("%d news, %d repairs", news, repairs)
	}
}

func TestWaitIsJustLongEnough(t *testing.T) {
	var b budget
	b.set(40, epoch)
	now := epoch
	for range 20 {
		for b.take(now) {
		}
		wait := b.wait(now)
		if b.take(now.Add(wait - time.Microsecond)) {
			t.Fatal("a frame may leave before that")
		}
		now = now.Add(wait)
		if !b.take(now) {
			t.Fatalf("no frame after %v", wait)
		}
	}
}
