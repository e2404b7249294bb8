package engine

import (
	"errors"
	"time"
)

// Source is where news of one class of objects comes from. It is used by one
// goroutine.
type Source interface {
	// Read takes what news there is, in one call to the kernel, and adds the
	// adverts that became full to out.
	Read(out *Outbox) (Reading, error)
	// Flush adds the partial advert to out, where there is one.
	Flush(out *Outbox)
	// Snapshot begins to read what this director owns. ErrNoSnapshot says
	// that it never will, of either kind.
	Snapshot(Kind) (Snapshot, error)
	// SweepEvery returns the time between two snapshots of what is due, more
	// than 0. It is asked anew for each, as timeouts change.
	SweepEvery() (time.Duration, error)
	Close() error
}

// Kind is how much of what this director owns a snapshot reads.
type Kind int

const (
	// Owned is all of it.
	Owned Kind = iota
	// Due is what is due to be told again: peers' copies would otherwise
	// expire early, because what came after it was told was no news.
	Due
)

// Reading is what one read found, beside adverts.
type Reading struct {
	Entries int  // objects that were read
	More    bool // the buffer came back full: read again at once
	Lost    bool // news was dropped: a snapshot heals it
	// Pause is set as long as something else owns the objects, and says
	// what: there is no news until it is nil again.
	Pause error
}

// Snapshot is a walk over what this director owns.
type Snapshot interface {
	// Read reads about an advert's worth and adds all of it to out, keeping
	// nothing back: news that is read later must leave later. It returns
	// false at the end.
	Read(out *Outbox) (more bool, err error)
	Close() error
}

// ErrNoSnapshot is what Source.Snapshot returns where there will never be one.
var ErrNoSnapshot = errors.New("snapshots are not possible")

// Sink takes the adverts of peers. It is used by one goroutine.
type Sink interface {
	// Apply hands what is in the adverts to the kernel. What cannot be
	// applied is counted, not an error.
	Apply(adverts [][]byte) error
	Close() error
}

// Link is the way to the peers. Each of its methods is used by one goroutine
// at a time.
type Link interface {
	// Send sends adverts in order and returns how many were sent.
	Send(adverts [][]byte) (int, error)
	// Receive waits for adverts, which stay valid until the next call.
	Receive() ([][]byte, error)
	// Unblock ends a waiting Receive and every later one.
	Unblock()
	// Check fails when the link must be opened again. It returns whether
	// anybody can be reached: whether there is a carrier.
	Check() (carrier bool, err error)
	Close() error
}

// Parts open what the engine runs on. Each opens everything or nothing.
type Parts struct {
	Link   func() (Link, error)
	Device func() (Source, Sink, error)
}
