package chardev

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Device is an open /dev/ssyncp. One goroutine may read while another writes
// and a third asks for statistics; calls of one kind wait for each other.
// [Device.Close] and [Device.SetReadDeadline] end a waiting read.
type Device struct {
	path     string
	attached atomic.Pointer[polled] // nil until then

	opening sync.Mutex // holds fd
	fd      int        // until attached; -1 when it is closed

	reading sync.Mutex // holds reader
	reader  reader
	writing sync.Mutex // holds writer and refused
	writer  writer
	refused []Refusal  // as many as one write can have
	asking  sync.Mutex // holds stats
	stats   statsArg
}

// polled is a descriptor in the runtime's poller.
type polled struct {
	file *os.File
	conn syscall.RawConn
}

// Open opens the device, mostly [DefaultPath], in the network namespace of the
// calling thread. It has no effect on IPVS until [Device.Attach]. Errors:
// [ErrNotLoaded], [ErrPermission].
func Open(path string) (*Device, error) {
	fd, err := open(path)
	if err != nil {
		var errno unix.Errno
		if errors.As(err, &errno) {
			err = sentinelOf(errno, openErrors)
		}
		return nil, &OpError{Op: "open", Path: path, Err: err}
	}
	d := &Device{path: path, fd: fd}
	d.reader.init()
	d.writer.init()
	return d, nil
}

func open(path string) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// enterPoller gives the descriptor to the runtime's poller. The order matters:
// os.NewFile takes only a descriptor that is in nonblocking mode already
// (File.Fd would undo it), and epoll looks for the device's wait queue once,
// when the descriptor is added: there is none before it is attached. The
// caller holds opening.
func (d *Device) enterPoller() error {
	file := os.NewFile(uintptr(d.fd), d.path)
	d.fd = -1
	conn, err := file.SyscallConn()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	d.attached.Store(&polled{file: file, conn: conn})
	return nil
}

// descriptor returns the descriptor of an attached device.
func (d *Device) descriptor() (*polled, error) {
	if p := d.attached.Load(); p != nil {
		return p, nil
	}
	d.opening.Lock()
	defer d.opening.Unlock()
	if p := d.attached.Load(); p != nil {
		return p, nil
	}
	if d.fd < 0 {
		return nil, ErrClosed
	}
	return nil, ErrNotAttached
}

// Path returns the path that the device was opened by.
func (d *Device) Path() string { return d.path }

func (d *Device) fail(op string, err error) error {
	return &OpError{Op: op, Path: d.path, Err: err}
}

// ioctl runs a request on the descriptor, attached or not. Its error is not
// yet an OpError.
func (d *Device) ioctl(request uintptr, arg unsafe.Pointer, table map[unix.Errno]error) error {
	p, err := d.descriptor()
	switch err {
	case nil:
		return p.ioctl(request, arg, table)
	case ErrNotAttached:
		d.opening.Lock()
		defer d.opening.Unlock()
		return d.ioctlOpening(request, arg, table)
	}
	return err
}

// ioctlOpening is ioctl for who holds opening.
func (d *Device) ioctlOpening(request uintptr, arg unsafe.Pointer, table map[unix.Errno]error) error {
	if p := d.attached.Load(); p != nil {
		return p.ioctl(request, arg, table)
	}
	if d.fd < 0 {
		return ErrClosed
	}
	return errnoError(ioctl(uintptr(d.fd), request, arg), table)
}

func (p *polled) ioctl(request uintptr, arg unsafe.Pointer, table map[unix.Errno]error) error {
	var errno unix.Errno
	if err := p.conn.Control(func(fd uintptr) { errno = ioctl(fd, request, arg) }); err != nil {
		return ErrClosed
	}
	return errnoError(errno, table)
}

