package conntrackclass

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"net/netip"
	"time"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

// copies are the entries that peers told of.
type copies struct {
	seed  maphash.Seed
	since time.Time // the table began
	max   int
	all   map[uint64]copied
	swept time.Time // when those that expired were looked for last
}

// copied is what a copy was made of. asOf is milliseconds since the table began:
// half the memory of times.
type copied struct {
	asOf    int64  // when its owner saw a packet
	timeout uint32 // milliseconds that it lives from then on, if there is none here
	age     uint32 // milliseconds that it had when it was heard of
}

// till is when it expires.
func (c copied) till() int64 { return c.asOf + int64(c.timeout) }

// heard is when a peer spoke of it last.
func (c copied) heard() int64 { return c.asOf + int64(c.age) }

// sweepCopiesEvery is how often what expired is forgotten, where the kernel did
// not tell.
const sweepCopiesEvery = time.Minute

func newCopies(limit int) copies {
	return copies{seed: maphash.MakeSeed(), since: time.Now(), max: limit, all: make(map[uint64]copied)}
}

// hash returns what an entry is known by here. That two have the same is as
// likely as a bit that turns in memory.
func (c *copies) hash(e *conntrack.Entry) uint64 {
	var p [48]byte
	put := func(at int, a netip.AddrPort) {
		addr := a.Addr().As16()
		copy(p[at:], addr[:])
		binary.NativeEndian.PutUint16(p[at+16:], a.Port())
	}
	put(0, e.Original.Source)
	put(18, e.Original.Destination)
	p[36] = uint8(e.Protocol)
	binary.NativeEndian.PutUint16(p[38:], e.Zones.Original)
	binary.NativeEndian.PutUint16(p[40:], e.Zones.Reply)
	return maphash.Bytes(c.seed, p[:])
}

func (c *copies) milliseconds(t time.Time) int64 { return t.Sub(c.since).Milliseconds() }

// time is the other way round.
func (c *copies) time(milliseconds int64) time.Time {
	return c.since.Add(time.Duration(milliseconds) * time.Millisecond)
}

// put keeps a copy, and reports whether there was room.
func (c *copies) put(hash uint64, e *conntrack.Entry, now time.Time) bool {
	if _, ok := c.all[hash]; !ok && len(c.all) >= c.max {
		return false
	}
	c.all[hash] = copied{c.milliseconds(now.Add(-e.Age)), milliseconds(e.Timeout), milliseconds(e.Age)}
	return true
}

// milliseconds within what 32 bits hold, 49 days: more is not on the wire.
func milliseconds(d time.Duration) uint32 {
	return uint32(min(max(d.Milliseconds(), 0), math.MaxUint32))
}

// slack is what rounding to seconds may add to what is left.
const slack = 1500 * time.Millisecond

// untouched reports whether a copy has had no packet here, with so much left of
// its time.
func (c copied) untouched(left time.Duration, now int64) bool {
	return left <= time.Duration(c.till()-now)*time.Millisecond+slack
}

// put sets timeout and age of an entry that is this copy.
func (c copied) put(e *conntrack.Entry, now int64) {
	e.Timeout = time.Duration(c.timeout) * time.Millisecond
	e.Age = time.Duration(now-c.asOf) * time.Millisecond
}

// sweep forgets copies that expired long ago.
func (c *copies) sweep(now time.Time) {
	if now.Sub(c.swept) < sweepCopiesEvery {
		return
	}
	c.swept = now
	before := c.milliseconds(now.Add(-sweepCopiesEvery))
	for hash, one := range c.all {
		if one.till() < before {
			delete(c.all, hash)
		}
	}
}
