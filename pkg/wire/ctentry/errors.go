package ctentry

import (
	"errors"
	"fmt"

	"github.com/ssyncp/ssyncp/pkg/wire/internal/advert"
)

// ErrMalformed is why a frame is refused by [Decoder.Reset].
var ErrMalformed = advert.ErrMalformed

// What is wrong with it: each is [ErrMalformed] to errors.Is.
var (
	ErrTruncated = advert.ErrTruncated // an entry reaches behind its block
	ErrIndex     = advert.ErrIndex     // an index is over the number of rows
	ErrVarint    = advert.ErrVarint    // a varint is longer than it needs to be, or than 32 bits
	ErrReserved  = advert.ErrReserved  // a reserved bit is not zero
	ErrZone      = fmt.Errorf("%w: a zone is 0", ErrMalformed)
	ErrFields    = advert.ErrFields // a field reaches behind the fields of its entry
	ErrCount     = advert.ErrCount  // Count is not the number of entries
)

// ErrFull says that an entry does not fit any more, see [Encoder.Append].
var ErrFull = errors.New("ctentry: the frame is full")

// ErrRoom says that a buffer is too small for any entry.
var ErrRoom = errors.New("ctentry: no room for an entry")

// Why an entry is not taken by [Encoder.Append].
var (
	ErrFamily   = errors.New("ctentry: addresses are not of one family, or one is none or has a zone")
	ErrProtocol = errors.New("ctentry: a connection of another protocol has what TCP or SCTP has, a state is none of its protocol, or a window scale is over 14")
	ErrHelper   = errors.New("ctentry: a helper needs a name of 1 to 15 bytes without zeros")
)
