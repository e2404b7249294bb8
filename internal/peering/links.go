package peering

import "time"

// maxLinks is how many links are told apart.
const maxLinks = 4

// link is one way that a peer's frames come.
type link struct {
	top    uint64    // highest frame number that came this way
	seen   uint64    // bit i: top-i did
	heard  time.Time // the last one that was new on this way; zero: never
	silent bool
	probed probed
}

// links of one peer.
type links [maxLinks]link

// take notes that a frame came over a link. It reports whether its number is
// new there, among the last 64: then it is no replay, even if another link was
// faster.
func (l *links) take(now time.Time, at int, number uint64) (isNew, back bool) {
	if at < 0 || at >= len(l) {
		return false, false
	}
	k := &l[at]
	switch behind := k.top - number; {
	case number > k.top:
		k.seen = k.seen<<(number-k.top) | 1 // none, where it is 64 and more
		k.top = number
	case behind >= 64, k.seen&(1<<behind) != 0:
		return false, false
	default:
		k.seen |= 1 << behind
	}
	back = k.silent
	k.heard, k.silent = now, false
	return true, back
}

// begin says that over a link a frame proved its peer's freshness: what was sent
// before it came before, or does not count.
func (l *links) begin(now time.Time, at int, number uint64) {
	if at >= 0 && at < len(l) {
		l[at] = link{top: number, seen: ^uint64(0), heard: now}
	}
}

// tickLinks finds out which links of a live peer fell silent while others did
// not.
func (n *Node) tickLinks(now time.Time, p *peer) {
	for i := range p.links {
		k := &p.links[i]
		if k.heard.IsZero() || k.silent {
			continue
		}
		if silent := now.Sub(k.heard); silent >= p.silence() {
			k.silent = true
			n.counters.Troubles.Add(LinksSilent, 1)
			n.tellOfLink(LinkSilent, p, i)
			continue
		}
		n.wake(k.heard.Add(p.silence()))
	}
}

func (n *Node) tellOfLink(kind Kind, p *peer, at int) {
	e := n.event(kind, p)
	e.Origin.Link = at
	n.Observer.Event(e)
}
