package chardev

import "github.com/ssyncp/ssyncp/pkg/ipvs"

// Batch is the buffer that one read fills, and the cursor over its records. It
// is made to be used again and again; decoding from it does not allocate. It
// is not for concurrent use.
type Batch struct {
	buf    []byte
	rest   []byte // records not yet taken
	n      int    // bytes that the last read returned
	events Events
	err    error
}

// NewBatch returns a batch for reads of up to size bytes, at least [ReadMin].
func NewBatch(size int) *Batch { return &Batch{buf: make([]byte, max(size, ReadMin))} }

// Load fills the batch with records as a read of the device would, as many
// bytes as it holds. It is for devices that are not a character device, as
// that of package chardevtest, and for tests. It returns the number of bytes
// copied, always of whole records.
func (b *Batch) Load(records []byte) int { return 0 }

// Next decodes the next connection record into c, all of whose fields it sets;
// it reuses the memory of c.PEData. It returns false at the end of the batch
// and at a malformed record: see [Batch.Err]. Event records are collected on
// the way: see [Batch.Events].
func (b *Batch) Next(c *ipvs.Conn) bool { return false }

// Events returns the events of the batch that were seen so far. The module puts
// them before connections, so they are known as soon as the batch was read.
func (b *Batch) Events() Events { return b.events }

// Err returns the error that ended the records early: nil, or one that is
// [ErrMalformed].
func (b *Batch) Err() error { return b.err }

// Len returns the number of bytes that the last read returned.
func (b *Batch) Len() int { return b.n }

// Size returns the number of bytes that a read can return.
func (b *Batch) Size() int { return len(b.buf) }

// Full reports whether the last read filled the buffer up to a point where the
// largest record would not fit any more: there may be more to read at once.
func (b *Batch) Full() bool { return len(b.buf)-b.n < MaxRecordSize }
