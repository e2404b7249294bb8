package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// readCommand runs this program as a reader.
const readCommand = "read"

// read is the least that a reader can be: every period it reads all there is,
// and forgets it. It ends by a signal.
func read(period time.Duration) error {
	device, err := chardev.Open(chardev.DefaultPath)
	if err != nil {
		return err
	}
	defer device.Close()
	if err := device.Attach(chardev.AttachOptions{Mode: chardev.ModeCapture}); err != nil {
		return err
	}
	fmt.Println("attached")

	batch := chardev.NewBatch(chardev.DefaultBatchSize)
	pause := unix.NsecToTimespec(period.Nanoseconds())
	for {
		for more := true; more; {
			if more, err = device.ReadBatch(batch); err != nil {
				return err
			}
		}
		if err := unix.Nanosleep(&pause, nil); err != nil && err != unix.EINTR {
			return fmt.Errorf("nanosleep: %w", err)
		}
	}
}
