package traffic

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// openers is how many goroutines open streams: each occupies a thread.
const openers = 8

// OpenMany opens n streams, numbered from 0, evenly over a time; 0 is as fast
// as it goes. The first failure is returned, with the streams that are open.
func (c Client) OpenMany(n int, over time.Duration, to netip.AddrPort) ([]*Stream, error) {
	var (
		streams = make([]*Stream, n)
		errs    = make([]error, n)
		next    atomic.Int64
		all     sync.WaitGroup
		began   = time.Now()
	)
	for range openers {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				time.Sleep(time.Until(began.Add(over * time.Duration(i) / time.Duration(n))))
				streams[i], errs[i] = c.Open(i, to)
			}
		})
	}
	all.Wait()
	var open []*Stream
	for _, s := range streams {
		if s != nil {
			open = append(open, s)
		}
	}
	return open, firstOf(errs)
}

func firstOf(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// A Result is what became of the streams that were tried.
type Result struct {
	Survived []*Stream
	Lost     []*Stream
	Errors   []error // one for each lost stream, in the same order
}

// Exchange makes an exchange on every stream, all at once, and says which of
// them go on.
func Exchange(streams []*Stream, limit time.Duration) Result {
	errs := make([]error, len(streams))
	var all sync.WaitGroup
	for i, s := range streams {
		all.Go(func() { errs[i] = s.ExchangeWithin(limit) })
	}
	all.Wait()
	var r Result
	for i, s := range streams {
		if errs[i] == nil {
			r.Survived = append(r.Survived, s)
			continue
		}
		r.Lost = append(r.Lost, s)
		r.Errors = append(r.Errors, errs[i])
	}
	return r
}

// CloseAll closes streams.
func CloseAll(streams []*Stream) error {
	var errs []error
	for _, s := range streams {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// A Churn is a steady load of short connections: open, one exchange, close.
type Churn struct {
	stop   chan struct{}
	done   sync.WaitGroup
	opened atomic.Int64
	failed atomic.Int64
}

// Churn starts opening connections, perSecond of them as far as they can be.
func (c Client) Churn(perSecond int, to netip.AddrPort) *Churn {
	churn := &Churn{stop: make(chan struct{})}
	began := time.Now()
	var next atomic.Int64
	for range openers {
		churn.done.Go(func() {
			for {
				i := next.Add(1)
				due := began.Add(time.Duration(i) * time.Second / time.Duration(perSecond))
				select {
				case <-churn.stop:
					return
				case <-time.After(time.Until(due)):
				}
				churn.one(c, int(i), to)
			}
		})
	}
	return churn
}

func (churn *Churn) one(c Client, id int, to netip.AddrPort) {
	s, err := c.Open(id, to)
	if err != nil {
		churn.failed.Add(1)
		return
	}
	defer s.Close()
	churn.opened.Add(1)
	if s.Exchange() != nil {
		churn.failed.Add(1)
	}
}

// Stop ends the load and returns how many connections were opened, and how many
// failed to open or to exchange.
func (churn *Churn) Stop() (opened, failed int) {
	close(churn.stop)
	churn.done.Wait()
	return int(churn.opened.Load()), int(churn.failed.Load())
}
