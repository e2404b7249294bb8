package cluster

import (
	"errors"
	"net/netip"
	"syscall"

	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// outLimit is how many frames are collected before they are sent.
const outLimit = 64

// network seals what the node sends, and sends it in batches: it is
// peering.Network.
type network struct {
	director *Director
	sealer   *frame.Sealer
	keys     *Keys // that the sealer is for

	frames  [][]byte // sealed, in buffers that are used again
	sealed  int      // how many of them wait
	targets []target // where each goes to
}

// target is one peer, or the group on one link or on all.
type target struct {
	group bool
	link  int
	to    netip.AddrPort
}

const everyLink = -1

// Multicast is peering.Network's.
func (n *network) Multicast(body []byte) { n.put(body, target{group: true, link: everyLink}) }

// Probe is peering.Network's.
func (n *network) Probe(link int, body []byte) { n.put(body, target{group: true, link: link}) }

// Unicast is peering.Network's.
func (n *network) Unicast(to peering.Origin, body []byte) {
	n.put(body, target{link: to.Link, to: to.Addr})
}

func (n *network) put(body []byte, to target) {
	d := n.director
	if keys := &d.settings.Load().Keys; keys != n.keys {
		sealer, err := keys.sealer(d.cfg.SyncID)
		if err != nil { // Set has tried them
			d.counters.Troubles.Add(Unsent, 1)
			return
		}
		n.sealer, n.keys = sealer, keys
	}
	if n.sealed == outLimit {
		n.flush()
	}
	if n.sealed == len(n.frames) {
		n.frames = append(n.frames, nil)
	}
	sealed, err := n.sealer.Seal(n.frames[n.sealed][:0], body)
	n.frames[n.sealed] = sealed
	switch {
	case errors.Is(err, frame.ErrTooLong):
		d.counters.Troubles.Add(TooLong, 1)
		return
	case err != nil:
		d.counters.Troubles.Add(NoRandom, 1)
		return
	}
	n.sealed++
	n.targets = append(n.targets, to)
}

// flush sends what was collected, in order as far as one target is concerned.
func (n *network) flush() {
	for first := 0; first < n.sealed; {
		end := first + 1
		for end < n.sealed && n.targets[end] == n.targets[first] {
			end++
		}
		n.send(n.frames[first:end], n.targets[first])
		first = end
	}
	n.sealed, n.targets = 0, n.targets[:0]
}

func (n *network) send(frames [][]byte, to target) {
	links := n.director.links
	if to.link != everyLink {
		if to.link < 0 || to.link >= len(links) {
			return
		}
		links = links[to.link : to.link+1]
	}
	for _, l := range links {
		if l.link == nil {
			n.director.counters.Troubles.Add(Unsent, len(frames))
			continue
		}
		n.sendOn(l, frames, to)
	}
}

// sendOn sends frames over one link. One that is too long for it is passed
// over: it was built for another room, and what it said is told again.
func (n *network) sendOn(l *way, frames [][]byte, to target) {
	c := n.director.counters
	for len(frames) > 0 {
		var sent int
		var err error
		if to.group {
			sent, err = l.link.Send(frames)
		} else {
			sent, err = l.link.SendTo(to.to, frames)
		}
		bytes := 0
		for _, f := range frames[:sent] {
			bytes += len(f)
		}
		c.Counts.Add(SentFrames, sent)
		c.Counts.Add(SentBytes, bytes)
		frames = frames[sent:]
		switch {
		case err == nil:
			return
		case errors.Is(err, syscall.EMSGSIZE):
			c.Troubles.Add(TooLong, 1)
			frames = frames[1:]
		default:
			c.Troubles.Add(Unsent, len(frames))
			if to.group {
				n.director.linkFailed(l, err)
			}
			return
		}
	}
}
