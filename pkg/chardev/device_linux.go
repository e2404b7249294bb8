package chardev

import "time"

// Device is an open /dev/ssyncp. One goroutine may read while another writes;
// every method may be called at any time, and calls of one kind wait for each
// other. [Device.Close] ends a waiting read.
type Device struct {
	path string
}

// Open opens the device, mostly [DefaultPath], in the network namespace of the
// calling thread. It has no effect on IPVS until [Device.Attach].
func Open(path string) (*Device, error) { return &Device{path: path}, nil }

// Path returns the path that the device was opened by.
func (d *Device) Path() string { return d.path }

// Attach gives the device its mode, once.
func (d *Device) Attach(o AttachOptions) error { return nil }

// ReadBatch reads what is there, without waiting. It returns false where there
// is nothing. At the end of a snapshot the error is [io.EOF].
func (d *Device) ReadBatch(b *Batch) (bool, error) { return false, nil }

// WaitBatch reads what is there, and waits where there is nothing: until the
// queue reached the watermark or an event is pending, the deadline is over
// ([os.ErrDeadlineExceeded]) or the device was closed ([ErrClosed]). Fewer
// connections than the watermark do not wake it; they are found by the next
// read.
func (d *Device) WaitBatch(b *Batch) error { return nil }

// SetReadDeadline sets the time at which [Device.WaitBatch] gives up, also a
// waiting one; the zero time is never. [Device.ReadBatch] does not mind it.
func (d *Device) SetReadDeadline(t time.Time) error { return nil }

// Write hands whole records, built by [AppendRecord], to the module: at most
// [WriteMax] bytes. It returns the number of bytes that the module took. Where
// those are not all, the record there is malformed ([ErrMalformed]) and
// neither it nor anything after it was applied. Records that were well formed
// but refused are no error: see [Device.Refusals].
func (d *Device) Write(records []byte) (int, error) { return 0, nil }

// Refusals appends the records of the last [Device.Write] that were refused.
func (d *Device) Refusals(dst []Refusal) ([]Refusal, error) { return dst, nil }

// Stats reads the module's statistics for the network namespace of the device.
// The device need not be attached.
func (d *Device) Stats(s *Stats) error { return nil }

// Close closes the device. What a capture device has queued is dropped, or
// kept for the time of [AttachOptions.Linger]. A waiting read returns.
func (d *Device) Close() error { return nil }
