package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// Table reads the objects of one class for people who ask. Unlike [Objects] it
// may be used by several goroutines, so that who synchronizes waits for nobody.
type Table interface {
	Class() block.Class
	// Find looks for objects, and returns as many as an answer has, in room
	// bytes of ADVERT blocks.
	Find(ctx context.Context, selector []byte, room int) (peering.Findings, error)
}

const (
	// findTimeout is the longest time that a peer's question is looked for.
	findTimeout = 5 * time.Second
	// askAgainEvery is when peers are asked again that did not answer.
	askAgainEvery = 500 * time.Millisecond
	// inspectRetry is when a peer is asked again that refused, or when another
	// snapshot was being taken here.
	inspectRetry = 250 * time.Millisecond
	// inspectPatience is how long that is tried.
	inspectPatience = 30 * time.Second
)

// ErrAsking says that too many questions are open.
var ErrAsking = errors.New("cluster: too many questions to the peers at once")

// finder answers peers: it is peering.Finder.
type finder struct {
	director *Director
	tables   []Table
	ctx      context.Context // of the director's life
}

// Find is peering.Finder's.
func (f *finder) Find(l peering.Lookup) {
	d, node := f.director, f.director.node
	go func() {
		ctx, stop := context.WithTimeout(f.ctx, findTimeout)
		defer stop()
		found := f.find(ctx, &l)
		d.do(f.ctx, func(time.Time) { // that it stopped answers, too
			if d.node == node {
				node.Found(&l, &found)
			}
		})
	}()
}

func (f *finder) find(ctx context.Context, l *peering.Lookup) peering.Findings {
	for _, t := range f.tables {
		if t.Class() != l.Class {
			continue
		}
		found, err := t.Find(ctx, l.Selector, l.Room)
		if err == nil {
			return found
		}
		f.director.log.Debug("a peer's question is not answered", "peer", l.Peer, "class", l.Class, "error", err)
		break
	}
	return peering.Findings{Failed: true}
}

// Ask asks all peers that are there for objects of a class, until each has
// answered or ctx is done: then it returns those that have not. take is called
// with each answer, whose memory is valid during the call.
func (d *Director) Ask(ctx context.Context, class block.Class, selector []byte, take func(block.Peer, *block.Answer)) (silent []block.Peer, err error) {
	var q *peering.Inquiry
	var node *peering.Node
	err = d.do(ctx, func(time.Time) {
		node = d.node
		q = node.Inquire(class, selector, take)
	})
	if err != nil {
		return nil, err
	}
	if q == nil {
		return nil, ErrAsking
	}
	again := time.NewTicker(askAgainEvery)
	defer again.Stop()
	look := time.NewTicker(answerLook)
	defer look.Stop()
	for over := false; ; {
		ask := false
		select {
		case <-ctx.Done():
			over = true
		case <-again.C:
			ask = true
		case <-look.C:
		}
		// The question must be closed, whatever became of ctx.
		err = d.do(context.WithoutCancel(ctx), func(time.Time) {
			silent = append([]block.Peer(nil), q.Open()...)
			switch {
			case over || len(silent) == 0:
				node.CloseInquiry(q)
				over = true
			case ask:
				node.AskAgain(q)
			}
		})
		if over || err != nil {
			return silent, err
		}
	}
}

// answerLook is how often it is looked whether all have answered.
const answerLook = 10 * time.Millisecond

// Inspect reads everything that a peer has of a class: take is called with the
// blocks of each part, which are valid during the call. While a snapshot is being
// taken, or the peer refuses one, it waits for some time.
func (d *Director) Inspect(ctx context.Context, peer block.Peer, class block.Class, take func(block.Blocks)) error {
	for began := time.Now(); ; {
		err := d.inspect(ctx, peer, class, take)
		if !errors.Is(err, peering.ErrBusy) && !errors.Is(err, peering.ErrRefused) || time.Since(began) > inspectPatience {
			return err
		}
		select {
		case <-time.After(inspectRetry):
		case <-ctx.Done():
			return err
		}
	}
}

func (d *Director) inspect(ctx context.Context, peer block.Peer, class block.Class, take func(block.Blocks)) error {
	ended := make(chan error, 1)
	var begun *peering.Inspection
	var node *peering.Node
	var failed error
	err := d.do(ctx, func(now time.Time) {
		node = d.node
		begun, failed = node.Inspect(now, peer, block.ClassesOf(class), take, func(err error) { ended <- err })
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return err
	}
	select {
	case err := <-ended:
		return err
	case <-d.ended:
		return ErrStopped
	case <-ctx.Done():
		// Nothing may be taken behind the return.
		if err := d.do(context.WithoutCancel(ctx), func(now time.Time) { node.StopInspecting(now, begun) }); err != nil {
			return err
		}
		return ctx.Err()
	}
}
