package inspect

import (
	"context"
	"errors"
	"time"

	"github.com/ssyncp/ssyncp/internal/ipvsclass"
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

// Place is what one director has.
type Place struct {
	Peer   block.Peer `json:"-"`
	Silent bool       `json:"silent"` // it did not answer: it may be of an older version
	Failed bool       `json:"failed"` // it could not, or its answer was not understood
	More   bool       `json:"more"`   // there are more than these
	// Connections are in no order.
	Connections []Held `json:"connections"`

	conns []ipvs.Conn
}

// Explain looks for the connections that a selector means, here and at the
// peers.
func (i *Inspector) Explain(ctx context.Context, s *block.Selector) (*Explanation, error) {
	status, err := i.Director.Status(ctx)
	if err != nil {
		return nil, err
	}
	e := &Explanation{Here: Place{Peer: status.Self}, Peers: []Place{}}
	at := make(map[block.Peer]int)
	for k := range status.Peers {
		if p := &status.Peers[k]; p.Proven && !p.Lost {
			at[p.Peer] = len(e.Peers)
			e.Peers = append(e.Peers, Place{Peer: p.Peer, Silent: true})
		}
	}
	if e.Here.conns, e.Here.More, err = i.Table.Matching(ctx, s); err != nil {
		return nil, err
	}
	limited, stop := context.WithTimeout(ctx, peersTimeout)
	defer stop()
	_, err = i.Director.Ask(limited, block.ClassIPVS, s.Append(nil), func(p block.Peer, a *block.Answer) {
		k, ok := at[p]
		if !ok {
			return // it has just come
		}
		place := &e.Peers[k]
		place.Silent, place.Failed, place.More = false, a.Failed, a.More
		conns, err := ipvsclass.Answered(a)
		place.conns, place.Failed = conns, place.Failed || err != nil
	})
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	names := map[block.Peer]string{status.Self: nameOf(status.Self, status.Name)}
	for k := range status.Peers {
		names[status.Peers[k].Peer] = nameOf(status.Peers[k].Peer, status.Peers[k].Name)
	}
	e.show(names)
	return e, nil
}

func nameOf(p block.Peer, name string) string {
	if name != "" {
		return name
	}
	return p.String()
}

// show fills in what people see, and who owns what.
func (e *Explanation) show(names map[block.Peer]string) {
	owners := make(map[ipvs.Key][]string)
	places := []*Place{&e.Here}
	for k := range e.Peers {
		places = append(places, &e.Peers[k])
	}
	for _, p := range places {
		for k := range p.conns {
			if c := &p.conns[k]; p.owns(c, e) {
				owners[c.Key()] = append(owners[c.Key()], names[p.Peer])
			}
		}
	}
	for _, p := range places {
		p.Connections = []Held{}
		for k := range p.conns {
			h := heldOf(&p.conns[k], p.owns(&p.conns[k], e))
			h.Owners = append(h.Owners, owners[p.conns[k].Key()]...)
			p.Connections = append(p.Connections, h)
		}
	}
}

// owns reports whether a connection is the director's own. A peer says so; of
// ours the flags do.
func (p *Place) owns(c *ipvs.Conn, e *Explanation) bool {
	if p == &e.Here {
		return c.Owned()
	}
	return c.Marks&ipvs.MarkLocal != 0
}
