package chardevtest

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// Device has the methods of [chardev.Device], and returns the same errors.
type Device struct {
	module *Module
	writes sync.Mutex // one write after the other

	// The rest is guarded by module.mu.
	options  chardev.AttachOptions
	attached bool
	closed   bool
	deadline time.Time
	snapshot []ipvs.Conn // what is left of it
	refusals []chardev.Refusal
}

const path = "chardevtest"

func fail(op string, err error) error {
	return &chardev.OpError{Op: op, Path: path, Err: err}
}

// Path returns a name for messages.
func (d *Device) Path() string { return path }

// Attach is as [chardev.Device.Attach].
func (d *Device) Attach(o chardev.AttachOptions) error {
	m := d.module
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expireLinger()
	switch {
	case d.closed:
		return fail("attach", chardev.ErrClosed)
	case m.abiVersion() != chardev.ABIVersion:
		return fail("attach", &chardev.ABIMismatchError{Program: chardev.ABIVersion, Module: m.abiVersion()})
	case o.Mode < chardev.ModeCapture || o.Mode > chardev.ModeInject,
		o.Owned && o.Mode != chardev.ModeSnapshot,
		o.Due && !o.Owned,
		o.Mode != chardev.ModeCapture && (o.Linger != 0 || o.Watermark != 0),
		o.Linger < 0:
		return fail("attach", chardev.ErrInvalid)
	case d.attached:
		return fail("attach", chardev.ErrAlreadyAttached)
	case o.Mode == chardev.ModeCapture && m.capture != nil:
		return fail("attach", chardev.ErrBusy)
	case o.Mode == chardev.ModeSnapshot && m.Missing&chardev.MissingConnSeqNext != 0:
		return fail("attach", fmt.Errorf("%w: %v", chardev.ErrUnsupported, m.Missing))
	}
	d.options, d.attached = o, true
	switch o.Mode {
	case chardev.ModeCapture:
		m.capture = d
		m.linger = time.Time{}
		if m.master {
			m.raise(chardev.EventMasterRunning)
		}
	case chardev.ModeSnapshot:
		m.counters[chardev.CounterSnapshots]++
		d.snapshot = m.snapshot(o)
	}
	return nil
}

// snapshot copies the table, or what of it this director owns, or what of that
// is due; the latter two it marks as told. mu is held.
func (m *Module) snapshot(o chardev.AttachOptions) []ipvs.Conn {
	var list []ipvs.Conn
	for i := range m.table {
		c := &m.table[i]
		if o.Owned {
			if c.Flags&ipvs.FlagSync != 0 && c.Marks&ipvs.MarkLocal == 0 {
				continue
			}
			key := c.Key()
			if o.Due && !m.due[key] {
				continue
			}
			delete(m.due, key)
			c.Marks |= ipvs.MarkKnown
		}
		shown := c.Clone()
		if o.Owned {
			shown.Advert = 0
		}
		list = append(list, shown)
	}
	return list
}

// ReadBatch is as [chardev.Device.ReadBatch].
func (d *Device) ReadBatch(b *chardev.Batch) (bool, error) {
	d.module.mu.Lock()
	defer d.module.mu.Unlock()
	return d.read(b)
}

// WaitBatch is as [chardev.Device.WaitBatch].
func (d *Device) WaitBatch(b *chardev.Batch) error {
	m := d.module
	m.mu.Lock()
	defer m.mu.Unlock()
	// As with the poller: read, and again when the device turned readable.
	for first := true; ; first = false {
		if d.expired() {
			b.Load(nil)
			return fail("read", os.ErrDeadlineExceeded)
		}
		if first || d.closed || m.ready(d.options.Watermark) {
			if ok, err := d.read(b); ok || err != nil {
				return err
			}
		}
		d.wait()
	}
}

func (d *Device) expired() bool { return !d.deadline.IsZero() && !time.Now().Before(d.deadline) }

// wait releases mu until something changed or the deadline is over.
func (d *Device) wait() {
	changed := d.module.waiting()
	var over <-chan time.Time
	if !d.deadline.IsZero() {
		timer := time.NewTimer(time.Until(d.deadline))
		defer timer.Stop()
		over = timer.C
	}
	d.module.mu.Unlock()
	select {
	case <-changed:
	case <-over:
	}
	d.module.mu.Lock()
}

// read is one read(), with mu held.
func (d *Device) read(b *chardev.Batch) (bool, error) {
	m := d.module
	b.Load(nil)
	switch {
	case d.closed:
		return false, fail("read", chardev.ErrClosed)
	case !d.attached:
		return false, fail("read", chardev.ErrNotAttached)
	case d.options.Mode == chardev.ModeInject:
		return false, fail("read", chardev.ErrWrongMode)
	case d.options.Mode == chardev.ModeSnapshot:
		return d.readSnapshot(b)
	}
	m.counters[chardev.CounterReadCalls]++
	var records []byte
	if m.events != 0 {
		records = appendEvents(records, m.events)
		m.events = 0
	}
	for {
		c, ok := m.dequeue()
		if !ok {
			break
		}
		longer, err := chardev.AppendRecord(records, &c)
		if err != nil {
			return false, fail("read", err)
		}
		if len(longer) > b.Size() {
			break
		}
		records = longer
		m.drop()
		m.counters[chardev.CounterReadRecords]++
	}
	b.Load(records)
	return len(records) > 0, nil
}

