package guest

import (
	"net/netip"
	"sync"
	"time"

	"github.com/ssyncp/ssyncp/lab/traffic"
)

// A crowd opens streams at a steady rate until it is stopped, and uses them: a
// quarter says something once and is idle from then on, the others go on.
type crowd struct {
	client  traffic.Client
	virtual netip.AddrPort
	stop    chan struct{}
	all     sync.WaitGroup

	mu      sync.Mutex
	members []*member
}

// A member is a stream of a crowd, or the attempt to open one.
type member struct {
	*traffic.Stream // nil: it could not be opened
	began           time.Time
	err             error // of opening it, or of the first exchange that failed
}

const (
	crowdExchange = time.Second      // between two exchanges of a stream
	crowdPatience = 10 * time.Second // of a stream: a failover must be over by then
)

// gather starts a crowd.
func gather(client traffic.Client, virtual netip.AddrPort, perSecond int) *crowd {
	c := &crowd{client: client, virtual: virtual, stop: make(chan struct{})}
	c.all.Go(func() {
		next := time.NewTicker(time.Second / time.Duration(perSecond))
		defer next.Stop()
		for id := 0; ; id++ {
			select {
			case <-c.stop:
				return
			case <-next.C:
				c.all.Go(func() { c.join(id) })
			}
		}
	})
	return c
}

func (c *crowd) join(id int) {
	m := &member{began: time.Now()}
	m.Stream, m.err = c.client.Open(id, c.virtual)
	c.mu.Lock()
	c.members = append(c.members, m)
	c.mu.Unlock()
	if m.err != nil {
		return
	}
	idle := id%4 == 0
	for {
		if m.err = m.ExchangeWithin(crowdPatience); m.err != nil || idle {
			return
		}
		select {
		case <-c.stop:
			return
		case <-time.After(crowdExchange):
		}
	}
}

// size returns how many streams were opened, or could not be.
func (c *crowd) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.members)
}

// disperse stops the crowd, waits for what is under way, and returns everybody
// who ever was in it. The streams stay open.
func (c *crowd) disperse() []*member {
	close(c.stop)
	c.all.Wait()
	return c.members
}

// leave closes the streams of a crowd.
func leave(members []*member) {
	for _, m := range members {
		if m.Stream != nil {
			m.Close()
		}
	}
}
