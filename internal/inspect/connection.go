package inspect

import (
	"time"

	"github.com/ssyncp/ssyncp/internal/conntrackclass"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// Held is a connection, and what its director knows of it.
type Held struct {
	ipvs.Shown
	Owned bool `json:"owned"` // not a copy: it had packets there, or is older than the module
	Told  bool `json:"told"`  // peers were told of it, or told of it
	Bound bool `json:"bound"` // to a real server of a service

	// LastAdvertMS is how long ago the packet was that peers were told of last,
	// or, of a copy, how long ago a peer told of it; null: that is not known.
	LastAdvertMS *int64 `json:"last_advert_ms"`

	// Owners are the directors that say that it is theirs, by their names.
	Owners []string `json:"owners"`
}

// HeldEntry is a conntrack entry, and what its director knows of it.
type HeldEntry struct {
	conntrack.Shown
	Owned bool `json:"owned"` // not a copy: it had packets there, or is older than the daemon
	Told  bool `json:"told"`  // it is one that peers are told of: by its state, and by the filter there

	// LastAdvertMS is how long ago a peer told of a copy; null: it is none, or
	// that is not known.
	LastAdvertMS *int64 `json:"last_advert_ms"`

	Owners []string `json:"owners"`
}

// sinceAdvert is null where it is negative.
func sinceAdvert(ago time.Duration) *int64 {
	if ago < 0 {
		return nil
	}
	n := ago.Milliseconds()
	return &n
}

func heldConn(c *ipvs.Conn, owners []string) Held {
	ago := c.Advert
	if ago == 0 {
		ago = -1
	}
	return Held{
		Shown: c.Shown(), Owned: c.Marks&ipvs.MarkLocal != 0, LastAdvertMS: sinceAdvert(ago),
		Told: c.Marks&ipvs.MarkKnown != 0, Bound: c.Marks&ipvs.MarkBound != 0, Owners: owners,
	}
}

func heldEntry(h *conntrackclass.Held, owners []string) HeldEntry {
	return HeldEntry{Shown: h.Shown(), Owned: h.Owned, Told: h.Told, LastAdvertMS: sinceAdvert(h.Advert), Owners: owners}
}
