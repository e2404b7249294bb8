package inspect

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ssyncp/ssyncp/internal/conntrackclass"
	"github.com/ssyncp/ssyncp/internal/ipvsclass"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// peersTimeout is how long peers are waited for.
const peersTimeout = 2 * time.Second

// Explanation is where connections of a client are.
type Explanation struct {
	Here  Place   `json:"here"`
	Peers []Place `json:"peers"` // those that are there, in the order of their sender IDs
}

// Place is what one director has: of IPVS's connections, and of conntrack's
// entries.
type Place struct {
	Peer block.Peer `json:"-"`
	Found
	// Connections are in no order.
	Connections []Held   `json:"connections"`
	Conntrack   *Entries `json:"conntrack"` // null: they are not carried here, and nobody was asked
}

// Entries are what one director has of conntrack's.
type Entries struct {
	Found
	Entries []HeldEntry `json:"entries"` // in no order
}

// Found is what became of a question for a class.
type Found struct {
	Silent bool `json:"silent"` // it was not answered: the director may be of an older version
	Failed bool `json:"failed"` // it could not be answered, or the answer was not understood
	More   bool `json:"more"`   // there are more than these
}

// Explain looks for the connections that a selector means, here and at the
// peers.
func (i *Inspector) Explain(ctx context.Context, s *block.Selector) (*Explanation, error) {
	status, err := i.Director.Status(ctx)
	if err != nil {
		return nil, err
	}
	e := &Explanation{Here: Place{Peer: status.Self}, Peers: []Place{}}
	names := []string{nameOf(status.Self, status.Name)}
	var peers []block.Peer
	for k := range status.Peers {
		if p := &status.Peers[k]; p.Proven && !p.Lost {
			peers = append(peers, p.Peer)
			names = append(names, nameOf(p.Peer, p.Name))
			e.Peers = append(e.Peers, Place{Peer: p.Peer})
		}
	}
	places := []*Place{&e.Here}
	for k := range e.Peers {
		places = append(places, &e.Peers[k])
	}

	var (
		conns       []found[ipvs.Conn]
		entries     []found[conntrackclass.Held]
		both        sync.WaitGroup
		first, last error
	)
	both.Go(func() {
		conns, first = gather(ctx, i.Director, block.ClassIPVS, s, peers, i.conns, ipvsclass.Answered)
	})
	if i.Tracked != nil {
		both.Go(func() {
			entries, last = gather(ctx, i.Director, block.ClassConntrack, s, peers, i.Tracked.Matching, conntrackclass.Answered)
		})
	}
	both.Wait()
	if err := errors.Join(first, last); err != nil {
		return nil, err
	}
	owners := ownersOf(conns, names, (*ipvs.Conn).Key, func(c *ipvs.Conn) bool { return c.Marks&ipvs.MarkLocal != 0 })
	for k := range conns {
		p := places[k]
		p.Found, p.Connections = conns[k].Found, []Held{}
		for n := range conns[k].list {
			c := &conns[k].list[n]
			p.Connections = append(p.Connections, heldConn(c, append([]string{}, owners[c.Key()]...)))
		}
	}
	tracked := ownersOf(entries, names, func(h *conntrackclass.Held) conntrack.Key { return h.Key() }, func(h *conntrackclass.Held) bool { return h.Owned })
	for k := range entries {
		p := &Entries{Found: entries[k].Found, Entries: []HeldEntry{}}
		places[k].Conntrack = p
		for n := range entries[k].list {
			h := &entries[k].list[n]
			p.Entries = append(p.Entries, heldEntry(h, append([]string{}, tracked[h.Key()]...)))
		}
	}
	return e, nil
}

// conns are those of this director. That it owns one is said as peers say it.
func (i *Inspector) conns(ctx context.Context, s *block.Selector) (list []ipvs.Conn, more bool, err error) {
	list, more, err = i.Table.Matching(ctx, s)
	for k := range list {
		if c := &list[k]; c.Owned() {
			c.Marks |= ipvs.MarkLocal
		}
	}
	return list, more, err
}

func nameOf(p block.Peer, name string) string {
	if name != "" {
		return name
	}
	return p.String()
}

// found is what one director has of a class.
type found[T any] struct {
	Found
	list []T
}

// gather asks this director and its peers, and returns what each has, in that
// order.
func gather[T any](
	ctx context.Context, d Director, class block.Class, s *block.Selector, peers []block.Peer,
	here func(context.Context, *block.Selector) ([]T, bool, error), answered func(*block.Answer) ([]T, error),
) ([]found[T], error) {
	all := make([]found[T], 1+len(peers))
	at := make(map[block.Peer]*found[T])
	for k, p := range peers {
		at[p] = &all[1+k]
		at[p].Silent = true
	}
	var err error
	if all[0].list, all[0].More, err = here(ctx, s); err != nil {
		return nil, err
	}
	limited, stop := context.WithTimeout(ctx, peersTimeout)
	defer stop()
	_, err = d.Ask(limited, class, s.Append(nil), func(p block.Peer, a *block.Answer) {
		f := at[p]
		if f == nil {
			return // it has just come
		}
		list, err := answered(a)
		*f = found[T]{Found{Failed: a.Failed || err != nil, More: a.More}, list}
	})
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	return all, nil
}

// ownersOf returns who says that an object is its own, by the keys of objects.
func ownersOf[T any, K comparable](all []found[T], names []string, key func(*T) K, owned func(*T) bool) map[K][]string {
	owners := make(map[K][]string)
	for k := range all {
		for n := range all[k].list {
			if c := &all[k].list[n]; owned(c) {
				owners[key(c)] = append(owners[key(c)], names[k])
			}
		}
	}
	return owners
}
