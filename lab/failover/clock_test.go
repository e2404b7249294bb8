package main

import (
	"errors"
	"testing"
	"time"
)

func TestAnInstantOnTheClientsClock(t *testing.T) {
	const ms = time.Millisecond
	begin := time.Now()
	read := func(asked, answered, clock time.Duration) reading {
		return reading{begin.Add(asked), begin.Add(answered), clock}
	}
	for _, test := range []struct {
		name             string
		readings         []reading
		earliest, latest time.Duration
		err              error
	}{
		{"one reading before", []reading{read(0, 10*ms, 505*ms)}, 595 * ms, 605 * ms, nil},
		{"the narrower reading wins", []reading{read(0, 40*ms, 520*ms), read(50*ms, 54*ms, 552*ms)}, 598 * ms, 602 * ms, nil},
		{"a reading after counts backwards", []reading{read(110*ms, 120*ms, 615*ms)}, 595 * ms, 605 * ms, nil},
		{"both sides narrow each other", []reading{read(0, 10*ms, 509*ms), read(110*ms, 120*ms, 611*ms)}, 599 * ms, 601 * ms, nil},
		{"contradiction", []reading{read(0, 10*ms, 505*ms), read(110*ms, 120*ms, 705*ms)}, 0, 0, errClocks},
	} {
		t.Run(test.name, func(t *testing.T) {
			earliest, latest, err := onClientsClock(begin.Add(100*ms), test.readings)
			if earliest != test.earliest || latest != test.latest || !errors.Is(err, test.err) {
				t.Errorf("%v to %v, %v", earliest, latest, err)
			}
		})
	}
}
