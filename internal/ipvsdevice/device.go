package ipvsdevice

import "github.com/ssyncp/ssyncp/pkg/chardev"

// Device is what is used of a chardev.Device.
type Device interface {
	Attach(chardev.AttachOptions) error
	ReadBatch(*chardev.Batch) (bool, error)
	Write(records []byte) (int, error)
	Refusals(dst []chardev.Refusal) ([]chardev.Refusal, error)
	Stats(*chardev.Stats) error
	Close() error
}

// Opener opens the device anew.
type Opener func() (Device, error)

// Attach opens the device in a mode.
func (open Opener) Attach(o chardev.AttachOptions) (Device, error) {
	device, err := open()
	if err != nil {
		return nil, err
	}
	if err := device.Attach(o); err != nil {
		device.Close()
		return nil, err
	}
	return device, nil
}
