package transport

import "sync"

// Interfaces are those that the links of one director are open on. A socket gets
// what comes in on any of them, and the link there gets it, too: for the others
// it is nothing to count. The zero value is ready; links add and remove their own.
type Interfaces struct {
	mu    sync.Mutex
	links map[medium]int
}

// medium is what a link hears.
type medium struct {
	ifIndex  int
	protocol int
	port     int
	ipv6     bool
}

func (o *Options) medium(ifIndex int) medium {
	return medium{ifIndex: ifIndex, protocol: o.Protocol, port: o.Port, ipv6: o.ipv6()}
}

func (i *Interfaces) add(m medium) {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.links == nil {
		i.links = make(map[medium]int)
	}
	i.links[m]++
}

func (i *Interfaces) remove(m medium) {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.links[m]--; i.links[m] == 0 {
		delete(i.links, m)
	}
}

// has reports whether a link hears it.
func (i *Interfaces) has(m medium) bool {
	if i == nil {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.links[m] > 0
}
