package admin

import (
	"context"
	"math"
	"sync"
	"time"
)

// Traffic is what went over the links since the start.
type Traffic struct{ In, Out Flow }

// Flow is one direction of it.
type Flow struct{ Entries, Frames, Bytes uint64 }

// Rates are what goes over the links in a second, of late.
type Rates struct {
	Seconds float64  `json:"seconds"` // that they are of
	In      FlowRate `json:"in"`
	Out     FlowRate `json:"out"`
}

// FlowRate is one direction, each number per second. Bytes are those of frames,
// without what carries them.
type FlowRate struct {
	Entries float64 `json:"entries"`
	Frames  float64 `json:"frames"`
	Bytes   float64 `json:"bytes"`
}

const (
	sampleEvery = time.Second
	// samples are kept: rates are of some ten seconds.
	samples = 11
)

// meter samples traffic, so that who asks has rates at once.
type meter struct {
	read func() Traffic

	mu   sync.Mutex
	kept []sample // the oldest first
}

type sample struct {
	at time.Time
	Traffic
}

// run samples until ctx is done.
func (m *meter) run(ctx context.Context) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for m.take(time.Now()); ; {
		select {
		case <-tick.C:
			m.take(time.Now())
		case <-ctx.Done():
			return
		}
	}
}

func (m *meter) take(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.kept) == samples {
		copy(m.kept, m.kept[1:])
		m.kept = m.kept[:samples-1]
	}
	m.kept = append(m.kept, sample{now, m.read()})
}

// rates are those since the oldest sample; nil where that is too fresh to tell.
func (m *meter) rates(now time.Time) *Rates {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.kept) == 0 {
		return nil
	}
	oldest := &m.kept[0]
	span := now.Sub(oldest.at)
	if span < sampleEvery {
		return nil
	}
	t := m.read()
	return &Rates{Seconds: seconds(span), In: t.In.since(&oldest.In, span), Out: t.Out.since(&oldest.Out, span)}
}

// And adds another flow.
func (f Flow) And(other Flow) Flow {
	return Flow{f.Entries + other.Entries, f.Frames + other.Frames, f.Bytes + other.Bytes}
}

func (f Flow) since(before *Flow, span time.Duration) FlowRate {
	rate := func(now, then uint64) float64 { return math.Round(float64(now-then)/span.Seconds()*10) / 10 }
	return FlowRate{rate(f.Entries, before.Entries), rate(f.Frames, before.Frames), rate(f.Bytes, before.Bytes)}
}
