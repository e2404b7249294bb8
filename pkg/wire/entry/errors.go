package entry

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
	ErrFwmark    = fmt.Errorf("%w: a firewall mark is 0", ErrMalformed)
	ErrFields    = advert.ErrFields // a field reaches behind the fields of its entry
	ErrCount     = advert.ErrCount  // Count is not the number of entries
)

// ErrFull says that a connection does not fit any more, see [Encoder.Append].
var ErrFull = errors.New("entry: the frame is full")

// ErrRoom says that a buffer is too small for any connection.
var ErrRoom = errors.New("entry: no room for a connection")

// Why a connection is not taken by [Encoder.Append].
var (
	ErrFamily    = errors.New("entry: client and virtual address are not of one family, or an address is none or has a zone")
	ErrState     = errors.New("entry: a state over 255")
	ErrPE        = errors.New("entry: a persistence engine needs a name of 1 to 15 bytes without zeros, 1 to 255 bytes of data, and a template")
	ErrOnePacket = errors.New("entry: a one-packet connection is not synchronized")
)
