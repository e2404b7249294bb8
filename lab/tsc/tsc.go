// Package tsc measures the frequency of the processor's time stamp counter,
// which is the one that an emulated guest sees.
//
// A guest that finds it out by itself, against an emulated timer, is wrong by a
// factor of three now and then while the machine is busy, and all its clocks
// with it. The kernel takes the frequency as a parameter: tsc_early_khz.
package tsc

import (
	"sync"
	"time"
)

// read executes RDTSC.
func read() uint64

// Once is the frequency, measured when it is first asked for.
var Once = sync.OnceValue(func() uint64 { return Kilohertz(200 * time.Millisecond) })

// Kilohertz measures the frequency for so long.
func Kilohertz(long time.Duration) uint64 {
	begun, from := time.Now(), read()
	time.Sleep(long)
	ticks, took := read()-from, time.Since(begun)
	return uint64(float64(ticks) / took.Seconds() / 1000)
}
