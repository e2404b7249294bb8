package director

import (
	"testing"

	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// Open opens /dev/ssyncp in the director's namespace, until the end of the
// test. It is not attached.
func (d *Director) Open(t testing.TB) *chardev.Device {
	t.Helper()
	var device *chardev.Device
	err := d.Do(func() (err error) {
		device, err = chardev.Open(chardev.DefaultPath)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", d.Name, err)
	}
	t.Cleanup(func() { device.Close() })
	return device
}

// Attach opens /dev/ssyncp in the director's namespace and gives it a mode.
func (d *Director) Attach(t testing.TB, options chardev.AttachOptions) *chardev.Device {
	t.Helper()
	device := d.Open(t)
	if err := device.Attach(options); err != nil {
		t.Fatalf("%s: attach for %v: %v", d.Name, options.Mode, err)
	}
	return device
}

// Stats returns the module's statistics for the director.
func (d *Director) Stats(t testing.TB) chardev.Stats {
	t.Helper()
	device := d.Open(t)
	defer device.Close()
	var stats chardev.Stats
	if err := device.Stats(&stats); err != nil {
		t.Fatalf("%s: %v", d.Name, err)
	}
	return stats
}
