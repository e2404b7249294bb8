package engine

import "time"

// pace is a token bucket: so many adverts a second, a hundredth of that at
// once, so that a burst does not overrun the sockets of the peers.
type pace struct {
	rate   float64 // a second
	tokens float64
	last   time.Time
}

func (p *pace) burst() float64 { return max(1, p.rate/100) }

// set changes the rate. What was saved up stays, as far as it fits.
func (p *pace) set(rate float64, now time.Time) {
	p.refill(now)
	p.rate = rate
	p.tokens = min(p.tokens, p.burst())
}

func (p *pace) refill(now time.Time) {
	if p.last.IsZero() {
		p.tokens = p.burst()
	} else if d := now.Sub(p.last); d > 0 {
		p.tokens = min(p.burst(), p.tokens+d.Seconds()*p.rate)
	}
	p.last = now
}

// ready returns how many adverts may leave now.
func (p *pace) ready(now time.Time) int {
	p.refill(now)
	return int(p.tokens)
}

// take spends n.
func (p *pace) take(n int) { p.tokens -= float64(n) }

// wait returns how long it takes until one may leave.
func (p *pace) wait(now time.Time) time.Duration {
	p.refill(now)
	if p.tokens >= 1 {
		return 0
	}
	// A nanosecond more, or rounding leaves us just short of a token.
	return time.Duration((1-p.tokens)/p.rate*float64(time.Second)) + 1
}
