package ipvsdevice

import (
	"errors"
	"time"

	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// ErrMasterRunning is why capture is paused.
var ErrMasterRunning = errors.New("the in-kernel sync master runs in this network namespace: nothing is captured until it is stopped (ipvsadm --stop-daemon master)")

// Capture is the queue of a network namespace. Its device can be written to.
type Capture struct {
	Device
	batch *chardev.Batch
	pause error // as long as the master runs
}

// OpenCapture attaches to the queue. A read takes up to size bytes. Linger is how
// long the kernel keeps the queue for a daemon that is started again.
func OpenCapture(open Opener, size int, linger time.Duration) (*Capture, error) {
	device, err := open.Attach(chardev.AttachOptions{Mode: chardev.ModeCapture, Linger: linger})
	if err != nil {
		return nil, err
	}
	c := &Capture{Device: device, batch: chardev.NewBatch(size)}
	// The event would say it at the next packet: too late on a quiet
	// director.
	if err := c.lookForMaster(); err != nil {
		device.Close()
		return nil, err
	}
	return c, nil
}

// Read takes what there is, in one call to the kernel. The batch is valid until
// the next one, and nil where there was nothing.
func (c *Capture) Read() (*chardev.Batch, error) {
	ok, err := c.ReadBatch(c.batch)
	if !ok || err != nil {
		return nil, err
	}
	// Both may be in one batch, and the order is not told: the state is.
	if c.batch.Events()&(chardev.EventMasterRunning|chardev.EventMasterStopped) != 0 {
		if err := c.lookForMaster(); err != nil {
			return nil, err
		}
	}
	return c.batch, nil
}

// Pause returns why nothing is captured, as of the last Read; nil where it is.
func (c *Capture) Pause() error { return c.pause }

// lookForMaster asks whether the in-kernel sync master runs.
func (c *Capture) lookForMaster() error {
	var stats chardev.Stats
	if err := c.Stats(&stats); err != nil {
		return err
	}
	c.pause = nil
	if stats.State&chardev.StateMasterRunning != 0 {
		c.pause = ErrMasterRunning
	}
	return nil
}

// What is due was not told for 5/16 of its timeout, and must be before the
// timeout is over: an eighth leaves room for sweeps that fail or are put off.
const (
	sweepsPerTimeout = 8
	sweepMin         = 500 * time.Millisecond // a walk over the table costs, too
	sweepMax         = 10 * time.Second
)

// SweepEvery returns the time between two walks over what is due to be told
// again.
func (c *Capture) SweepEvery() (time.Duration, error) {
	var stats chardev.Stats
	if err := c.Stats(&stats); err != nil {
		return 0, err
	}
	return min(max(stats.ShortestTimeout/sweepsPerTimeout, sweepMin), sweepMax), nil
}
