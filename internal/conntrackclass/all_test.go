package conntrackclass_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/conntrackclass"
	"github.com/ssyncp/ssyncp/internal/ctnetlink/ctnetlinktest"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

func TestEveryEntryIsShown(t *testing.T) {
	d := newDirector(t)
	list := ctnetlinktest.Numbered(conntrack.UDP, 2000)
	d.make(t, 100*time.Second, list...)
	want := map[conntrack.Key]bool{}
	for i := range list {
		want[list[i].Key()] = true
	}
	d.ns.Do(t, func() {
		for e, err := range conntrackclass.All(context.Background(), "") {
			if err != nil {
				t.Error(err)
				return
			}
			if left := e.Remaining(); !want[e.Key()] || left > 100*time.Second || left < 90*time.Second || e.Age <= 0 {
				t.Errorf("%v: %v left of %v", e, left, e.Timeout)
				return
			}
			delete(want, e.Key())
		}
	})
	if len(want) != 0 {
		t.Errorf("%d are missing", len(want))
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for _, err := range conntrackclass.All(ctx, "") {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a context that is done: %v", err)
		}
	}
}
