package ipvssync

import (
	"errors"
	"io"

	"github.com/ssyncp/ssyncp/internal/engine"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/wire"
)

// snapshotBatch is one full advert of connections without sequence options.
const snapshotBatch = wire.MaxConns * chardev.MinRecordSize

// snapshot is a walk over what this director owns.
type snapshot struct {
	device ipvsdevice.Device
	batch  *chardev.Batch
	packer packer
}

func (s *snapshot) Read(out *engine.Outbox) (more bool, err error) {
	ok, err := s.device.ReadBatch(s.batch)
	switch {
	case errors.Is(err, io.EOF):
		return false, nil
	case err != nil:
		return false, err
	case !ok: // a snapshot is never without something to read
		return false, io.ErrUnexpectedEOF
	}
	s.packer.take(s.batch, out)
	s.packer.flush(out)
	return true, s.batch.Err()
}

func (s *snapshot) Close() error { return s.device.Close() }
