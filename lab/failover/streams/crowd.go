package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ssyncp/ssyncp/lab/failover/verdict"
)

// A client is one stream, from its first contact to its probe.
type client interface {
	// run makes contact and stays in touch until due, then probes: the answer
	// has to come within the crowd's deadline. It returns false where no
	// contact was made before due.
	run(due context.Context, c *crowd) (verdict.Record, bool)
}

// A crowd is all clients.
type crowd struct {
	clock    func() time.Duration
	deadline time.Duration

	opening context.Context
	close   context.CancelFunc
	openers sync.WaitGroup
	running sync.WaitGroup

	mu      sync.Mutex
	due     []context.CancelFunc
	records []verdict.Record
}

func newCrowd(clock func() time.Duration, deadline time.Duration) *crowd {
	opening, stop := context.WithCancel(context.Background())
	return &crowd{clock: clock, deadline: deadline, opening: opening, close: stop}
}

// open starts rate clients a second until close, the probe, or next returns nil.
func (c *crowd) open(rate float64, next func(n int) client) {
	c.openers.Go(func() {
		begin := time.Now()
		for n := 0; ; n++ {
			at := begin.Add(time.Duration(float64(n) / rate * float64(time.Second)))
			if !wait(c.opening, time.Until(at)) {
				return
			}
			one := next(n)
			if one == nil {
				return
			}
			c.start(one)
		}
	})
}

func (c *crowd) start(one client) {
	due, fire := context.WithCancel(context.Background())
	c.mu.Lock()
	c.due = append(c.due, fire)
	c.mu.Unlock()
	c.running.Go(func() {
		record, ok := one.run(due, c)
		if !ok {
			return
		}
		c.mu.Lock()
		c.records = append(c.records, record)
		c.mu.Unlock()
	})
}

// probe stops opening and has all clients probe, rate a second, so that the
// director which took over is not measured by how it stands a burst. They come
// in another order than at first: a scheduler that begins anew would otherwise
// send many to the right server by chance.
func (c *crowd) probe(rate float64) []verdict.Record {
	c.close()
	c.openers.Wait()
	rand.Shuffle(len(c.due), func(i, j int) { c.due[i], c.due[j] = c.due[j], c.due[i] })
	begin := time.Now()
	for n, fire := range c.due {
		wait(context.Background(), time.Until(begin.Add(time.Duration(float64(n)/rate*float64(time.Second)))))
		fire()
	}
	c.running.Wait()
	return c.records
}

// wait returns false when ctx ended before the time was over.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
