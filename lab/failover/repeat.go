package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ssyncp/ssyncp/lab/failover/verdict"
)

var errLost = errors.New("not every run passed")

// repeat plays many failovers, each with guests that have just booted, and
// fails unless all of them pass.
func repeat(ctx context.Context, s *stage, c contestant, runs int) error {
	var sum verdict.Tally
	passed := 0
	for n := 1; n <= runs; n++ {
		begun := time.Now()
		s.progress("Run %d of %d: %s", n, runs, c.title)
		r, err := s.show(ctx, c)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		reasons := r.failures(err, s.rate)
		if r.tally != nil {
			sum = sum.Plus(r.tally)
			s.progress("%s", indent(rule.Table(r.tally)))
			s.progress("  streams were opened for %.2f s; the cut is known to %d ms; %d frames dropped; %.0f s in all",
				r.opened.Seconds(), r.uncertainty.Milliseconds(), r.dropped, time.Since(begun).Seconds())
			if r.period != 0 {
				s.progress("  ssyncpd on director A read the device every %.1f ms", r.period.Seconds()*1000)
			}
		}
		if len(reasons) == 0 {
			passed++
			s.progress("  passed: nothing lost that was %v old or older, no kernel warning", rule.Grace)
			continue
		}
		for _, reason := range reasons {
			s.progress("  FAILED: %s", reason)
		}
	}
	if sum != nil {
		s.progress("All runs together:\n%s", indent(rule.Table(sum)))
	}
	s.progress("%s on Linux %s: %d/%d runs passed", c.title, s.kernel.Release, passed, runs)
	if passed < runs {
		return fmt.Errorf("%w: %d of %d", errLost, passed, runs)
	}
	return nil
}

// failures says all that is wrong with a run.
func (r result) failures(err error, rate int) []string {
	var reasons []string
	if err != nil {
		reasons = append(reasons, err.Error())
	}
	if r.tally != nil {
		if rate >= defaultRate {
			reasons = append(reasons, rule.Invalid(r.tally)...)
		}
		reasons = append(reasons, r.tally.Losses()...)
	}
	return reasons
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
}
