package tsc

import (
	"testing"
	"time"
)

func TestTwoMeasurementsAgree(t *testing.T) {
	one, two := Kilohertz(50*time.Millisecond), Kilohertz(100*time.Millisecond)
	if one < 500_000 || one > 10_000_000 {
		t.Fatalf("%d kHz", one)
	}
	if ratio := float64(one) / float64(two); ratio < 0.995 || ratio > 1.005 {
		t.Errorf("%d and %d kHz", one, two)
	}
}
