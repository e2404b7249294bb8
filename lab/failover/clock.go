package main

import (
	"errors"
	"fmt"
	"time"
)

// The streams are timed on the clients' clock, the cut happens on the host's.
// A reading of the clients' clock that the host asked for ties the two: it was
// made some time between the question and the answer.
type reading struct {
	asked    time.Time
	answered time.Time
	clock    time.Duration
}

var errClocks = errors.New("the clients' clock contradicts itself")

// onClientsClock returns the earliest and the latest that the clients' clock
// can have shown at an instant: what all readings allow, for both clocks run
// at the same pace.
func onClientsClock(at time.Time, readings []reading) (earliest, latest time.Duration, err error) {
	for i, r := range readings {
		low, high := r.clock+at.Sub(r.answered), r.clock+at.Sub(r.asked)
		if i == 0 || low > earliest {
			earliest = low
		}
		if i == 0 || high < latest {
			latest = high
		}
	}
	if earliest > latest {
		return 0, 0, fmt.Errorf("%w by %v", errClocks, earliest-latest)
	}
	return earliest, latest, nil
}
