package admin

import (
	"testing"
	"time"
)

func TestRatesAreOfTheLastSeconds(t *testing.T) {
	var now Traffic
	m := meter{read: func() Traffic { return now }}
	began := time.Now()
	if r := m.rates(began); r != nil {
		t.Errorf("without a sample: %+v", r)
	}
	m.take(began)
	if r := m.rates(began.Add(sampleEvery / 2)); r != nil {
		t.Errorf("after half a second: %+v", r)
	}
	// A burst, and then the same all the time.
	now = Traffic{In: Flow{1e6, 1e6, 1e6}, Out: Flow{1e6, 1e6, 1e6}}
	for i := range 30 {
		m.take(began.Add(time.Duration(1+i) * time.Second))
		now.In = Flow{now.In.Entries + 100, now.In.Frames + 5, now.In.Bytes + 7000}
		now.Out.Bytes++
	}
	r := m.rates(began.Add(31 * time.Second))
	if want := (Rates{11, FlowRate{100, 5, 7000}, FlowRate{0, 0, 1}}); r == nil || *r != want {
		t.Errorf("got %+v, want %+v", r, want)
	}
	if len(m.kept) != samples {
		t.Errorf("%d samples", len(m.kept))
	}
}
