package advert

import (
	"errors"
	"fmt"
)

// ErrMalformed is why a frame is refused.
var ErrMalformed = errors.New("broken ADVERT")

// What is wrong with it: each is [ErrMalformed] to errors.Is.
var (
	ErrTruncated = fmt.Errorf("%w: an entry reaches behind its block", ErrMalformed)
	ErrIndex     = fmt.Errorf("%w: an index is over the number of rows", ErrMalformed)
	ErrVarint    = fmt.Errorf("%w: a varint is longer than it needs to be, or than 32 bits", ErrMalformed)
	ErrReserved  = fmt.Errorf("%w: a reserved bit is not zero", ErrMalformed)
	ErrFields    = fmt.Errorf("%w: a field reaches behind the fields of its entry", ErrMalformed)
	ErrCount     = fmt.Errorf("%w: Count is not the number of entries", ErrMalformed)
)
