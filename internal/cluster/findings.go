package cluster

import (
	"errors"
	"time"

	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// Encoder puts objects of a class into ADVERT blocks.
type Encoder interface {
	Reset(buf []byte, limit int) error
	Finish() []byte
}

// FindingsOf are n objects, as far as they fit so many bytes. add has the
// encoder append one, and says what goes with it; full is its error where that
// does not fit. One that fails otherwise cannot be told, as it is not in an
// ADVERT, and is left out.
func FindingsOf(e Encoder, room, n int, add func(i int) (block.Marks, time.Duration, error), full error) (f peering.Findings, err error) {
	if n == 0 {
		return f, nil
	}
	if err := e.Reset(nil, room); err != nil {
		return f, err
	}
	for i := range n {
		marks, advert, err := add(i)
		if errors.Is(err, full) {
			f.More = true
			break
		}
		if err != nil {
			continue
		}
		f.Marks = append(f.Marks, marks)
		f.Adverts = append(f.Adverts, advert)
	}
	if len(f.Marks) > 0 {
		f.Objects = e.Finish()
	}
	return f, nil
}
