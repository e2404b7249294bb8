package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/ssyncp/ssyncp/lab/vm"
)

// ssyncpd logs its counters on SIGUSR1: among them, how often it has read the
// device. The kernel gives a daemon its period only as well as the machine
// keeps up with the guest.

// logCounters has the daemon log its counters.
func logCounters(ctx context.Context, director *vm.Guest) error {
	s := newScript()
	s.say("kill -USR1 $(cat /run/ssyncpd.pid)")
	return s.run(ctx, director, "have ssyncpd log its counters")
}

// actualPeriod is how long a period took between two such logs.
func actualPeriod(ctx context.Context, director *vm.Guest) (time.Duration, error) {
	s := newScript()
	s.say("n=0; until [ $(grep -c ' reads=' /run/ssyncpd.log) -ge 2 ] || [ $n -ge 50 ]; do n=$((n+1)); usleep 20000; done")
	s.say("grep msg=counters /run/ssyncpd.log")
	log, err := s.output(ctx, director, "show the counters")
	if err != nil {
		return 0, err
	}
	return parsePeriod(string(log))
}

var (
	readsLogged = regexp.MustCompile(`(?m)^time=(\S+) .*\breads=(\d+)`)
	errNoReads  = errors.New("the log does not say twice how often the device was read")
)

func parsePeriod(log string) (time.Duration, error) {
	lines := readsLogged.FindAllStringSubmatch(log, -1)
	if len(lines) < 2 {
		return 0, errNoReads
	}
	var at [2]time.Time
	var reads [2]int
	for i, line := range [][]string{lines[0], lines[len(lines)-1]} {
		var err error
		if at[i], err = time.Parse(time.RFC3339Nano, line[1]); err != nil {
			return 0, fmt.Errorf("%w: %w", errNoReads, err)
		}
		if reads[i], err = strconv.Atoi(line[2]); err != nil {
			return 0, fmt.Errorf("%w: %w", errNoReads, err)
		}
	}
	if reads[1] <= reads[0] {
		return 0, fmt.Errorf("%w: %d, then %d", errNoReads, reads[0], reads[1])
	}
	return at[1].Sub(at[0]) / time.Duration(reads[1]-reads[0]), nil
}
