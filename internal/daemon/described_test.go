package daemon

import (
	"slices"
	"testing"

	"github.com/ssyncp/ssyncp/internal/metrics"
)

func TestEveryCounterHasAMetric(t *testing.T) {
	all, troubles := everything(t).counters()
	for _, g := range slices.Concat(all, troubles) {
		for name := range g.All() {
			if !metrics.Described(g.Group(), name) {
				t.Errorf("internal/metrics does not describe %s of %s", name, g.Group())
			}
		}
	}
}
