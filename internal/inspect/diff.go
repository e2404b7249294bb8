package inspect

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"net/netip"
	"slices"
	"time"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

const (
	// MaxCompared is how many connections a table may have to be compared: it
	// takes some 100 bytes for each.
	MaxCompared = 1 << 20
	// maxShown is how many connections that differ are named; the rest is
	// counted.
	maxShown = 1000
	// underWay is how long news takes at most, behind two periods.
	underWay = 500 * time.Millisecond
	// lifetimeSlack is how far the lifetimes of an owner and a copy may be
	// apart, beside what follows from when copies are told (see apart).
	lifetimeSlack = 2 * time.Second
)

// ErrTooMany says that a table is too large to be compared.
var ErrTooMany = fmt.Errorf("inspect: more than %d connections: tables of that size are not compared", MaxCompared)

// Kind is how a connection differs.
type Kind string

// Kinds of differences.
const (
	MissingHere  Kind = "missing here"
	MissingThere Kind = "missing there"
	Dest         Kind = "dest"  // of IPVS connections
	Reply        Kind = "reply" // of conntrack entries
	State        Kind = "state"
	Flags        Kind = "flags" // of a conntrack entry, its status
	Mark         Kind = "mark"  // of conntrack entries
	Lifetime     Kind = "lifetime"
)

// Kinds are all of them, in the order in which they are shown.
var Kinds = []Kind{MissingHere, MissingThere, Dest, Reply, State, Flags, Mark, Lifetime}

// Difference is what the tables of two directors differ in.
type Difference struct {
	Equal bool `json:"equal"`
	Here  int  `json:"here"`  // connections that were compared
	There int  `json:"there"` //
	// Passing differed at the first look and not at the second.
	Passing int `json:"passing"`
	// Differing is how many connections differ; one may do so in several ways.
	Differing int          `json:"differing"`
	Kinds     map[Kind]int `json:"kinds"`
	// As many as are named, of the class that was compared.
	Connections []Differing[ipvs.Shown]      `json:"connections"`
	Entries     []Differing[conntrack.Shown] `json:"entries"`
}

// Named is how many are named.
func (d *Difference) Named() int { return len(d.Connections) + len(d.Entries) }

// Differing is an object that the two do not have alike.
type Differing[S any] struct {
	Kinds []Kind `json:"kinds"`
	Here  *S     `json:"here"`  // null: it is not
	There *S     `json:"there"` // null: it is not
}

// subject is what tables of a class are compared by: objects are T, and S as
// they are shown.
type subject[T, S any] struct {
	class   block.Class
	all     func(context.Context) iter.Seq2[*T, error]
	told    func(*T) bool // peers hear of such
	decode  func(block.Blocks, func(*T) error) error
	key     func(maphash.Seed, *T) uint64
	summary func(maphash.Seed, *T) summary
	shown   func(*T) S
	sorted  func(*S) []string // what they are shown in the order of
}

// Diff compares the table of a class here with that of a peer. What is told takes
// a while, so that there is always something under way: what differs is looked
// at a second time, two periods later, and what is alike by then does not count.
func (i *Inspector) Diff(ctx context.Context, class block.Class, peer block.Peer) (d *Difference, err error) {
	if err := i.carried(class); err != nil {
		return nil, err
	}
	if !i.long.TryLock() {
		return nil, ErrBusy
	}
	defer i.long.Unlock()
	d = &Difference{Kinds: map[Kind]int{}, Connections: []Differing[ipvs.Shown]{}, Entries: []Differing[conntrack.Shown]{}}
	if class == block.ClassIPVS {
		d.Connections, err = differ(ctx, i, i.connections(), peer, d)
		return d, err
	}
	if err := i.carriedBy(ctx, peer); err != nil {
		return nil, err
	}
	d.Entries, err = differ(ctx, i, i.entries(), peer, d)
	return d, err
}

