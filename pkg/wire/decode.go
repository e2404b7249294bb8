package wire

import "github.com/ssyncp/ssyncp/pkg/ipvs"

// Advert is a valid advert, whose connections are taken from it one by one. It
// refers to the message that it was decoded from.
type Advert struct {
	entries []byte // not yet taken
	count   int
	syncID  uint8
}

// Decode checks the whole message and returns its advert. Sequence options
// count to their entry. The error is one of the sentinel values of this
// package or a [VersionError]; an advert with Count Conns 0 and Reserved 0 is
// valid and empty.
func Decode(message []byte) (Advert, error) { return Advert{}, nil }

// SyncID returns the sync ID, 1 to 255.
func (a *Advert) SyncID() uint8 { return a.syncID }

// Count returns the number of connections in the advert.
func (a *Advert) Count() int { return a.count }

// Next decodes the next connection into c, all of whose fields it sets. It
// returns false when there is none.
func (a *Advert) Next(c *ipvs.Conn) bool { return false }
