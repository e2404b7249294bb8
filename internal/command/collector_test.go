package command

import (
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

func TestHeapGrowthIsTheDaemonsUnlessGOGCIsSet(t *testing.T) {
	for _, tt := range []struct {
		name, gogc string
		want       uint64
	}{
		{"as it is started", "", heapGrowth},
		{"with GOGC", "70", 100}, // which Go has read at its start: this test's
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer debug.SetGCPercent(debug.SetGCPercent(100))
			t.Setenv("GOGC", tt.gogc)
			keepSmall()
			sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
			metrics.Read(sample)
			if got := sample[0].Value.Uint64(); got != tt.want {
				t.Errorf("collected when grown by %d %%, want %d %%", got, tt.want)
			}
		})
	}
}
