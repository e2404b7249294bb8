package counters_test

import (
	"maps"
	"sync"
	"testing"

	"github.com/ssyncp/ssyncp/internal/counters"
)

type fruit int

const (
	apple fruit = iota
	pear
)

func TestSetCountsByName(t *testing.T) {
	s := counters.New[fruit]("fruit", "apple", "pear")
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			for range 1000 {
				s.Add(pear, 2)
			}
		})
	}
	all.Wait()
	got := maps.Collect(s.All())
	if want := map[string]uint64{"apple": 0, "pear": 20000}; !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if s.Value(apple) != 0 || s.Value(pear) != 20000 || s.Group() != "fruit" {
		t.Errorf("%s: %d, %d", s.Group(), s.Value(apple), s.Value(pear))
	}
}
