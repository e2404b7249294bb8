package peering

import "time"

// announce tells the group of everything that this director owns.
type announce struct {
	backoff
	wanted bool
	walk   Walk
}

// Announce advertises everything that this director owns again: the kernel's
// queue lost news of it, or peers were out of reach.
func (n *Node) Announce(now time.Time) {
	n.announce.wanted = true
	n.wake(now)
}

// tickAnnounce begins when it is time. What is asked for during one leads to
// another one: what it has passed may be wrong.
func (n *Node) tickAnnounce(now time.Time) {
	a := &n.announce
	if !a.wanted || a.walk != nil {
		return
	}
	if now.Before(a.notBefore) {
		n.wake(a.notBefore)
		return
	}
	a.wanted = false
	walk, err := n.Source.Walk(n.cfg.Classes, true)
	if err != nil {
		n.announceFailed(now, err)
		return
	}
	a.walk = walk
	n.counters.Counts.Add(Announcements, 1)
	n.wakeForRepairs(now)
}

// announceMore sends the next part.
func (n *Node) announceMore(now time.Time) {
	a := &n.announce
	body, more, err := a.walk.Read(n.begin(), n.room)
	if err == nil && len(body) > len(n.begin()) {
		n.advertise(now, now, body)
		n.counters.Counts.Add(SentAnnounced, 1)
	}
	if err == nil && more {
		return
	}
	a.walk.Close()
	a.walk = nil
	if err != nil {
		n.announceFailed(now, err)
		return
	}
	a.ended(now)
	n.wake(now)
}

// announceFailed plans to try again.
func (n *Node) announceFailed(now time.Time, err error) {
	n.counters.Troubles.Add(AnnouncingFailed, 1)
	e := n.event(AnnouncingFailedEvent, nil)
	e.Err = err
	n.Observer.Event(e)
	n.announce.wanted = true
	n.announce.ended(now)
	n.wake(n.announce.notBefore)
}
