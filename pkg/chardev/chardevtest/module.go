package chardevtest

import (
	"slices"
	"sync"
	"time"

	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// DefaultQueueLen is the length of the queue where [Module.QueueLen] is 0.
const DefaultQueueLen = 8192

// Module stands for the kernel module in one network namespace. The zero value
// is ready; its fields are set before the first device is opened. It is safe
// for concurrent use.
type Module struct {
	// ABIVersion is what the module claims; 0 is [chardev.ABIVersion].
	ABIVersion uint32
	// QueueLen is how many connections the capture queue holds; 0 is
	// [DefaultQueueLen].
	QueueLen int
	// Missing is what the module could not resolve. Without
	// [chardev.MissingConnSeqNext] there are no snapshots.
	Missing chardev.Missing
	// Refuse, where set, is asked about every record written, in order. The
	// record is refused for the reason that it returns with true. It must
	// not call the module.
	Refuse func(c *ipvs.Conn) (chardev.Reason, bool)

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced when a waiter must look again
	capture  *Device
	linger   time.Time // until when the queue waits for the next capture reader
	queue    []ipvs.Key
	news     map[ipvs.Key]ipvs.Conn // of the connections in the queue
	events   chardev.Events
	table    []ipvs.Conn
	index    map[ipvs.Key]int // into table
	due      map[ipvs.Key]bool
	shortest time.Duration
	written  []ipvs.Conn
	counters [chardev.Counters]uint64
	master   bool
}

// Open returns a new device of the module.
func (m *Module) Open() *Device { return &Device{module: m} }

// Queue puts connections into the capture queue, as packets of them would.
// News of a connection that is queued already replaces what is there. Without a
// capture reader and outside its linger time nothing is captured; a full queue
// drops the connection and raises [chardev.EventLost].
func (m *Module) Queue(conns ...ipvs.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expireLinger()
	if m.capture == nil && m.linger.IsZero() {
		return
	}
	for i := range conns {
		key := conns[i].Key()
		if _, queued := m.news[key]; !queued {
			if len(m.queue) >= m.queueLen() {
				m.counters[chardev.CounterDroppedFull]++
				m.raise(chardev.EventLost)
				continue
			}
			m.queue = append(m.queue, key)
			m.counters[chardev.CounterQueued]++
		}
		if m.news == nil {
			m.news = make(map[ipvs.Key]ipvs.Conn)
		}
		m.news[key] = conns[i].Clone()
	}
	m.wake()
}

// Raise makes events pending for the capture reader, and wakes it.
func (m *Module) Raise(e chardev.Events) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.raise(e)
	m.wake()
}

// SetTable replaces the connection table, which snapshots return and writes
// add to.
func (m *Module) SetTable(conns ...ipvs.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.table, m.index, m.due = nil, nil, nil
	for i := range conns {
		m.put(&conns[i])
	}
}

// SetDue marks connections of the table as due to be told again: as if they had
// packets, and a third of their lifetime had passed, since they were told last.
// A snapshot of what this director owns, or of what is due, takes the mark off
// those that it returns.
func (m *Module) SetDue(conns ...ipvs.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.due == nil {
		m.due = make(map[ipvs.Key]bool)
	}
	for i := range conns {
		m.due[conns[i].Key()] = true
	}
}

// SetShortestTimeout sets what [chardev.Stats.ShortestTimeout] is, as
// ipvsadm --set would; it is 0 until then.
func (m *Module) SetShortestTimeout(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shortest = d
}

// Table returns the connection table.
func (m *Module) Table() []ipvs.Conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	return clone(m.table)
}

// Written returns the connections that were written and not refused, in their
// order.
func (m *Module) Written() []ipvs.Conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	return clone(m.written)
}

// Queued returns how many connections wait for the capture reader.
func (m *Module) Queued() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.queue)
}

func clone(conns []ipvs.Conn) []ipvs.Conn {
	list := slices.Clone(conns)
	for i := range list {
		list[i] = list[i].Clone()
	}
	return list
}

// The rest is called with mu held.

func (m *Module) queueLen() int {
	if m.QueueLen > 0 {
		return m.QueueLen
	}
	return DefaultQueueLen
}

func (m *Module) abiVersion() uint32 {
	if m.ABIVersion != 0 {
		return m.ABIVersion
	}
	return chardev.ABIVersion
}

func (m *Module) raise(e chardev.Events) {
	if e&chardev.EventLost != 0 && m.events&chardev.EventLost == 0 {
		m.counters[chardev.CounterLostEvents]++
	}
	if e&(chardev.EventMasterRunning|chardev.EventMasterStopped) != 0 {
		m.counters[chardev.CounterMasterEvents]++
		m.master = e&chardev.EventMasterStopped == 0
	}
	m.events |= e
}

// wake makes every waiter look again.
func (m *Module) wake() {
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
}

// waiting returns what the next wake closes.
func (m *Module) waiting() <-chan struct{} {
	if m.changed == nil {
		m.changed = make(chan struct{})
	}
	return m.changed
}

// ready reports whether poll() would call the capture device readable.
func (m *Module) ready(watermark uint32) bool {
	if watermark == 0 {
		watermark = uint32(m.queueLen() / 2)
	}
	return m.events != 0 || len(m.queue) >= max(int(watermark), 1)
}

// dequeue returns the next connection of the queue; drop takes it out.
func (m *Module) dequeue() (ipvs.Conn, bool) {
	if len(m.queue) == 0 {
		return ipvs.Conn{}, false
	}
	c := m.news[m.queue[0]]
	c.Advert = 0 // only a snapshot of everything has it
	return c, true
}

func (m *Module) drop() {
	delete(m.news, m.queue[0])
	m.queue = m.queue[1:]
}

func (m *Module) drain() {
	m.counters[chardev.CounterDroppedDrained] += uint64(len(m.queue))
	m.queue, m.news, m.events = nil, nil, 0
	m.linger = time.Time{}
}

func (m *Module) expireLinger() {
	if !m.linger.IsZero() && time.Now().After(m.linger) {
		m.drain()
	}
}

// put adds a connection to the table, or replaces it, and reports whether it
// is new.
func (m *Module) put(c *ipvs.Conn) bool {
	key := c.Key()
	if at, known := m.index[key]; known {
		m.table[at] = c.Clone()
		return false
	}
	if m.index == nil {
		m.index = make(map[ipvs.Key]int)
	}
	m.index[key] = len(m.table)
	m.table = append(m.table, c.Clone())
	return true
}

// apply takes one written connection, or says why not.
func (m *Module) apply(c *ipvs.Conn) (chardev.Reason, bool) {
	if c.Timeout != 0 && c.Age >= c.Timeout {
		return chardev.RefusedExpired, true
	}
	if m.Refuse != nil {
		if reason, refused := m.Refuse(c); refused {
			return reason, true
		}
	}
	m.written = append(m.written, c.Clone())
	held := c.Clone()
	held.Flags |= ipvs.FlagSync
	held.Marks, held.Advert = 0, 0 // ignored in a write
	if m.put(&held) {
		m.counters[chardev.CounterCreated]++
	} else {
		m.counters[chardev.CounterUpdated]++
	}
	return 0, false
}
