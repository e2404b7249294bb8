package main

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/failover/verdict"
)

// records is so many streams of each group, all of them old enough to matter.
func records(each int, outcome verdict.Outcome) []verdict.Record {
	var all []verdict.Record
	for _, group := range verdict.Groups() {
		for range each {
			all = append(all, verdict.Record{Group: group, Established: time.Second, Outcome: outcome})
		}
	}
	return all
}

func TestARunPassesOnlyWithEnoughStreamsAndNoLoss(t *testing.T) {
	trouble := errors.New("a kernel warning")
	for _, test := range []struct {
		name    string
		records []verdict.Record
		err     error
		rate    int
		want    []string
	}{
		{"all survived", records(1000, verdict.Survived), nil, defaultRate, nil},
		{"one was lost", append(records(1000, verdict.Survived),
			verdict.Record{Group: verdict.TUN, Outcome: verdict.Hung}), nil, defaultRate,
			[]string{"TUN: 1 of 1001 lost (0 reset, 1 hung, 0 moved)"}},
		{"a kernel warned", records(1000, verdict.Survived), trouble, defaultRate, []string{trouble.Error()}},
		{"too few streams", records(999, verdict.Survived), nil, defaultRate, []string{
			"NAT: only 999 of 1000 established before the cut",
			"DR: only 999 of 1000 established before the cut",
			"TUN: only 999 of 1000 established before the cut",
		}},
		{"few streams, as asked for", records(9, verdict.Survived), nil, 1, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := result{tally: rule.Count(test.records, 10*time.Second)}
			if got := r.failures(test.err, test.rate); !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
