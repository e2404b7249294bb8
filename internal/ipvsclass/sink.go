package ipvsclass

import (
	"errors"
	"time"

	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
)

// sink collects what peers advertise, and hands it to the kernel.
type sink struct {
	device   ipvsdevice.Device
	counters *Counters
	decoder  entry.Decoder
	conn     ipvs.Conn

	records  []byte
	taken    []taken // what records are made of, in order
	refused  []chardev.Refusal
	missing  int
	withheld withheld
	err      error // of the device
}

// taken are the records of one frame.
type taken struct {
	end int // in the records
	at  time.Time
}

func newSink(d ipvsdevice.Device, c *Counters) sink {
	return sink{device: d, counters: c, records: make([]byte, 0, chardev.WriteMax)}
}

// Apply is cluster.Objects'.
func (o *Objects) Apply(blocks block.Blocks, held time.Duration) error {
	s := &o.sink
	if err := s.decoder.Reset(blocks); err != nil {
		s.counters.Refused.Add(refused(err), 1)
		return err
	}
	s.decoder.HeldAtLeast(held)
	now := time.Now()
	for s.decoder.Next(&s.conn) {
		if len(s.records)+chardev.MaxRecordSize > chardev.WriteMax {
			s.take(now)
			s.write()
		}
		var err error
		if s.records, err = chardev.AppendRecord(s.records, &s.conn); err != nil {
			s.counters.Refused.Add(RefusedRecord, 1)
		}
	}
	s.take(now)
	s.counters.Counts.Add(Decoded, s.decoder.Count())
	if r := s.decoder.Refusals(); r != (entry.Refusals{}) {
		s.counters.Refused.Add(RefusedUnknownField, r.UnknownField)
		s.counters.Refused.Add(RefusedDuplicateField, r.DuplicateField)
		s.counters.Refused.Add(RefusedPersistenceEngine, r.PersistenceEngine)
	}
	return nil
}

// take notes when the records behind those that were noted before came.
func (s *sink) take(at time.Time) { s.taken = append(s.taken, taken{len(s.records), at}) }

// Flush is cluster.Objects'.
func (o *Objects) Flush() error {
	s := &o.sink
	s.write()
	s.retry(time.Now())
	err := s.err
	s.err = nil
	return err
}

// Missing is cluster.Objects'.
func (o *Objects) Missing() int {
	n := o.sink.missing
	o.sink.missing = 0
	return n
}

// write hands over the records that were collected.
func (s *sink) write() {
	s.age()
	s.hand(s.records, true)
	s.records, s.taken = s.records[:0], s.taken[:0]
}

// retry hands over once more what was withheld.
func (s *sink) retry(now time.Time) {
	for due := s.withheld.due(now); due != nil; due = s.withheld.due(now) {
		s.counters.Counts.Add(Retried, count(due))
		s.hand(due, false)
	}
}

// hand gives records to the kernel. Those that are withheld may be kept.
func (s *sink) hand(rest []byte, keep bool) {
	for len(rest) > 0 && s.err == nil {
		s.counters.Counts.Add(Writes, 1)
		n, err := s.device.Write(rest)
		if n > 0 {
			s.judge(rest[:n], keep)
		}
		rest = rest[n:]
		switch {
		case err == nil:
		case errors.Is(err, chardev.ErrMalformed):
			// Our own encoding. What is behind it is not to blame.
			s.counters.Refused.Add(RefusedMalformed, 1)
			rest = rest[chardev.RecordSize(rest):]
		default:
			s.err = err
		}
	}
	s.counters.Refused.Add(RefusedDevice, count(rest))
}

// count returns how many records there are.
func count(records []byte) (n int) {
	for size := chardev.RecordSize(records); size > 0; size = chardev.RecordSize(records) {
		records = records[size:]
		n++
	}
	return n
}

// age adds the time that the records were kept here.
func (s *sink) age() {
	now := time.Now()
	start := 0
	for _, t := range s.taken {
		chardev.AddAge(s.records[start:t.end], now.Sub(t.at))
		start = t.end
	}
}

// judge counts what the last write lacked a service for, and keeps what of it was
// withheld.
func (s *sink) judge(records []byte, keep bool) {
	var err error
	if s.refused, err = s.device.Refusals(s.refused[:0]); err != nil {
		s.err = err
		return
	}
	missing := 0
	for _, r := range s.refused {
		if lacksService(r.Reason) {
			missing++
		}
	}
	s.missing += missing
	s.counters.Refused.Add(RefusedMissing, missing)
	if keep {
		s.counters.Refused.Add(RefusedWithheld, s.withheld.keep(records, s.refused, time.Now()))
	}
}

// lacksService reports whether a record is taken when services appear. With
// accept_unbound the module makes connections of services that are not there,
// binds them later, and they are not missing. A persistence engine is loaded by
// the service that uses it.
func lacksService(r chardev.Reason) bool {
	return r == chardev.RefusedNoDest || r == chardev.RefusedPE
}
