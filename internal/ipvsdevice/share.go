package ipvsdevice

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// ErrBehind says that the second reader of a queue took too little of it, and
// that what it did not take is lost to it.
var ErrBehind = errors.New("the second reader of the queue fell behind")

// shareLimit bounds what is kept for the second reader, in bytes.
const shareLimit = 16 << 20

// Share lets two versions of the protocol tell the same news, though the kernel
// has one queue, and marks as told what one walk over what is due returned. The
// first reader reads the kernel; the second gets the same records.
type Share struct {
	open Opener

	mu       sync.Mutex
	reading  bool     // there is a second reader
	kept     [][]byte // what each read brought
	size     int
	overflow bool
}

// NewShare returns a Share of the device that open opens.
func NewShare(open Opener) *Share { return &Share{open: open} }

// First opens the device for the first reader.
func (s *Share) First() (Device, error) {
	device, err := s.open()
	if err != nil {
		return nil, err
	}
	return &firstDevice{Device: device, share: s}, nil
}

// Second opens the device for the second one.
func (s *Share) Second() (Device, error) {
	device, err := s.open()
	if err != nil {
		return nil, err
	}
	return &secondDevice{Device: device, share: s}, nil
}

// keep keeps what the first reader read. Reads are what one event is in, so
// that each comes in a batch as the kernel made it.
func (s *Share) keep(records []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.reading || s.overflow || len(records) == 0:
	case s.size+len(records) > shareLimit:
		s.overflow = true
		s.kept, s.size = nil, 0
	default:
		s.kept = append(s.kept, append([]byte(nil), records...))
		s.size += len(records)
	}
}

// take fills a batch with what was kept.
func (s *Share) take(b *chardev.Batch) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.overflow {
		return false, fmt.Errorf("ipvsdevice: %w", ErrBehind)
	}
	if len(s.kept) == 0 {
		b.Load(nil)
		return false, nil
	}
	n := b.Load(s.kept[0])
	s.size -= n
	if s.kept[0] = s.kept[0][n:]; len(s.kept[0]) == 0 {
		s.kept = s.kept[1:]
	}
	return true, nil
}

func (s *Share) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reading = true
}

func (s *Share) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reading, s.overflow, s.kept, s.size = false, false, nil, 0
}

// firstDevice keeps a copy of news, and of what is due.
type firstDevice struct {
	Device
	share *Share
	news  bool
}

func (d *firstDevice) Attach(o chardev.AttachOptions) error {
	d.news = o.Mode == chardev.ModeCapture || o.Due
	return d.Device.Attach(o)
}

func (d *firstDevice) ReadBatch(b *chardev.Batch) (bool, error) {
	ok, err := d.Device.ReadBatch(b)
	if ok && err == nil && d.news {
		d.share.keep(b.Bytes())
	}
	return ok, err
}

// secondDevice reads what was kept in place of the queue, and in a walk over
// what is due finds nothing: that comes as news.
type secondDevice struct {
	Device
	share *Share
	queue bool
	empty bool
}

func (d *secondDevice) Attach(o chardev.AttachOptions) error {
	switch {
	case o.Mode == chardev.ModeCapture:
		d.share.begin()
		d.queue = true
		return nil
	case o.Due:
		d.empty = true
		return nil
	}
	return d.Device.Attach(o)
}

func (d *secondDevice) ReadBatch(b *chardev.Batch) (bool, error) {
	switch {
	case d.queue:
		return d.share.take(b)
	case d.empty:
		return false, io.EOF
	}
	return d.Device.ReadBatch(b)
}

func (d *secondDevice) Close() error {
	if d.queue {
		d.share.end()
	}
	return d.Device.Close()
}
