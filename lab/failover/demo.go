package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ssyncp/ssyncp/lab/failover/verdict"
)

const picture = `
  clients ---> director A ---> real servers      NAT, DR and TUN, a persistent service, UDP
                   |  sync
               director B                        the same services, no traffic yet

Four guests with their own kernels: both directors, the clients, and the real
servers. Streams are opened through director A without a pause; at a random
instant it loses its power, %.1f s later its addresses are on director B, and
every stream has to get one more answer from its own real server.`

const legend = `
How to read it: 990/1000 means that of 1,000 streams 990 got their next answer from their own real server, through
director B; the rest was reset, hung, or met another real server.`

// demo plays one failover for each contestant and sets them side by side.
func demo(ctx context.Context, s *stage) error {
	begun := time.Now()
	s.progress(picture, detection.Seconds())
	var columns []verdict.Column
	var failed error
	for n, c := range contestants {
		s.progress("\n[%d/%d] %s: %s", n+1, len(contestants), c.title, c.about)
		r, err := s.show(ctx, c)
		if err != nil {
			return err
		}
		s.progress("%s", indent(rule.Table(r.tally)))
		columns = append(columns, verdict.Column{Title: c.title, Tally: r.tally})
		// The others are there to lose.
		if reasons := r.failures(nil, s.rate); c.ours && len(reasons) > 0 {
			failed = errors.Join(failed, fmt.Errorf("%s: %v", c.title, reasons))
		}
	}
	s.progress("\nAll three, after %.0f s:\n\n%s", time.Since(begun).Seconds(), indent(rule.Comparison(columns)))
	s.progress(legend)
	return failed
}