// Attach gives the device its mode, once. Errors: [*ABIMismatchError],
// [ErrBusy], [ErrAlreadyAttached], [ErrUnsupported] with the names of what is
// missing, [ErrPermission], [ErrInvalid], [ErrNotDevice], [ErrClosed].
func (d *Device) Attach(o AttachOptions) error {
	if o.Linger < 0 || o.Linger > math.MaxUint32*time.Millisecond {
		return d.fail("attach", fmt.Errorf("%w: linger %v", ErrInvalid, o.Linger))
	}
	arg := &attachArg{
		abiVersion: ABIVersion,
		mode:       uint32(o.Mode),
		lingerMS:   milliseconds(o.Linger, 0),
		watermark:  o.Watermark,
	}
	if o.Owned {
		arg.flags |= attachOwned
	}
	if o.Due {
		arg.flags |= attachDue
	}
	err := d.attach(arg)
	switch {
	case err == nil:
		return nil
	case err == ErrABIMismatch:
		err = &ABIMismatchError{Program: ABIVersion, Module: arg.abiVersion}
	case err == ErrUnsupported:
		var s Stats
		if d.Stats(&s) == nil {
			err = fmt.Errorf("%w: %v", ErrUnsupported, s.Missing)
		}
	}
	return d.fail("attach", err)
}

func (d *Device) attach(arg *attachArg) error {
	d.opening.Lock()
	defer d.opening.Unlock()
	if err := d.ioctlOpening(iocAttach, unsafe.Pointer(arg), attachErrors); err != nil {
		return err
	}
	return d.enterPoller()
}

// reader is one read(). Its callbacks are made once, as a closure for every
// call would be allocated.
type reader struct {
	buf   []byte
	n     int
	errno unix.Errno
	wait  func(fd uintptr) bool
	look  func(fd uintptr)
}

func (r *reader) init() {
	r.look = func(fd uintptr) {
		for {
			n, err := unix.Read(int(fd), r.buf)
			if err != unix.EINTR {
				r.n, r.errno = n, errnoOf(err)
				return
			}
		}
	}
	r.wait = func(fd uintptr) bool {
		r.look(fd)
		return r.errno != unix.EAGAIN
	}
}

// ReadBatch reads what is there, without waiting. It returns false where there
// is nothing. At the end of a snapshot the error is [io.EOF]. Other errors:
// [ErrNotAttached], [ErrWrongMode], [ErrClosed].
func (d *Device) ReadBatch(b *Batch) (bool, error) {
	b.filled(0)
	p, err := d.descriptor()
	if err != nil {
		return false, d.fail("read", err)
	}
	d.reading.Lock()
	defer d.reading.Unlock()
	d.reader.buf = b.buf
	// Not RawConn.Read: that minds the deadline, also where it does not wait.
	if p.conn.Control(d.reader.look) != nil {
		err = ErrClosed
	}
	return d.finishRead(b, err)
}

// WaitBatch reads what is there, and waits where there is nothing: until the
// queue reached the watermark or an event is pending, the deadline is over
// ([os.ErrDeadlineExceeded]) or the device was closed ([ErrClosed]). Fewer
// connections than the watermark do not wake it; the next read finds them.
// Other errors are those of [Device.ReadBatch].
func (d *Device) WaitBatch(b *Batch) error {
	b.filled(0)
	p, err := d.descriptor()
	if err != nil {
		return d.fail("read", err)
	}
	d.reading.Lock()
	defer d.reading.Unlock()
	d.reader.buf = b.buf
	if err = p.conn.Read(d.reader.wait); err != nil {
		err = p.pollerError(err)
	}
	_, err = d.finishRead(b, err)
	return err
}

// finishRead returns what the reader brought; err is why it could not run.
func (d *Device) finishRead(b *Batch, err error) (bool, error) {
	n, errno := d.reader.n, d.reader.errno
	d.reader.buf, d.reader.n, d.reader.errno = nil, 0, 0
	switch {
	case err != nil:
		return false, d.fail("read", err)
	case errno == unix.EAGAIN:
		return false, nil
	case errno != 0:
		return false, d.fail("read", errnoError(errno, readErrors))
	case n == 0:
		return false, d.fail("read", io.EOF)
	}
	b.filled(n)
	return true, nil
}

// pollerError translates an error of the poller.
func (p *polled) pollerError(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return os.ErrDeadlineExceeded
	case p.conn.Control(func(uintptr) {}) != nil:
		return ErrClosed
	}
	return err
}

// SetReadDeadline sets the time at which [Device.WaitBatch] gives up, also one
// that waits already; the zero time is never. [Device.ReadBatch] does not mind
// it. The device must be attached.
func (d *Device) SetReadDeadline(t time.Time) error {
	p, err := d.descriptor()
	if err == nil {
		if err = p.file.SetReadDeadline(t); err != nil {
			err = p.pollerError(err)
		}
	}
	if err != nil {
		return d.fail("deadline", err)
	}
	return nil
}

