// Package counters keeps groups of named counters that are cheap to count and
// safe to read at any time.
package counters

import (
	"iter"
	"sync/atomic"
)

// Set is a group of counters, told apart by an enumeration.
type Set[I ~int] struct {
	group  string
	names  []string
	values []atomic.Uint64
}

// New returns a set with a counter for every name, in the order of I.
func New[I ~int](group string, names ...string) *Set[I] {
	return &Set[I]{group: group, names: names, values: make([]atomic.Uint64, len(names))}
}

// Add counts n.
func (s *Set[I]) Add(i I, n int) { s.values[i].Add(uint64(n)) }

// Value returns one counter.
func (s *Set[I]) Value(i I) uint64 { return s.values[i].Load() }

// Group returns what the counters are about.
func (s *Set[I]) Group() string { return s.group }

// All returns every counter with its name.
func (s *Set[I]) All() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		for i, name := range s.names {
			if !yield(name, s.values[i].Load()) {
				return
			}
		}
	}
}

// Group is a set of any enumeration, to be shown.
type Group interface {
	Group() string
	All() iter.Seq2[string, uint64]
}
