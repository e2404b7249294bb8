package wire

import "github.com/ssyncp/ssyncp/pkg/ipvs"

// Encoder builds one advert after the other in a buffer of the caller. The
// zero value is ready for [Encoder.Reset].
type Encoder struct {
	advert []byte
	count  int
}

// Reset begins a new advert at the start of buf, whose contents it overwrites.
// A buffer with room for [MaxSize] bytes is used as it is; a smaller one is
// replaced. The sync ID is 1 to 255, or the error is [ErrSyncID].
func (e *Encoder) Reset(buf []byte, syncID uint8) error { return nil }

// Append adds a connection to the advert. [ErrFull] says that it does not fit:
// finish the advert, and append it to the next. Every other error says why
// version 1 cannot carry it. On an error the advert is as it was before.
func (e *Encoder) Append(c *ipvs.Conn) error { return nil }

// Count returns the number of connections in the advert.
func (e *Encoder) Count() int { return e.count }

// Full reports whether no further connection can be appended, not even one
// without sequence options.
func (e *Encoder) Full() bool { return false }

// Finish fills in the header and returns the advert, which stays valid until
// its buffer is used again. An advert without connections is nil: there is
// nothing to send.
func (e *Encoder) Finish() []byte { return nil }