// writer is one write(), as reader is one read().
type writer struct {
	buf   []byte
	n     int
	errno unix.Errno
	put   func(fd uintptr)
}

func (w *writer) init() {
	w.put = func(fd uintptr) {
		for {
			n, err := unix.Write(int(fd), w.buf)
			if err != unix.EINTR {
				w.n, w.errno = n, errnoOf(err)
				return
			}
		}
	}
}

// Write hands whole records, built by [AppendRecord], to the module: at most
// [WriteMax] bytes ([ErrTooLarge]). It returns the number of bytes that the
// module took. Where those are not all, the record there is malformed
// ([ErrMalformed]): those before it were applied, it and those after it were
// not. Records that were well formed but refused are no error: see
// [Device.Refusals]. Other errors: [ErrNotAttached], [ErrWrongMode],
// [ErrClosed].
func (d *Device) Write(records []byte) (int, error) {
	if len(records) == 0 {
		return 0, nil
	}
	if len(records) > WriteMax {
		return 0, d.fail("write", fmt.Errorf("%w: %d bytes, it takes %d", ErrTooLarge, len(records), WriteMax))
	}
	p, err := d.descriptor()
	if err != nil {
		return 0, d.fail("write", err)
	}
	d.writing.Lock()
	defer d.writing.Unlock()
	d.writer.buf = records
	err = p.conn.Control(d.writer.put)
	n, errno := d.writer.n, d.writer.errno
	d.writer.buf, d.writer.n, d.writer.errno = nil, 0, 0
	switch {
	case err != nil:
		return 0, d.fail("write", ErrClosed)
	case errno != 0:
		return 0, d.fail("write", errnoError(errno, writeErrors))
	case n < len(records):
		return n, d.fail("write", fmt.Errorf("%w at byte %d of %d", ErrMalformed, n, len(records)))
	}
	return n, nil
}

// Refusals appends the records of the last [Device.Write] that were refused, in
// their order.
func (d *Device) Refusals(dst []Refusal) ([]Refusal, error) {
	d.writing.Lock()
	defer d.writing.Unlock()
	if d.refused == nil {
		d.refused = make([]Refusal, WriteMax/MinRecordSize)
	}
	var pinned runtime.Pinner
	pinned.Pin(&d.refused[0])
	defer pinned.Unpin()
	arg := &refusalsArg{
		entries: uint64(uintptr(unsafe.Pointer(&d.refused[0]))),
		count:   uint32(len(d.refused)),
	}
	if err := d.ioctl(iocRefusals, unsafe.Pointer(arg), queryErrors); err != nil {
		return dst, d.fail("refusals", err)
	}
	return append(dst, d.refused[:min(int(arg.count), len(d.refused))]...), nil
}

// Stats reads the module's statistics for the network namespace of the device,
// which need not be attached. Counters that the module does not have yet are 0.
func (d *Device) Stats(s *Stats) error {
	d.asking.Lock()
	defer d.asking.Unlock()
	d.stats = statsArg{size: uint32(unsafe.Sizeof(d.stats))}
	if err := d.ioctl(iocStats, unsafe.Pointer(&d.stats), queryErrors); err != nil {
		return d.fail("stats", err)
	}
	*s = Stats{
		ABIVersion:      d.stats.abiVersion,
		State:           State(d.stats.state),
		Missing:         Missing(d.stats.missing),
		QueueLen:        d.stats.queueLen,
		ConnCount:       d.stats.connCount,
		ShortestTimeout: time.Duration(d.stats.shortestTimeoutMS) * time.Millisecond,
		Counters:        d.stats.counter,
	}
	return nil
}

// Close closes the device. What a capture device has queued is dropped, or
// kept for the time of [AttachOptions.Linger]. A waiting read returns
// [ErrClosed], as every later call does.
func (d *Device) Close() error {
	if err := d.close(); err != nil {
		return d.fail("close", err)
	}
	return nil
}

func (d *Device) close() error {
	d.opening.Lock()
	defer d.opening.Unlock()
	if p := d.attached.Load(); p != nil {
		err := p.file.Close()
		if errors.Is(err, os.ErrClosed) {
			return ErrClosed
		}
		return err
	}
	if d.fd < 0 {
		return ErrClosed
	}
	fd := d.fd
	d.fd = -1
	return unix.Close(fd)
}
