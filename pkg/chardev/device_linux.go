package chardev

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Device is an open /dev/ssyncp. One goroutine may read while another writes
// and a third asks for statistics; calls of one kind wait for each other.
// [Device.Close] and [Device.SetReadDeadline] end a waiting read.
type Device struct {
	path string
	file *os.File
	conn syscall.RawConn

	reading sync.Mutex // holds reader
	reader  reader
	writing sync.Mutex // holds writer and refused
	writer  writer
	refused []Refusal  // as many as one write can have
	asking  sync.Mutex // holds stats
	stats   statsArg
}

// Open opens the device, mostly [DefaultPath], in the network namespace of the
// calling thread. It has no effect on IPVS until [Device.Attach].
func Open(path string) (*Device, error) {
	// The order matters: a descriptor that is in nonblocking mode when
	// os.NewFile gets it goes into the poller, so that Close and deadlines end
	// a waiting read. File.Fd would take it out again.
	fd, err := open(path)
	if err != nil {
		var errno unix.Errno
		if errors.As(err, &errno) {
			err = sentinelOf(errno, openErrors)
		}
		return nil, &OpError{Op: "open", Path: path, Err: err}
	}
	file := os.NewFile(uintptr(fd), path)
	conn, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(&OpError{Op: "open", Path: path, Err: err}, file.Close())
	}
	d := &Device{path: path, file: file, conn: conn}
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

// Path returns the path that the device was opened by.
func (d *Device) Path() string { return d.path }

func (d *Device) fail(op string, err error) error {
	return &OpError{Op: op, Path: d.path, Err: err}
}

// ioctl runs a request on the descriptor. Its error is not yet an OpError.
func (d *Device) ioctl(request uintptr, arg unsafe.Pointer, table map[unix.Errno]error) error {
	var errno unix.Errno
	if err := d.conn.Control(func(fd uintptr) { errno = ioctl(fd, request, arg) }); err != nil {
		return fileError(err)
	}
	if errno != 0 {
		return sentinelOf(errno, table)
	}
	return nil
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
		lingerMS:   uint32(o.Linger / time.Millisecond),
		watermark:  o.Watermark,
	}
	if o.Owned {
		arg.flags |= attachOwned
	}
	err := d.ioctl(iocAttach, unsafe.Pointer(arg), attachErrors)
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

// reader is one read(). Its callbacks are made once, as a closure for every
// call would be allocated.
type reader struct {
	buf   []byte
	n     int
	errno error
	wait  func(fd uintptr) bool
	look  func(fd uintptr)
}

func (r *reader) init() {
	r.look = func(fd uintptr) {
		for {
			if r.n, r.errno = unix.Read(int(fd), r.buf); r.errno != unix.EINTR {
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
	d.reading.Lock()
	defer d.reading.Unlock()
	d.reader.buf = b.buf
	// Not RawConn.Read: that looks at the deadline, also where it does not wait.
	err := d.conn.Control(d.reader.look)
	return d.finishRead(b, err)
}

// WaitBatch reads what is there, and waits where there is nothing: until the
// queue reached the watermark or an event is pending, the deadline is over
// ([os.ErrDeadlineExceeded]) or the device was closed ([ErrClosed]). Fewer
// connections than the watermark do not wake it; the next read finds them.
// Other errors are those of [Device.ReadBatch].
func (d *Device) WaitBatch(b *Batch) error {
	d.reading.Lock()
	defer d.reading.Unlock()
	d.reader.buf = b.buf
	err := d.conn.Read(d.reader.wait)
	_, err = d.finishRead(b, err)
	return err
}

func (d *Device) finishRead(b *Batch, err error) (bool, error) {
	n, errno := d.reader.n, d.reader.errno
	d.reader.buf, d.reader.n, d.reader.errno = nil, 0, nil
	if err != nil {
		b.filled(0)
		return false, d.fail("read", fileError(err))
	}
	switch errno {
	case nil:
		b.filled(n)
		if n == 0 {
			return false, d.fail("read", io.EOF)
		}
		return true, nil
	case unix.EAGAIN:
		b.filled(0)
		return false, nil
	}
	b.filled(0)
	return false, d.fail("read", sentinelOf(errno.(unix.Errno), readErrors))
}

// SetReadDeadline sets the time at which [Device.WaitBatch] gives up, also one
// that waits already; the zero time is never. [Device.ReadBatch] does not mind
// it.
func (d *Device) SetReadDeadline(t time.Time) error {
	if err := d.file.SetReadDeadline(t); err != nil {
		return d.fail("deadline", fileError(err))
	}
	return nil
}

// writer is one write(), as reader is one read().
type writer struct {
	buf   []byte
	n     int
	errno error
	put   func(fd uintptr)
}

func (w *writer) init() {
	w.put = func(fd uintptr) {
		for {
			if w.n, w.errno = unix.Write(int(fd), w.buf); w.errno != unix.EINTR {
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
	d.writing.Lock()
	defer d.writing.Unlock()
	d.writer.buf = records
	err := d.conn.Control(d.writer.put)
	n, errno := d.writer.n, d.writer.errno
	d.writer.buf, d.writer.n, d.writer.errno = nil, 0, nil
	switch {
	case err != nil:
		return 0, d.fail("write", fileError(err))
	case errno != nil:
		return 0, d.fail("write", sentinelOf(errno.(unix.Errno), writeErrors))
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
		ABIVersion: d.stats.abiVersion,
		State:      State(d.stats.state),
		Missing:    Missing(d.stats.missing),
		QueueLen:   d.stats.queueLen,
		ConnCount:  d.stats.connCount,
		Counters:   d.stats.counter,
	}
	return nil
}

// Close closes the device. What a capture device has queued is dropped, or
// kept for the time of [AttachOptions.Linger]. A waiting read returns
// [ErrClosed], as every later call does.
func (d *Device) Close() error {
	if err := d.file.Close(); err != nil {
		if errors.Is(err, os.ErrClosed) {
			err = ErrClosed
		}
		return d.fail("close", err)
	}
	return nil
}
