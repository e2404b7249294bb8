package ipvssync

import (
	"errors"

	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// Sink hands the connections of peers to the kernel.
type Sink struct {
	options Options
	device  ipvsdevice.Device
	conn    ipvs.Conn
	records []byte
}

// OpenSink opens the device for writing.
func OpenSink(o Options) (*Sink, error) {
	device, err := o.Open.Attach(chardev.AttachOptions{Mode: chardev.ModeInject})
	if err != nil {
		return nil, err
	}
	return &Sink{options: o, device: device, records: make([]byte, 0, chardev.WriteMax)}, nil
}

// Apply is engine.Sink's. All adverts go to the kernel in one call, as far as
// it takes that many.
func (s *Sink) Apply(adverts [][]byte) error {
	counters := s.options.Counters
	for _, message := range adverts {
		advert, err := wire.Decode(message)
		if err != nil {
			if s.options.Bilingual && frame.VersionOf(message) == frame.Version {
				counters.Counts.Add(OtherTongue, 1)
				continue
			}
			counters.Refused.Add(refused(err), 1)
			continue
		}
		if advert.SyncID() != s.options.SyncID {
			counters.Refused.Add(RefusedForeignSyncID, 1)
			continue
		}
		counters.Counts.Add(Adverts, 1)
		counters.Counts.Add(Decoded, advert.Count())
		for advert.Next(&s.conn) {
			if len(s.records)+chardev.MaxRecordSize > chardev.WriteMax {
				if err := s.write(); err != nil {
					return err
				}
			}
			s.records, err = chardev.AppendRecord(s.records, &s.conn)
			if err != nil {
				counters.Refused.Add(RefusedRecord, 1)
			}
		}
	}
	return s.write()
}

// write hands over the records that were collected.
func (s *Sink) write() error {
	if len(s.records) == 0 {
		return nil
	}
	s.options.Counters.Counts.Add(Writes, 1)
	_, err := s.device.Write(s.records)
	s.records = s.records[:0]
	if errors.Is(err, chardev.ErrMalformed) {
		// Our own encoding: it is no better the next time.
		s.options.Counters.Refused.Add(RefusedMalformed, 1)
		return nil
	}
	return err
}

// Close is engine.Sink's.
func (s *Sink) Close() error { return s.device.Close() }

// refused returns the counter of an error of wire.Decode.
func refused(err error) Refusal {
	for _, r := range decodeErrors {
		if errors.Is(err, r.err) {
			return r.refusal
		}
	}
	return RefusedOther
}

var decodeErrors = []struct {
	err     error
	refusal Refusal
}{
	{wire.ErrShort, RefusedShort},
	{wire.ErrOtherVersion, RefusedOtherVersion},
	{wire.ErrReserved, RefusedReserved},
	{wire.ErrTooLong, RefusedTooLong},
	{wire.ErrSize, RefusedSize},
	{wire.ErrSyncID, RefusedSyncIDZero},
	{wire.ErrTooMany, RefusedTooMany},
	{wire.ErrChecksum, RefusedChecksum},
	{wire.ErrCount, RefusedCount},
	{wire.ErrEntryReserved, RefusedEntryReserved},
}
