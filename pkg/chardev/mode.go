package chardev

import (
	"fmt"
	"time"
)

// Mode is what an attached device is for.
type Mode uint32

// Modes of [Device.Attach].
const (
	ModeCapture  Mode = 1 // read news, write peers' connections; one per network namespace
	ModeSnapshot Mode = 2 // read every connection once
	ModeInject   Mode = 3 // write only
)

func (m Mode) String() string {
	switch m {
	case ModeCapture:
		return "capture"
	case ModeSnapshot:
		return "snapshot"
	case ModeInject:
		return "inject"
	}
	return fmt.Sprintf("mode %d", uint32(m))
}

// AttachOptions say how a device is attached.
type AttachOptions struct {
	Mode Mode
	// Owned restricts a snapshot to what this director owns, as it is going
	// to be advertised: the module marks it known. ModeSnapshot only.
	Owned bool
	// Due restricts it further, to what is due to be told again: what had
	// packets since it was told last, where a third of its lifetime has
	// passed since. No packet need come any more to make that news, so such
	// a snapshot is taken several times within [Stats.ShortestTimeout]; the
	// module marks what it returns as told. With Owned only.
	Due bool
	// Linger is how long a queue outlives its descriptor, to the
	// millisecond, for a restarted daemon to pick it up. ModeCapture only.
	Linger time.Duration
	// Watermark is the number of queued connections that wakes a waiting
	// reader; 0 is half of the queue. ModeCapture only.
	Watermark uint32
}