func (d *Device) readSnapshot(b *chardev.Batch) (bool, error) {
	var records []byte
	for len(d.snapshot) > 0 {
		longer, err := chardev.AppendRecord(records, &d.snapshot[0])
		if err != nil {
			return false, fail("read", err)
		}
		if len(longer) > b.Size() {
			break
		}
		records = longer
		d.snapshot = d.snapshot[1:]
		d.module.counters[chardev.CounterSnapshotRecords]++
	}
	if len(records) == 0 {
		return false, fail("read", io.EOF)
	}
	b.Load(records)
	return true, nil
}

// appendEvents appends struct ssyncp_event.
func appendEvents(records []byte, e chardev.Events) []byte {
	records = binary.NativeEndian.AppendUint16(records, 8)
	records = append(records, kindEvent, 0)
	return binary.NativeEndian.AppendUint32(records, uint32(e))
}

// SSYNCP_KIND_CONN and SSYNCP_KIND_EVENT.
const (
	kindConn  = 1
	kindEvent = 2
)

// SetReadDeadline is as [chardev.Device.SetReadDeadline].
func (d *Device) SetReadDeadline(t time.Time) error {
	d.module.mu.Lock()
	defer d.module.mu.Unlock()
	switch {
	case d.closed:
		return fail("deadline", chardev.ErrClosed)
	case !d.attached:
		return fail("deadline", chardev.ErrNotAttached)
	}
	d.deadline = t
	d.module.wake()
	return nil
}

// Write is as [chardev.Device.Write].
func (d *Device) Write(records []byte) (int, error) {
	d.writes.Lock()
	defer d.writes.Unlock()
	m := d.module
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case len(records) == 0:
		return 0, nil
	case len(records) > chardev.WriteMax:
		return 0, fail("write", fmt.Errorf("%w: %d bytes, it takes %d", chardev.ErrTooLarge, len(records), chardev.WriteMax))
	case d.closed:
		return 0, fail("write", chardev.ErrClosed)
	case !d.attached:
		return 0, fail("write", chardev.ErrNotAttached)
	case d.options.Mode == chardev.ModeSnapshot:
		return 0, fail("write", chardev.ErrWrongMode)
	}
	m.counters[chardev.CounterWriteCalls]++
	d.refusals = d.refusals[:0]
	batch := chardev.NewBatch(0)
	taken := 0
	for index := uint32(0); taken < len(records); index++ {
		size, c, err := firstConn(batch, records[taken:])
		if err != nil {
			m.counters[chardev.CounterWriteMalformed]++
			return taken, fail("write", fmt.Errorf("%w at byte %d of %d", err, taken, len(records)))
		}
		if reason, refused := m.apply(&c); refused {
			m.counters[chardev.CounterRefused+chardev.Counter(reason)]++
			d.refusals = append(d.refusals, chardev.Refusal{Index: index, Reason: reason})
		}
		taken += size
	}
	return taken, nil
}

// firstConn returns the first record, and its size.
func firstConn(batch *chardev.Batch, records []byte) (int, ipvs.Conn, error) {
	var c ipvs.Conn
	if len(records) < chardev.MinRecordSize || records[2] != kindConn {
		return 0, c, chardev.ErrMalformed
	}
	size := int(binary.NativeEndian.Uint16(records))
	if size > len(records) || size > chardev.MaxRecordSize {
		return 0, c, chardev.ErrMalformed
	}
	batch.Load(records[:size])
	if !batch.Next(&c) {
		return 0, c, chardev.ErrMalformed
	}
	return size, c, nil
}

// Refusals is as [chardev.Device.Refusals].
func (d *Device) Refusals(dst []chardev.Refusal) ([]chardev.Refusal, error) {
	d.module.mu.Lock()
	defer d.module.mu.Unlock()
	switch {
	case d.closed:
		return dst, fail("refusals", chardev.ErrClosed)
	case !d.attached:
		return dst, fail("refusals", chardev.ErrNotAttached)
	case d.options.Mode == chardev.ModeSnapshot:
		return dst, fail("refusals", chardev.ErrWrongMode)
	}
	return append(dst, d.refusals...), nil
}

// Stats is as [chardev.Device.Stats].
func (d *Device) Stats(s *chardev.Stats) error {
	m := d.module
	m.mu.Lock()
	defer m.mu.Unlock()
	if d.closed {
		return fail("stats", chardev.ErrClosed)
	}
	m.expireLinger()
	*s = chardev.Stats{
		ABIVersion:      m.abiVersion(),
		Missing:         m.Missing,
		QueueLen:        uint32(m.queueLen()),
		ConnCount:       uint32(len(m.table)),
		ShortestTimeout: m.shortest,
		Counters:        m.counters,
	}
	if m.capture != nil {
		s.State |= chardev.StateCapturing | chardev.StateInterposed
	}
	if !m.linger.IsZero() {
		s.State |= chardev.StateLingering | chardev.StateInterposed
	}
	if m.master {
		s.State |= chardev.StateMasterRunning
	}
	return nil
}

// Close is as [chardev.Device.Close].
func (d *Device) Close() error {
	m := d.module
	m.mu.Lock()
	defer m.mu.Unlock()
	if d.closed {
		return fail("close", chardev.ErrClosed)
	}
	d.closed = true
	if m.capture == d {
		m.capture = nil
		if d.options.Linger > 0 {
			m.linger = time.Now().Add(d.options.Linger)
		} else {
			m.drain()
		}
	}
	m.wake()
	return nil
}