// carriedBy asks a peer whether it carries conntrack entries: a snapshot of what
// is not carried is empty, as that of an empty table is.
func (i *Inspector) carriedBy(ctx context.Context, peer block.Peer) error {
	nobodys := block.Selector{Client: netip.AddrPortFrom(netip.IPv4Unspecified(), 0), Protocol: uint8(conntrack.TCP)}
	limited, stop := context.WithTimeout(ctx, peersTimeout)
	defer stop()
	answer := ErrSilent
	_, err := i.Director.Ask(limited, block.ClassConntrack, nobodys.Append(nil), func(p block.Peer, a *block.Answer) {
		if p != peer {
			return
		}
		if answer = nil; a.Failed {
			answer = ErrPeer
		}
		stop() // others need not be waited for
	})
	if err != nil && ctx.Err() == nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		err = nil
	}
	if err == nil {
		err = answer
	}
	return err
}

// differ compares twice.
func differ[T, S any](ctx context.Context, i *Inspector, s *subject[T, S], peer block.Peer, d *Difference) ([]Differing[S], error) {
	differing := []Differing[S]{}
	seed := maphash.MakeSeed()
	first := &look[T, S]{subject: s, director: i.Director, seed: seed, peer: peer}
	if err := first.run(ctx); err != nil {
		return nil, err
	}
	d.Equal, d.Here, d.There, d.Passing = true, first.count, first.countThere, len(first.apart)
	if len(first.apart) == 0 {
		return differing, nil
	}
	select {
	case <-time.After(2*i.Period() + underWay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	second := &look[T, S]{subject: s, director: i.Director, seed: seed, peer: peer, only: first.apart, named: make(map[uint64]*pair[S])}
	if err := second.run(ctx); err != nil {
		return nil, err
	}
	d.Differing = len(second.apart)
	d.Equal, d.Passing = d.Differing == 0, d.Passing-d.Differing
	for hash, a := range second.apart {
		for _, k := range a.kinds() {
			d.Kinds[k]++
		}
		if p := second.named[hash]; p != nil {
			differing = append(differing, Differing[S]{a.kinds(), p.here, p.there})
		}
	}
	slices.SortFunc(differing, func(a, b Differing[S]) int { return slices.Compare(s.sorted(a.any()), s.sorted(b.any())) })
	return differing, nil
}

// any is what one of the two has.
func (d Differing[S]) any() *S {
	if d.Here != nil {
		return d.Here
	}
	return d.There
}

// ways are kinds of differences, a bit each.
type ways uint8

const (
	missingHere ways = 1 << iota
	missingThere
	dest
	reply
	state
	flags
	mark
	lifetime
)

// summary is what is compared of an object.
type summary struct {
	until   time.Duration // that it expires, from when the look began
	timeout time.Duration
	dest    uint64 // a hash, of an entry that of its reply
	flags   uint32
	mark    uint32
	state   uint16
	class   block.Class
	passing bool // that one lacks it is no loss
	untold  bool // a filter keeps it, or its state, from the peers
}

// apart is one that differs, and what the peer has.
type apart struct {
	ways  ways
	there summary
}

func (a apart) kinds() (list []Kind) {
	for i, k := range Kinds {
		if a.ways&(1<<i) != 0 {
			list = append(list, k)
		}
	}
	return list
}

// pair is one that is named.
type pair[S any] struct{ here, there *S }

// look is one comparison of the two tables.
type look[T, S any] struct {
	*subject[T, S]
	director Director
	seed     maphash.Seed
	peer     block.Peer
	only     map[uint64]apart    // that are looked at; nil: all
	named    map[uint64]*pair[S] // nil: nothing is

	began             time.Time
	here              map[uint64]summary // of which the peer has not spoken yet
	apart             map[uint64]apart
	count, countThere int
	err               error
}

// run reads this table, then the peer's, and then this one again: what changed
// meanwhile is alike if it was so at either time.
func (l *look[T, S]) run(ctx context.Context) error {
	l.began = time.Now()
	l.here, l.apart = make(map[uint64]summary), make(map[uint64]apart)
	for c, err := range l.all(ctx) {
		if err != nil {
			return err
		}
		hash := l.key(l.seed, c)
		if !l.wants(hash) {
			continue
		}
		if len(l.here) == MaxCompared {
			return ErrTooMany
		}
		s := l.sum(c)
		if s.untold = !l.told(c); !s.untold {
			l.count++
		}
		l.here[hash] = s
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	err := l.director.Inspect(ctx, l.peer, l.class, func(blocks block.Blocks) {
		if l.err == nil {
			if l.err = l.decode(blocks, l.take); l.err != nil {
				stop()
			}
		}
	})
	if l.err != nil {
		return l.err
	}
	if err != nil {
		return err
	}
	for hash, s := range l.here {
		if !s.untold {
			l.apart[hash] = apart{ways: missingThere}
		}
	}
	if len(l.apart) == 0 {
		return nil
	}
	return l.again(ctx)
}

// take compares what the peer has.
func (l *look[T, S]) take(c *T) error {
	hash := l.key(l.seed, c)
	if !l.wants(hash) {
		return nil
	}
	if l.countThere++; len(l.apart) == MaxCompared {
		return ErrTooMany
	}
	there := l.sum(c)
	here, ok := l.here[hash]
	delete(l.here, hash)
	switch w := there.differs(here); {
	case here.untold:
	case !ok:
		// Or it comes twice, as it may while the table moves.
		if _, twice := l.apart[hash]; !twice {
			l.apart[hash] = apart{missingHere, there}
			l.name(hash, nil, c)
		}
	case w != 0:
		l.apart[hash] = apart{w, there}
		l.name(hash, nil, c)
	}
	return nil
}

// again looks at what differs here once more.
func (l *look[T, S]) again(ctx context.Context) error {
	found := make(map[uint64]bool)
	for c, err := range l.all(ctx) {
		if err != nil {
			return err
		}
		hash := l.key(l.seed, c)
		a, ok := l.apart[hash]
		if !ok {
			continue
		}
		found[hash] = true
		s := l.sum(c)
		if a.ways&missingThere == 0 {
			a.ways = s.differs(a.there)
		}
		if a.ways == 0 || !l.told(c) || a.ways&missingThere != 0 && s.passing {
			delete(l.apart, hash)
			delete(l.named, hash)
			continue
		}
		l.apart[hash] = a
		l.name(hash, c, nil)
	}
	for hash, a := range l.apart {
		switch {
		case found[hash]:
		case a.ways&missingThere != 0, a.there.passing:
			delete(l.apart, hash) // it went meanwhile, or is no loss
			delete(l.named, hash)
		default:
			a.ways = missingHere
			l.apart[hash] = a
		}
	}
	return nil
}

// name notes what is shown of one that differs.
func (l *look[T, S]) name(hash uint64, here, there *T) {
	if l.named == nil {
		return
	}
	p := l.named[hash]
	if p == nil {
		if len(l.named) == maxShown {
			return
		}
		p = new(pair[S])
		l.named[hash] = p
	}
	if here != nil {
		shown := l.shown(here)
		p.here = &shown
	}
	if there != nil {
		shown := l.shown(there)
		p.there = &shown
	}
}

func (l *look[T, S]) wants(hash uint64) bool {
	if l.only == nil {
		return true
	}
	_, ok := l.only[hash]
	return ok
}

func (l *look[T, S]) sum(c *T) summary {
	s := l.summary(l.seed, c)
	s.until += time.Since(l.began)
	return s
}

// differs returns how.
func (s summary) differs(from summary) (w ways) {
	switch {
	case s.dest == from.dest:
	case s.class == block.ClassConntrack:
		w |= reply
	default:
		w |= dest
	}
	if s.state != from.state {
		w |= state
	}
	if s.flags != from.flags {
		w |= flags
	}
	if s.mark != from.mark {
		w |= mark
	}
	// A timeout of 0 is unknown. A segment that waits for its acknowledgement
	// shortens that of an entry, at its owner alone.
	known := min(s.timeout, from.timeout) > 0 && (s.class == block.ClassIPVS || s.timeout == from.timeout)
	if known && (s.until-from.until).Abs() > lifetimeSlack+apartBy(max(s.timeout, from.timeout)) {
		w |= lifetime
	}
	return w
}

// apartBy is how much less a copy may have left than its owner: it is told again
// when five sixteenths of the timeout have passed, by a sweep that comes within
// an eighth of the shortest timeout.
func apartBy(timeout time.Duration) time.Duration { return timeout * 7 / 16 }
