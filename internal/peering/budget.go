package peering

import "time"

// repairShare is the part of the pace that snapshots and what is sent again
// may take together: one in so many frames.
const repairShare = 4

// bucket is a token bucket: so many frames a second, a hundredth of that at
// once, so that a burst does not overrun the sockets of the peers.
type bucket struct {
	rate   float64 // a second
	tokens float64
	last   time.Time
}

func (b *bucket) burst() float64 { return max(1, b.rate/100) }

func (b *bucket) refill(now time.Time) {
	if b.last.IsZero() {
		b.tokens = b.burst()
	} else if d := now.Sub(b.last); d > 0 {
		b.tokens = min(b.burst(), b.tokens+d.Seconds()*b.rate)
	}
	b.last = now
}

// wait returns how long it takes until one frame may leave.
func (b *bucket) wait(now time.Time) time.Duration {
	b.refill(now)
	if b.tokens >= 1 {
		return 0
	}
	// A nanosecond more, or rounding leaves us just short of a token.
	return time.Duration((1-b.tokens)/b.rate*float64(time.Second)) + 1
}

// budget is the pace of all frames with entries, and within it that of repairs:
// what is sent again, and snapshots. What news took is not there for repairs,
// so news goes first where it is sent first.
type budget struct{ all, repair bucket }

// set changes the pace. What was saved up stays, as far as it fits.
func (b *budget) set(pps int, now time.Time) {
	for i, k := range []*bucket{&b.all, &b.repair} {
		k.refill(now)
		k.rate = float64(pps)
		if i == 1 {
			k.rate /= repairShare
		}
		k.tokens = min(k.tokens, k.burst())
	}
}

// ready returns how many frames of news may leave now.
func (b *budget) ready(now time.Time) int {
	b.all.refill(now)
	return max(0, int(b.all.tokens))
}

// news spends one frame.
func (b *budget) news() { b.all.tokens-- }

// wait returns how long it takes until a repair may leave.
func (b *budget) wait(now time.Time) time.Duration {
	return max(b.all.wait(now), b.repair.wait(now))
}

// take spends a repair, if one may leave now.
func (b *budget) take(now time.Time) bool {
	if b.wait(now) > 0 {
		return false
	}
	b.all.tokens--
	b.repair.tokens--
	return true
}
