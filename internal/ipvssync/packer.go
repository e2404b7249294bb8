package ipvssync

import (
	"errors"
	"fmt"

	"github.com/ssyncp/ssyncp/internal/engine"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire"
)

// packer puts connections into adverts.
type packer struct {
	syncID   uint8
	counters *Counters
	encoder  wire.Encoder
	building bool // the encoder has a buffer
	plain    ipvs.Plain
	conn     ipvs.Conn
}

func newPacker(o Options) (packer, error) {
	p := packer{syncID: o.SyncID, counters: o.Counters}
	if err := p.encoder.Reset(nil, o.SyncID); err != nil {
		return packer{}, fmt.Errorf("ipvssync: %w", err)
	}
	return p, nil
}

// begin gives the encoder a buffer, where it has none.
func (p *packer) begin(out *engine.Outbox) {
	if !p.building {
		p.encoder.Reset(out.Buffer(), p.syncID) // the sync ID was taken by newPacker
		p.building = true
	}
}

// take puts the connections of a batch into adverts, and full ones into out. It
// returns how many there were.
func (p *packer) take(batch *chardev.Batch, out *engine.Outbox) (n int) {
	for ; ; n++ {
		var err error
		p.begin(out)
		switch {
		case batch.NextPlain(&p.plain):
			if err = p.encoder.AppendPlain(&p.plain); err != nil && errors.Is(err, wire.ErrFull) {
				p.turn(out)
				err = p.encoder.AppendPlain(&p.plain)
			}
		case batch.Next(&p.conn):
			if err = p.encoder.Append(&p.conn); err != nil && errors.Is(err, wire.ErrFull) {
				p.turn(out)
				err = p.encoder.Append(&p.conn)
			}
		default:
			return n
		}
		if err != nil {
			p.counters.Skipped.Add(skipped(err), 1)
		} else if p.encoder.Full() {
			p.flush(out)
		}
	}
}

// turn puts the advert into out and begins another one.
func (p *packer) turn(out *engine.Outbox) {
	p.flush(out)
	p.begin(out)
}

// flush puts the advert into out, unless it is empty.
func (p *packer) flush(out *engine.Outbox) {
	if p.building && p.encoder.Count() > 0 {
		p.counters.Counts.Add(Encoded, p.encoder.Count())
		out.Add(p.encoder.Finish())
		p.building = false
	}
}

// skipped returns the counter of an error of the encoder.
func skipped(err error) Skip {
	switch {
	case errors.Is(err, wire.ErrIPv6):
		return SkipIPv6
	case errors.Is(err, wire.ErrFwmarkTemplate):
		return SkipFwmarkTemplate
	case errors.Is(err, wire.ErrPersistenceEngine):
		return SkipPersistenceEngine
	case errors.Is(err, wire.ErrOnePacket):
		return SkipOnePacket
	}
	return SkipOther
}
