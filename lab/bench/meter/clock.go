package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// spin executes two instructions n times.
func spin(n int64)

// instructions reads the count of what the guest has executed: its clock, which
// counts an instruction a nanosecond. It jumps over time when nothing runs, so
// a difference of two readings means something only where somebody always ran.
func instructions() (int64, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC_RAW, &now); err != nil {
		return 0, fmt.Errorf("CLOCK_MONOTONIC_RAW: %w", err)
	}
	return now.Nano(), nil
}

// checkClock fails where the guest's clock does not count instructions. What is
// allowed on top are the timer interrupts.
func checkClock() error {
	const turns = 50_000_000
	begin, err := instructions()
	if err != nil {
		return err
	}
	spin(turns)
	end, err := instructions()
	if err != nil {
		return err
	}
	if took := end - begin; took < 2*turns*999/1000 || took > 2*turns*1010/1000 {
		return fmt.Errorf("the clock does not count instructions: %d of them took %d ns", 2*turns, took)
	}
	return nil
}
