package main

import (
	"io"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// kernel stands for the kernel module of one director: its queue never ends, or
// has so many connections a second; what is written to it is compared with what
// it ought to be.
type kernel struct {
	content *content

	mu      sync.Mutex
	running bool
	rate    int   // connections a second, 0: as many as are taken
	start   int64 // on the monotonic clock, nanoseconds
	read    int   // connections since the start
	counted sample
	late    histogram
}

// sample is what happened so far.
type sample struct {
	Read    int // connections, from the queue
	Reads   int
	Written int // connections, to the device
	Writes  int
	Wrong   int // of them: not what was told
}

// device is an open one.
type device struct {
	kernel *kernel
	mode   chardev.Mode
}

func (k *kernel) open() (ipvsdevice.Device, error) { return &device{kernel: k}, nil }

// monotonic is a clock that all processes of the machine share.
func monotonic() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // cannot fail
	return t.Nano()
}

// run begins to queue connections.
func (k *kernel) run(rate int, start int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.running, k.rate, k.start, k.read = true, rate, start, 0
	k.late = histogram{}
}

func (k *kernel) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.running = false
}

// Attach is ipvsdevice.Device's, as are the following.
func (d *device) Attach(o chardev.AttachOptions) error {
	d.mode = o.Mode
	return nil
}

// ReadBatch takes what is queued. There is no snapshot: the table is empty.
func (d *device) ReadBatch(b *chardev.Batch) (bool, error) {
	if d.mode == chardev.ModeSnapshot {
		return false, io.EOF
	}
	k := d.kernel
	k.mu.Lock()
	defer k.mu.Unlock()
	k.counted.Reads++
	n := 0
	if k.running {
		n = b.Size() / k.content.size
		if k.rate > 0 {
			due := int((monotonic() - k.start) * int64(k.rate) / int64(time.Second))
			n = min(n, max(0, due-k.read))
		}
	}
	from := k.read % distinct * k.content.size
	k.read += n
	k.counted.Read += n
	b.Load(k.content.records[from : from+n*k.content.size])
	return n > 0, nil
}

// Write compares what it is given.
func (d *device) Write(records []byte) (int, error) {
	k := d.kernel
	k.mu.Lock()
	defer k.mu.Unlock()
	k.counted.Writes++
	now := monotonic()
	for rest := records; len(rest) > 0; {
		number, ok := k.content.verify(rest)
		if !ok {
			k.counted.Wrong++
		}
		if k.running && k.rate > 0 {
			k.late.add(k.queuedAgo(now, number))
		}
		k.counted.Written++
		rest = rest[min(k.content.size, len(rest)):]
	}
	return len(records), nil
}

// queuedAgo returns how long ago a connection was queued: the last time that it
// was its turn.
func (k *kernel) queuedAgo(now int64, number uint32) time.Duration {
	interval := int64(time.Second) / int64(k.rate)
	turn := (now - k.start) / interval
	behind := (turn - int64(number)) % distinct
	return time.Duration(now - k.start - (turn-behind)*interval)
}

func (d *device) Refusals(dst []chardev.Refusal) ([]chardev.Refusal, error) { return dst, nil }

func (d *device) Stats(s *chardev.Stats) error {
	*s = chardev.Stats{ABIVersion: chardev.ABIVersion, ShortestTimeout: time.Minute}
	return nil
}

func (d *device) Close() error { return nil }

// histogram counts durations in steps.
type histogram struct{ counts [maxLate / step]int }

const (
	step    = 10 * time.Microsecond
	maxLate = distinct * time.Second / 100_000 // more cannot be told from less
)

func (h *histogram) add(d time.Duration) { h.counts[min(max(0, d/step), maxLate/step-1)]++ }

// quantiles returns the durations that these parts are not above.
func (h *histogram) quantiles(parts ...float64) (samples int, at []time.Duration) {
	for _, n := range h.counts {
		samples += n
	}
	for _, part := range parts {
		left := min(int(part*float64(samples)), samples-1)
		i := 0
		for ; i < len(h.counts)-1 && left >= h.counts[i]; i++ {
			left -= h.counts[i]
		}
		at = append(at, time.Duration(i+1)*step)
	}
	return samples, at
}
