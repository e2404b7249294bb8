package chardevtest

import (
	"time"

	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// Module stands for the kernel module in one network namespace. The zero value
// is ready. It is safe for concurrent use.
type Module struct {
	// ABIVersion is the version that the module claims; 0 is
	// [chardev.ABIVersion].
	ABIVersion uint32
	// Refuse, where set, is asked for every record written. The record is
	// refused for the reason that it returns with true.
	Refuse func(c *ipvs.Conn) (chardev.Reason, bool)
}

// Open returns a new device of the module.
func (m *Module) Open() *Device { return &Device{module: m} }

// Queue puts connections into the capture queue, as packets would.
func (m *Module) Queue(conns ...ipvs.Conn) {}

// Raise makes events pending for the capture reader, and wakes it.
func (m *Module) Raise(e chardev.Events) {}

// SetTable replaces the connections that a snapshot returns.
func (m *Module) SetTable(conns ...ipvs.Conn) {}

// Written returns the connections that were written and not refused, in order.
func (m *Module) Written() []ipvs.Conn { return nil }

// Device has the methods of [chardev.Device].
type Device struct {
	module *Module
}

// Path returns a name for messages.
func (d *Device) Path() string { return "chardevtest" }

// Attach is as [chardev.Device.Attach].
func (d *Device) Attach(o chardev.AttachOptions) error { return nil }

// ReadBatch is as [chardev.Device.ReadBatch].
func (d *Device) ReadBatch(b *chardev.Batch) (bool, error) { return false, nil }

// WaitBatch is as [chardev.Device.WaitBatch].
func (d *Device) WaitBatch(b *chardev.Batch) error { return nil }

// SetReadDeadline is as [chardev.Device.SetReadDeadline].
func (d *Device) SetReadDeadline(t time.Time) error { return nil }

// Write is as [chardev.Device.Write].
func (d *Device) Write(records []byte) (int, error) { return 0, nil }

// Refusals is as [chardev.Device.Refusals].
func (d *Device) Refusals(dst []chardev.Refusal) ([]chardev.Refusal, error) { return dst, nil }

// Stats is as [chardev.Device.Stats].
func (d *Device) Stats(s *chardev.Stats) error { return nil }

// Close is as [chardev.Device.Close].
func (d *Device) Close() error { return nil }
