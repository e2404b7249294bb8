package figure

import (
	"testing"
	"time"
)

func TestSummarize(t *testing.T) {
	for _, test := range []struct {
		name   string
		values []float64
		want   Summary
	}{
		{"one value is its own median", []float64{7}, Summary{7, 7, 7}},
		{"an odd count has a middle", []float64{9, 1, 4}, Summary{4, 1, 9}},
		{"an even count has two", []float64{9, 1, 4, 6}, Summary{5, 1, 9}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Summarize(test.values)
			if err != nil || got != test.want {
				t.Errorf("got %v, %v, want %v", got, err, test.want)
			}
		})
	}
	if _, err := Summarize(nil); err == nil {
		t.Error("nothing was summarized without an error")
	}
}

func TestExtraIsTakenWithinARepetition(t *testing.T) {
	set := Set{
		{Repetition: 0, Load: "new", Contestant: None, Units: 10, Instructions: 1000},
		{Repetition: 0, Load: "new", Contestant: Read, Units: 10, Instructions: 1500},
		{Repetition: 1, Load: "new", Contestant: None, Units: 10, Instructions: 2000},
		{Repetition: 1, Load: "new", Contestant: Read, Units: 10, Instructions: 2540},
		{Repetition: 0, Load: "old", Contestant: Read, Units: 10, Instructions: 9999},
	}
	got, err := set.Extra("new", Read)
	if want := (Summary{Median: 52, Min: 50, Max: 54}); err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if got, err := set.Extra("old", Read); err == nil {
		t.Errorf("without a base: got %v", got)
	}
	if got, err := set.Extra("new", Daemon); err == nil {
		t.Errorf("without a measurement: got %v", got)
	}
}

func TestRunsAddUpToMoreRepetitions(t *testing.T) {
	run := Set{
		{Repetition: 0, Load: "new", Contestant: None, Units: 1, Instructions: 10},
		{Repetition: 1, Load: "new", Contestant: None, Units: 1, Instructions: 20},
	}
	got, err := run.And(run).And(run[:1]).Cost("new", None)
	if want := (Summary{Median: 10, Min: 10, Max: 20}); err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if n := len(run.And(run).Select("new", None)); n != 4 {
		t.Errorf("%d repetitions of two runs with 2, want 4", n)
	}
}

func TestLife(t *testing.T) {
	for _, test := range []struct {
		name  string
		apart int
		want  time.Duration
	}{
		{"one after the other", 0, 60 * time.Microsecond},
		{"with 100 that begin between two steps", 100, 42 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := Measurement{Units: 10, Instructions: 700_000, Steps: 7, Apart: test.apart}
			if got := m.Life(); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
