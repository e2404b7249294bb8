package ctentry_test

import (
	"slices"
	"testing"

	"github.com/ssyncp/ssyncp/pkg/wire/ctentry"
)

func TestOrderHasEachEntryOnceAndAlikeTogether(t *testing.T) {
	list := newWorld((*world).forwarded).entries(oneRead)
	var o ctentry.Order
	for range 2 { // it is used again
		order := slices.Clone(o.Of(list))
		changes := 0
		for i := range order[1:] {
			if list[order[i]].Reply.Source != list[order[i+1]].Reply.Source {
				changes++
			}
		}
		servers := make(map[any]bool)
		for i := range list {
			servers[list[i].Reply.Source] = true
		}
		if changes != len(servers)-1 {
			t.Errorf("%d changes between %d servers", changes, len(servers))
		}
		slices.Sort(order)
		for i, n := range order {
			if int(n) != i {
				t.Fatalf("%d is not there once", i)
			}
		}
	}
	if len(o.Of(nil)) != 0 {
		t.Error("something of nothing")
	}
}
