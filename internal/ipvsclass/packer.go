package ipvsclass

import (
	"errors"
	"fmt"
	"time"

	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
)

// batchSize is how many bytes one read of the device brings at most: some 2,900
// connections. Four times the default saves a quarter of the bytes on the wire,
// as more connections have their real server in common.
const batchSize = 256 << 10

// packer puts what one read brought into ADVERT blocks, in the order that takes
// the fewest bytes.
type packer struct {
	filter   *filter
	counters *Counters
	conns    []ipvs.Conn
	order    entry.Order
	left     []int32 // of conns, not yet in a body
	encoder  entry.Encoder
}

func newPacker(f *filter, c *Counters) *packer {
	return &packer{filter: f, counters: c, conns: make([]ipvs.Conn, batchSize/chardev.MinRecordSize)}
}

// load takes the connections of a batch, and returns how many there were. The
// ones before it must have been put into bodies.
func (p *packer) load(batch *chardev.Batch) (read int, err error) {
	kept := 0
	for {
		if kept == len(p.conns) {
			p.conns = append(p.conns, ipvs.Conn{})
		}
		c := &p.conns[kept]
		if !batch.Next(c) {
			break
		}
		read++
		if p.filter.passes(c) {
			kept++
		}
	}
	p.counters.Counts.Add(Filtered, read-kept)
	p.left = p.order.Of(p.conns[:kept])
	return read, batch.Err()
}

// pending reports whether connections are left.
func (p *packer) pending() bool { return len(p.left) > 0 }

// drop forgets what is left.
func (p *packer) drop() { p.left = nil }

// begin begins a body: blocks are appended, up to limit bytes in all.
func (p *packer) begin(body []byte, limit int) error {
	if err := p.encoder.Reset(body, limit); err != nil {
		return fmt.Errorf("ipvsclass: %d bytes, of which %d are taken: %w", limit, len(body), err)
	}
	return nil
}

// fill puts what is left into the body that was begun, as far as it fits. It
// was read so long ago.
func (p *packer) fill(ago time.Duration) {
	for len(p.left) > 0 {
		c := &p.conns[p.left[0]]
		read := c.Age
		c.Age += ago
		err := p.encoder.Append(c)
		c.Age = read // it may come again, in the next body
		if err != nil {
			if errors.Is(err, entry.ErrFull) {
				return
			}
			p.counters.Skipped.Add(skipped(err), 1)
		}
		p.left = p.left[1:]
	}
}

// finish returns the body, nil where it has got no connections.
func (p *packer) finish() []byte {
	n := p.encoder.Count()
	if n == 0 {
		return nil
	}
	p.counters.Counts.Add(Encoded, n)
	p.counters.Counts.Add(Bodies, 1)
	return p.encoder.Finish()
}
