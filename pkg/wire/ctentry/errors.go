package ctentry

import (
	"errors"
	"fmt"
)

// ErrMalformed is why a frame is refused by [Decoder.Reset].
var ErrMalformed = errors.New("ctentry: broken ADVERT")

// What is wrong with it: each is [ErrMalformed] to errors.Is.
var (
	ErrTruncated = fmt.Errorf("%w: an entry reaches behind its block", ErrMalformed)
	ErrIndex     = fmt.Errorf("%w: an index is over the number of rows", ErrMalformed)
	ErrVarint    = fmt.Errorf("%w: a varint is longer than it needs to be, or than 32 bits", ErrMalformed)
	ErrReserved  = fmt.Errorf("%w: a reserved bit is not zero", ErrMalformed)
	ErrZone      = fmt.Errorf("%w: a zone is 0", ErrMalformed)
	ErrFields    = fmt.Errorf("%w: a field reaches behind the fields of its entry", ErrMalformed)
	ErrCount     = fmt.Errorf("%w: Count is not the number of entries", ErrMalformed)
)

// ErrFull says that an entry does not fit any more, see [Encoder.Append].
var ErrFull = errors.New("ctentry: the frame is full")

// ErrRoom says that a buffer is too small for any entry.
var ErrRoom = errors.New("ctentry: no room for an entry")

// Why an entry is not taken by [Encoder.Append].
var (
	ErrFamily   = errors.New("ctentry: addresses are not of one family, or one is none or has a zone")
	ErrProtocol = errors.New("ctentry: a connection of another protocol has what TCP or SCTP has, or a window scale is over 14")
	ErrHelper   = errors.New("ctentry: a helper needs a name of 1 to 15 bytes without zeros")
)
