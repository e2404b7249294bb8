package inspect

import (
	"context"
	"time"

	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// Flushed is what became of copies.
type Flushed struct {
	Copies  int            `json:"copies"`  // that there were
	Expired int            `json:"expired"` // of them, those that end now
	Refused map[string]int `json:"refused"` // by reason: those that had packets here just now, for one
}

const (
	// shortest is what a copy that is to go has left: one tick of the kernel's
	// clock.
	shortest = time.Millisecond
	// gone is when that is over, for all that were told so.
	gone = 100 * time.Millisecond
)

// Flush ends the copies of what others own, of a class.
func (i *Inspector) Flush(ctx context.Context, class block.Class) (*Flushed, error) {
	if err := i.carried(class); err != nil {
		return nil, err
	}
	if !i.long.TryLock() {
		return nil, ErrBusy
	}
	defer i.long.Unlock()
	if class == block.ClassIPVS {
		return i.flushConns(ctx)
	}
	done, err := i.Tracked.Flush(ctx)
	if err != nil {
		return nil, err
	}
	return &Flushed{Copies: done.Copies, Expired: done.Expired, Refused: done.Refused}, nil
}

// flushConns ends copies of connections. A copy is told to the kernel as it
// is, fresh, and with a timeout of one tick. That is an ordinary update, under
// the rules for all of them: one that had a packet here since it was read is
// held, and refused. Connections go first: where a template is to expire while
// there are connections of it, IPVS puts that off by a minute.
func (i *Inspector) flushConns(ctx context.Context) (*Flushed, error) {
	device, err := i.Device.Attach(chardev.AttachOptions{Mode: chardev.ModeInject})
	if err != nil {
		return nil, err
	}
	defer device.Close()
	f := &flush{device: device, done: &Flushed{Refused: map[string]int{}}}
	for _, templates := range []bool{false, true} {
		if templates && f.done.Expired > 0 {
			select {
			case <-time.After(gone):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		if err := f.over(ctx, i.Table, templates); err != nil {
			return nil, err
		}
	}
	return f.done, nil
}

// flush is one that is under way.
type flush struct {
	device  ipvsdevice.Device
	records []byte
	count   int // of records
	refused []chardev.Refusal
	done    *Flushed
}

// over goes over the table once.
func (f *flush) over(ctx context.Context, t Table, templates bool) error {
	for c, err := range t.All(ctx) {
		if err != nil {
			return err
		}
		if c.Owned() || c.Template() != templates {
			continue
		}
		c.Flags &= ipvs.FlagBackupMask
		c.Age, c.Timeout = 0, shortest
		if f.records, err = chardev.AppendRecord(f.records, c); err != nil {
			return err
		}
		f.count++
		if len(f.records)+chardev.MaxRecordSize > chardev.WriteMax {
			if err := f.write(); err != nil {
				return err
			}
		}
	}
	return f.write()
}

func (f *flush) write() error {
	if f.count == 0 {
		return nil
	}
	// What the module built, it understands: all of it is taken.
	if _, err := f.device.Write(f.records); err != nil {
		return err
	}
	var err error
	if f.refused, err = f.device.Refusals(f.refused[:0]); err != nil {
		return err
	}
	for _, r := range f.refused {
		f.done.Refused[r.Reason.String()]++
	}
	f.done.Copies += f.count
	f.done.Expired += f.count - len(f.refused)
	f.records, f.count = f.records[:0], 0
	return nil
}
