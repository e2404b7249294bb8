package ipvsdevice

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

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
	reading  bool // there is a second reader
	kept     []portion
	size     int
	overflow bool
	joined   []byte // of portions, for one batch
}

// portion is what one read brought.
type portion struct {
	records []byte
	events  bool // they begin with
	read    time.Time
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

// keep keeps what the first reader read.
func (s *Share) keep(b *chardev.Batch, read time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch records := b.Bytes(); {
	case !s.reading || s.overflow || len(records) == 0:
	case s.size+len(records) > shareLimit:
		s.overflow = true
		s.kept, s.size = nil, 0
	default:
		s.kept = append(s.kept, portion{append([]byte(nil), records...), b.Events() != 0, read})
		s.size += len(records)
	}
}

// take fills a batch with what was kept, of as many reads as it has room for: who
// reads takes one that is not full for the last. Events come first in a batch.
func (s *Share) take(b *chardev.Batch) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.overflow {
		return false, fmt.Errorf("ipvsdevice: %w", ErrBehind)
	}
	now := time.Now()
	s.joined = s.joined[:0]
	for i, p := range s.kept {
		start := len(s.joined)
		if start >= b.Size() || p.events && i > 0 {
			break
		}
		s.joined = append(s.joined, p.records...)
		chardev.AddAge(s.joined[start:], now.Sub(p.read))
	}
	n := b.Load(s.joined)
	s.size -= n
	for left := n; left > 0; {
		p := &s.kept[0]
		if left < len(p.records) {
			p.records, p.events = p.records[left:], false
			break
		}
		left -= len(p.records)
		s.kept[0] = portion{}
		s.kept = s.kept[1:]
	}
	return n > 0, nil
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
	now := time.Now()
	ok, err := d.Device.ReadBatch(b)
	if ok && err == nil && d.news {
		d.share.keep(b, now)
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
