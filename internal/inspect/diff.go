package inspect

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
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
	State        Kind = "state"
	Dest         Kind = "dest"
	Flags        Kind = "flags"
	Lifetime     Kind = "lifetime"
)

// Kinds are all of them, in the order in which they are shown.
var Kinds = []Kind{MissingHere, MissingThere, Dest, State, Flags, Lifetime}

// Difference is what the tables of two directors differ in.
type Difference struct {
	Equal bool `json:"equal"`
	Here  int  `json:"here"`  // connections that were compared
	There int  `json:"there"` //
	// Passing differed at the first look and not at the second.
	Passing int `json:"passing"`
	// Differing is how many connections differ; one may do so in several ways.
	Differing   int          `json:"differing"`
	Kinds       map[Kind]int `json:"kinds"`
	Connections []Differing  `json:"connections"` // as many as are named
}

// Differing is a connection that the two do not have alike.
type Differing struct {
	Kinds []Kind      `json:"kinds"`
	Here  *Connection `json:"here"`  // null: it is not
	There *Connection `json:"there"` // null: it is not
}

// Diff compares the table here with that of a peer. What is told takes a while,
// so that there is always something under way: what differs is looked at a
// second time, two periods later, and what is alike by then does not count.
func (i *Inspector) Diff(ctx context.Context, peer block.Peer) (*Difference, error) {
	if !i.long.TryLock() {
		return nil, ErrBusy
	}
	defer i.long.Unlock()
	seed := maphash.MakeSeed()
	first, err := i.look(ctx, &look{seed: seed, peer: peer})
	if err != nil {
		return nil, err
	}
	d := &Difference{
		Equal: true, Here: first.all, There: first.allThere, Passing: len(first.apart), Kinds: map[Kind]int{}, Connections: []Differing{},
	}
	if len(first.apart) == 0 {
		return d, nil
	}
	select {
	case <-time.After(2*i.Period() + underWay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	second, err := i.look(ctx, &look{seed: seed, peer: peer, only: first.apart, shown: make(map[uint64]*pair)})
	if err != nil {
		return nil, err
	}
	d.Differing = len(second.apart)
	d.Equal, d.Passing = d.Differing == 0, d.Passing-d.Differing
	for hash, a := range second.apart {
		for _, k := range a.kinds() {
			d.Kinds[k]++
		}
		if p := second.shown[hash]; p != nil {
			d.Connections = append(d.Connections, p.differing(a))
		}
	}
	slices.SortFunc(d.Connections, func(a, b Differing) int { return compare(&a, &b) })
	return d, nil
}

// ways are kinds of differences, a bit each.
type ways uint8

const (
	missingHere ways = 1 << iota
	missingThere
	dest
	state
	flags
	lifetime
)

// summary is what is compared of a connection.
type summary struct {
	until   time.Duration // since the look began, until it expires
	timeout time.Duration
	dest    uint64 // a hash
	flags   ipvs.Flags
	state   ipvs.State
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

// pair is one that is shown.
type pair struct{ here, there *Connection }

func (p *pair) differing(a apart) Differing {
	return Differing{Kinds: a.kinds(), Here: p.here, There: p.there}
}

func compare(a, b *Differing) int {
	text := func(d *Differing) string {
		c := d.Here
		if c == nil {
			c = d.There
		}
		return c.Virtual + " " + c.Protocol + " " + c.Client
	}
	return slices.Compare([]string{text(a)}, []string{text(b)})
}

// look is one comparison of the two tables.
type look struct {
	seed  maphash.Seed
	peer  block.Peer
	only  map[uint64]apart // that are looked at; nil: all
	shown map[uint64]*pair // what is shown; nil: nothing

	began         time.Time
	here          map[uint64]summary // of which the peer has not spoken yet
	apart         map[uint64]apart
	all, allThere int
	err           error
}

// look reads this table, then the peer's, and then this one again: what changed
// meanwhile is alike if it was so at either time.
func (i *Inspector) look(ctx context.Context, l *look) (*look, error) {
	l.began = time.Now()
	l.here, l.apart = make(map[uint64]summary), make(map[uint64]apart)
	for c, err := range i.Table.All(ctx) {
		if err != nil {
			return nil, err
		}
		hash := l.hash(c)
		if !l.wants(hash) {
			continue
		}
		if len(l.here) == MaxCompared {
			return nil, ErrTooMany
		}
		s := l.summary(c)
		if s.untold = !i.Table.Told(c); !s.untold {
			l.all++
		}
		l.here[hash] = s
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	err := i.Director.Inspect(ctx, l.peer, block.ClassIPVS, func(blocks block.Blocks) {
		if l.err == nil {
			if l.err = l.take(blocks); l.err != nil {
				stop()
			}
		}
	})
	if l.err != nil {
		return nil, l.err
	}
	if err != nil {
		return nil, err
	}
	for hash, s := range l.here {
		if !s.untold {
			l.apart[hash] = apart{ways: missingThere}
		}
	}
	if len(l.apart) == 0 {
		return l, nil
	}
	return l, i.again(ctx, l)
}

// take compares what the peer has.
func (l *look) take(blocks block.Blocks) error {
	var d entry.Decoder
	if err := d.Reset(blocks); err != nil {
		return err
	}
	for c := (ipvs.Conn{}); d.Next(&c); {
		hash := l.hash(&c)
		if !l.wants(hash) {
			continue
		}
		if l.allThere++; len(l.apart) == MaxCompared {
			return ErrTooMany
		}
		there := l.summary(&c)
		here, ok := l.here[hash]
		delete(l.here, hash)
		switch w := there.differs(here); {
		case here.untold:
		case !ok:
			// Or it comes twice, as it may while the table moves.
			if _, twice := l.apart[hash]; !twice {
				l.apart[hash] = apart{missingHere, there}
				l.show(hash, nil, &c)
			}
		case w != 0:
			l.apart[hash] = apart{w, there}
			l.show(hash, nil, &c)
		}
	}
	return nil
}

// again looks at what differs here once more.
func (i *Inspector) again(ctx context.Context, l *look) error {
	found := make(map[uint64]bool)
	for c, err := range i.Table.All(ctx) {
		if err != nil {
			return err
		}
		hash := l.hash(c)
		a, ok := l.apart[hash]
		if !ok {
			continue
		}
		found[hash] = true
		if a.ways&missingThere == 0 {
			a.ways = l.summary(c).differs(a.there)
		}
		if a.ways == 0 || !i.Table.Told(c) || a.ways&missingThere != 0 && passing(c) {
			delete(l.apart, hash)
			delete(l.shown, hash)
			continue
		}
		l.apart[hash] = a
		l.show(hash, c, nil)
	}
	for hash, a := range l.apart {
		switch {
		case found[hash]:
		case a.ways&missingThere != 0, a.there.passing:
			delete(l.apart, hash) // it went meanwhile, or is no loss
			delete(l.shown, hash)
		default:
			a.ways = missingHere
			l.apart[hash] = a
		}
	}
	return nil
}

// show notes what is shown of one that differs.
func (l *look) show(hash uint64, here, there *ipvs.Conn) {
	if l.shown == nil {
		return
	}
	p := l.shown[hash]
	if p == nil {
		if len(l.shown) == maxShown {
			return
		}
		p = new(pair)
		l.shown[hash] = p
	}
	for _, k := range []struct {
		to   **Connection
		from *ipvs.Conn
	}{{&p.here, here}, {&p.there, there}} {
		if k.from != nil {
			c := connectionOf(k.from)
			*k.to = &c
		}
	}
}

func (l *look) wants(hash uint64) bool {
	if l.only == nil {
		return true
	}
	_, ok := l.only[hash]
	return ok
}

func (l *look) hash(c *ipvs.Conn) uint64 { return maphash.Comparable(l.seed, c.Key()) }

// compared are the flags that a director takes over from a peer as they are: the
// forwarding method, and whether answers pass, are those of its own real server,
// and being inactive follows from the state.
const compared = ipvs.FlagBackupMask &^ (ipvs.FlagInactive | ipvs.FlagMethodMask | ipvs.FlagNoOutput)

func (l *look) summary(c *ipvs.Conn) summary {
	return summary{
		until: time.Since(l.began) + c.Remaining(), timeout: c.Timeout, dest: maphash.Comparable(l.seed, c.Dest),
		flags: c.Flags & compared, state: c.State, passing: passing(c),
	}
}

// differs returns how.
func (s summary) differs(from summary) (w ways) {
	if s.dest != from.dest {
		w |= dest
	}
	if s.state != from.state {
		w |= state
	}
	if s.flags != from.flags {
		w |= flags
	}
	// A timeout of 0 is unknown.
	if min(s.timeout, from.timeout) > 0 && (s.until-from.until).Abs() > lifetimeSlack+apartBy(max(s.timeout, from.timeout)) {
		w |= lifetime
	}
	return w
}

// apartBy is how much less a copy may have left than its owner: it is told again
// when five sixteenths of the timeout have passed, by a sweep that comes within
// an eighth of the shortest timeout.
func apartBy(timeout time.Duration) time.Duration { return timeout * 7 / 16 }

// passing reports whether it is no loss if one of two directors lacks a
// connection, and may be so for good: nobody answered yet, or both sides are done,
// and it may never have been told.
func passing(c *ipvs.Conn) bool {
	if c.Template() {
		return false
	}
	switch c.Protocol {
	case ipvs.TCP:
		switch c.State {
		case ipvs.TCPNone, ipvs.TCPSynSent, ipvs.TCPSynRecv, ipvs.TCPSynAck, ipvs.TCPTimeWait, ipvs.TCPClose, ipvs.TCPLastAck:
			return true
		}
	case ipvs.SCTP:
		return c.State < ipvs.SCTPEstablished || c.State >= ipvs.SCTPShutdownAckSent
	}
	return false
}
