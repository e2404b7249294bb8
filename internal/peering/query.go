package peering

import (
	"slices"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

const (
	// queriesAnswered is how many QUERIES of one peer are answered in a second:
	// people ask, and each takes a walk over a table.
	queriesAnswered = 4
	queryInterval   = time.Second
	// maxLookups is how many are looked up at once.
	maxLookups = 2
	// maxInquiries is how many questions of ours are open at once.
	maxInquiries = 4
)

// Finder looks for objects that a peer asked for.
type Finder interface {
	// Find begins to look. It does not wait: what was found goes to
	// [Node.Found].
	Find(Lookup)
}

// Lookup is a QUERY of a peer.
type Lookup struct {
	Peer     block.Peer
	Query    uint32
	Class    block.Class
	Selector []byte
	Room     int // for the ADVERT blocks of block.MaxObjects objects, in bytes
}

// Findings are what was found.
type Findings struct {
	Marks   []block.Marks // of each object, block.MaxObjects at most
	Objects []byte        // ADVERT blocks
	More    bool          // there are more
	Failed  bool          // the class is not here, or cannot be read
	// Adverts are how long ago each was told of last, negative where that is
	// not known; nil where it is of none. See block.Answer.
	Adverts []time.Duration
}

// lookup is one that is under way.
type lookup struct {
	peer  block.Peer
	query uint32
}

// answerRoom is what is left for objects in an ANSWER that is alone in a body,
// but for the LAST ADVERTS.
func (n *Node) answerRoom() int {
	return n.room - block.HeaderSize - block.LastAdvertsSize(block.MaxObjects) - block.AnswerOverhead(block.MaxObjects)
}

// takeQuery has somebody look for what a peer asks for.
func (n *Node) takeQuery(now time.Time, p *peer, q *block.Query) {
	l := lookup{p.id, q.Query}
	switch {
	case q.Peer.Sender != n.cfg.Self.Sender:
		return
	case q.Peer.Start != n.cfg.Self.Start:
		n.counters.Troubles.Add(QueryStale, 1)
		return
	case slices.Contains(n.lookups, l):
		return // it came again
	case !p.queries.pass(now, queryInterval, queriesAnswered), len(n.lookups) >= maxLookups:
		n.counters.Troubles.Add(QueriesIgnored, 1)
		return
	}
	n.lookups = append(n.lookups, l)
	asked := Lookup{Peer: p.id, Query: q.Query, Class: q.Class, Selector: slices.Clone(q.Selector), Room: n.answerRoom()}
	if n.Finder == nil {
		n.Found(&asked, &Findings{Failed: true})
		return
	}
	n.Finder.Find(asked)
}

// Found answers a peer, if it is there still.
func (n *Node) Found(l *Lookup, f *Findings) {
	i := slices.Index(n.lookups, lookup{l.Peer, l.Query})
	if i < 0 {
		return
	}
	n.lookups = slices.Delete(n.lookups, i, i+1)
	p := n.peers.index[l.Peer]
	if p == nil || !p.live() {
		return
	}
	answer := block.Answer{Peer: p.id, Query: l.Query, More: f.More, Failed: f.Failed, Marks: f.Marks}
	objects, adverts := f.Objects, f.Adverts
	if len(objects) > n.answerRoom() { // links take less than they did
		answer.Marks, answer.Failed, objects, adverts = nil, true, nil, nil
	}
	body, err := n.begin(), error(nil)
	if len(adverts) > 0 {
		body, err = block.AppendLastAdverts(body, &block.LastAdverts{Peer: p.id, Query: l.Query, Ago: adverts})
	}
	if err == nil {
		body, err = block.AppendAnswer(body, &answer, objects)
	}
	if err != nil {
		body, _ = block.AppendAnswer(n.begin(), &block.Answer{Peer: p.id, Query: l.Query, Failed: true}, nil)
	}
	n.unicast(p, body)
	n.counters.Counts.Add(SentAnswers, 1)
}

// Inquiry is a question of ours to all peers.
type Inquiry struct {
	query    uint32
	class    block.Class
	selector []byte
	take     func(block.Peer, *block.Answer)
	open     []block.Peer // they have not answered
}

// Open returns the peers that have not answered yet.
func (q *Inquiry) Open() []block.Peer { return q.open }

// Inquire asks all peers that are there for objects of a class. Each answer goes
// to take; its memory is valid during the call. It returns nil where too many
// questions are open already. A question is open until it is closed.
func (n *Node) Inquire(class block.Class, selector []byte, take func(block.Peer, *block.Answer)) *Inquiry {
	if len(n.inquiries) >= maxInquiries {
		return nil
	}
	q := &Inquiry{query: uint32(n.Random.Uint64()) | 1, class: class, selector: selector, take: take}
	for _, p := range n.peers.all {
		if p.live() {
			q.open = append(q.open, p.id)
		}
	}
	n.inquiries = append(n.inquiries, q)
	n.AskAgain(q)
	return q
}

// AskAgain asks those that have not answered.
func (n *Node) AskAgain(q *Inquiry) {
	for _, id := range q.open {
		p := n.peers.index[id]
		if p == nil || !p.live() {
			continue
		}
		body, err := block.AppendQuery(n.begin(), &block.Query{Peer: id, Query: q.query, Class: q.class, Selector: q.selector})
		if err != nil {
			continue // a selector that is too long
		}
		n.unicast(p, body)
		n.counters.Counts.Add(SentQueries, 1)
	}
}

// CloseInquiry forgets a question.
func (n *Node) CloseInquiry(q *Inquiry) {
	if i := slices.Index(n.inquiries, q); i >= 0 {
		n.inquiries = slices.Delete(n.inquiries, i, i+1)
	}
}

// takeAnswer takes the first answer of each peer that was asked, with the LAST
// ADVERTS before it, if there is one.
func (n *Node) takeAnswer(p *peer, b, before block.Block) {
	a, _ := b.Answer()
	if before.Type == block.TypeLastAdverts {
		if l, _ := before.LastAdverts(); l.Peer == a.Peer && l.Query == a.Query && len(l.Ago) == len(a.Marks) {
			a.Adverts = l.Ago
		}
	}
	if a.Peer != n.cfg.Self {
		return
	}
	for _, q := range n.inquiries {
		if q.query != a.Query {
			continue
		}
		if i := slices.Index(q.open, p.id); i >= 0 {
			q.open = slices.Delete(q.open, i, i+1)
			q.take(p.id, &a)
			return
		}
	}
	n.counters.Troubles.Add(AnswerUnasked, 1)
}
