//go:build race

package daemon_test

// raceDetector is on: what a program takes is not what it would take.
const raceDetector = true
