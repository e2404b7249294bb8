package main

import (
	"fmt"
	"strings"
	"time"
)

// result is what was measured.
type result struct {
	sending, receiving     []float64 // M entries a second of processor time
	sent, received         []float64 // M entries a second
	sendAllocs, recvAllocs []float64 // for 1,000 entries
	all                    total     // while the sender tells as much as it can
	held                   total     // while it tells so much a second
	samples                int
	late                   []time.Duration // at parts
	counted                []string        // while it tells so much a second, and for the latency
}

// total is what became of all connections of a measurement.
type total struct{ told, written, wrong int }

// measure takes a pair of directors for each measurement: they have no past.
func (r *result) measure(o options) error {
	for _, m := range []struct {
		name string
		what func(*pair, options) error
	}{
		{"throughput", r.measureThroughput}, {"held", r.measureHeld}, {"latency", r.measureLatency},
	} {
		of := o
		of.realTime = o.realTime && m.name != "throughput" // which would have the processor to itself
		p, err := newPair(of)
		if err == nil {
			err = m.what(p, o)
			logs := p.close()
			if m.name != "throughput" { // which goes over the limits
				r.counted = append(r.counted, counted(m.name, logs)...)
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}

// measureThroughput has the sender tell as much as it can.
func (r *result) measureThroughput(p *pair, o options) (err error) {
	for range o.repetitions + 1 {
		if _, err := p.sender.do(order{Run: true, Start: monotonic()}); err != nil {
			return err
		}
		time.Sleep(o.each / 4) // buffers grow at first
		if err := r.throughput(p, o); err != nil {
			return err
		}
	}
	// The first one was for the processor to get warm.
	for _, list := range []*[]float64{&r.sending, &r.receiving, &r.sent, &r.received, &r.sendAllocs, &r.recvAllocs} {
		*list = (*list)[1:]
	}
	r.all, _, err = settle(p)
	return err
}

// measureHeld has it tell as much a second as the target is.
func (r *result) measureHeld(p *pair, o options) (err error) {
	if _, err := p.sender.do(order{Run: true, Rate: wantMillions * 1e6, Start: monotonic()}); err != nil {
		return err
	}
	time.Sleep(o.each)
	if _, err := p.sender.do(order{Stop: true}); err != nil {
		return err
	}
	r.held, _, err = settle(p)
	return err
}

// measureLatency has it tell so much a second, and both look at the clock.
func (r *result) measureLatency(p *pair, o options) error {
	start := order{Run: true, Rate: o.rate, Start: monotonic()}
	for _, d := range []*director{p.receiver, p.sender} {
		if _, err := d.do(start); err != nil {
			return err
		}
	}
	time.Sleep(time.Duration(o.samples) * time.Second / time.Duration(o.rate))
	if _, err := p.sender.do(order{Stop: true}); err != nil {
		return err
	}
	_, end, err := settle(p)
	r.samples, r.late = end.Samples, end.Late
	return err
}

// throughput is one repetition.
func (r *result) throughput(p *pair, o options) error {
	var before, after [2]reply
	directors := [...]*director{p.sender, p.receiver}
	for _, sample := range []*[2]reply{&before, &after} {
		for i, d := range directors {
			var err error
			if sample[i], err = d.do(order{}); err != nil {
				return err
			}
		}
		if sample == &before {
			time.Sleep(o.each)
		}
	}
	if _, err := p.sender.do(order{Stop: true}); err != nil {
		return err
	}
	read, written := after[0].Read-before[0].Read, after[1].Written-before[1].Written
	for i, n := range []int{read, written} {
		cpu, wall := after[i].CPU-before[i].CPU, time.Duration(after[i].At-before[i].At)
		allocs := float64(after[i].Mallocs-before[i].Mallocs) / float64(n) * 1000
		millions := float64(n) / 1e6
		if i == 0 {
			r.sending = append(r.sending, millions/cpu.Seconds())
			r.sent = append(r.sent, millions/wall.Seconds())
			r.sendAllocs = append(r.sendAllocs, allocs)
		} else {
			r.receiving = append(r.receiving, millions/cpu.Seconds())
			r.received = append(r.received, millions/wall.Seconds())
			r.recvAllocs = append(r.recvAllocs, allocs)
		}
	}
	_, _, err := settle(p)
	return err
}

// settle waits until nothing comes any more, and returns what came in all.
func settle(p *pair) (all total, end reply, err error) {
	for quiet := 0; quiet < 4; {
		time.Sleep(250 * time.Millisecond)
		now, err := p.receiver.do(order{})
		if err != nil {
			return all, now, err
		}
		if quiet++; now.Written != end.Written {
			quiet = 0
		}
		end = now
	}
	told, err := p.sender.do(order{})
	return total{told.Read, end.Written, end.Wrong}, end, err
}

// counted returns what the daemons counted of what went wrong.
func counted(when string, logs map[string]string) (lines []string) {
	for _, name := range []string{"sender", "receiver"} {
		for line := range strings.Lines(logs[name]) {
			_, counters, ok := strings.Cut(line, "msg=counters group=")
			if !ok {
				continue
			}
			for _, group := range []string{"cluster_trouble", "cluster_refused", "peering_trouble", "receive_dropped", "ipvs_entries_refused"} {
				if strings.HasPrefix(counters, group) {
					lines = append(lines, fmt.Sprintf("%s, %s: %s", when, name, strings.TrimSpace(counters)))
				}
			}
		}
	}
	return lines
}
