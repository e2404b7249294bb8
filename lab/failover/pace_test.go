package main

import (
	"errors"
	"testing"
	"time"
)

func TestThePeriodIsTimeByReads(t *testing.T) {
	const (
		first = "time=2026-01-02T03:04:05.000Z level=INFO msg=counters group=engine sessions=1 reads=20 read_entries=7\n"
		other = "time=2026-01-02T03:04:05.001Z level=INFO msg=counters group=module state=capturing read_calls=21\n"
		last  = "time=2026-01-02T03:04:15.300Z level=INFO msg=counters group=engine sessions=1 reads=120 read_entries=9\n"
	)
	if period, err := parsePeriod(first + other + last); err != nil || period != 103*time.Millisecond {
		t.Errorf("%v, %v", period, err)
	}
	for _, log := range []string{"", first, other + other, first + first} {
		if period, err := parsePeriod(log); !errors.Is(err, errNoReads) {
			t.Errorf("%q: %v, %v", log, period, err)
		}
	}
}
