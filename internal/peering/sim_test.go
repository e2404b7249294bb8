package peering

import (
	"container/heap"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// The simulation: hosts with a table each under the age rule, on a network that
// loses, doubles, delays and reflects. Time is simulated, too.

const (
	simPeriod = 100 * time.Millisecond
	entrySize = 12 // key, value, age
	simRoom   = MinRoom
	// What a body has around it: header, nonce, tag; and around that, IP's header.
	frameOverhead = 52
	overhead      = 20 + frameOverhead
)

// epoch is when every simulation starts.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// row is an entry of a table.
type row struct {
	value uint32
	at    time.Time // of the last packet, as far as is known
	owned bool
}

// delivery is a body on its way.
type delivery struct {
	at    time.Time
	order int
	to    *host
	start int // of the host: what was sent to an earlier one is gone
	from  Origin
	body  []byte
}

type deliveries []*delivery

func (d deliveries) Len() int { return len(d) }
func (d deliveries) Less(i, j int) bool {
	if !d[i].at.Equal(d[j].at) {
		return d[i].at.Before(d[j].at)
	}
	return d[i].order < d[j].order
}
func (d deliveries) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d *deliveries) Push(x any)   { *d = append(*d, x.(*delivery)) }
func (d *deliveries) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}

type world struct {
	testing.TB
	now   time.Time
	rng   *rand.Rand
	hosts []*host
	queue deliveries
	order int

	// What the network does.
	loss, dup, late float64 // late: by 20 to 60 ms more than others
	lossTo          map[*host]float64
	cut             func(a, b *host) bool
	reflect         bool
	links           int                                // what goes to the group goes over all; 0 is 1
	slow            func(link int) time.Duration       // less than 0: dead
	narrow          func(from, to *host, link int) int // bytes of a body that pass; longer ones are lost
	room            int                                // of a body; 0 is simRoom

	truth map[uint32]uint32
	bytes int                               // on the wire, with entries: each frame once
	spy   func(from, to *host, body []byte) // of what is sent; to is nil for the group
}

// host is one machine, which has one node at a time.
type host struct {
	w      *world
	index  int
	id     uint32
	addr   Origin
	starts int
	random *rand.ChaCha8
	pps    int
	ring   int // bytes

	node   *Node // nil: down
	period time.Time
	table  map[uint32]row
	dirty  []uint32 // keys with news
	behind [][]byte // bodies that wait for the pace
	lacks  func(key uint32) bool
	missed int
	events []Event
	broken bool // its source
	walks  int  // that are open
}

// newWorld has hosts that are down.
func newWorld(t testing.TB, seed uint64, hosts int) *world {
	w := &world{
		TB: t, now: epoch, rng: rand.New(rand.NewPCG(seed, 1)), lossTo: map[*host]float64{}, truth: map[uint32]uint32{},
	}
	for i := range hosts {
		w.addHost(uint32(i+1), seed)
	}
	return w
}

func (w *world) addHost(id uint32, seed uint64) *host {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	h := &host{w: w, index: len(w.hosts), id: id, pps: 2000, ring: 1 << 20, table: map[uint32]row{}}
	binary.BigEndian.PutUint32(key[8:], uint32(h.index))
	h.random = rand.NewChaCha8(key)
	h.addr = Origin{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 3, byte(h.index + 1)}), 114)}
	w.hosts = append(w.hosts, h)
	return h
}

// start starts the daemon of a host.
func (h *host) start() {
	h.starts++
	var start block.StartID
	binary.BigEndian.PutUint64(start[:], h.random.Uint64())
	binary.BigEndian.PutUint64(start[8:], h.random.Uint64())
	h.node = New(Config{
		Self: block.Peer{Sender: h.id, Start: start}, Name: fmt.Sprintf("host%d", h.index), Room: h.w.bodyRoom(), Overhead: frameOverhead, Links: h.w.links,
		Classes: block.ClassesOf(block.ClassIPVS), MaxPPS: h.pps, RingBytes: h.ring,
	}, Parts{Network: h, Sink: h, Source: h, Observer: h, Random: h.random}, h.w.now)
	h.period = h.w.now.Add(time.Duration(h.w.rng.Int64N(int64(simPeriod))))
}

// stop stops the daemon: the table stays.
func (h *host) stop() { h.node, h.dirty, h.behind = nil, nil, nil }

// die takes the power away.
func (h *host) die() {
	h.stop()
	h.table = map[uint32]row{}
}

// update is a packet of a connection on this host.
func (h *host) update(key uint32) {
	h.w.truth[key]++
	h.table[key] = row{h.w.truth[key], h.w.now, true}
	h.dirty = append(h.dirty, key)
}

// fill gives a host a table that it owns.
func (h *host) fill(from, count uint32) {
	for key := from; key < from+count; key++ {
		h.w.truth[key]++
		h.table[key] = row{h.w.truth[key], h.w.now, true}
	}
}

// know gives a host copies of what another owns.
func (h *host) know(other *host) {
	for key, r := range other.table {
		if r.owned {
			h.table[key] = row{r.value, r.at, false}
		}
	}
}

// appendEntries appends an ADVERT of as many entries as fit.
func (h *host) appendEntries(body []byte, limit int, keys []uint32) ([]byte, int) {
	room := (limit - len(body) - block.HeadSize - block.AdvertHeaderSize) / entrySize
	count := min(room, len(keys))
	if count == 0 {
		return body, 0
	}
	start := len(body)
	body = block.BeginAdvert(body, block.ClassIPVS)
	for _, key := range keys[:count] {
		r := h.table[key]
		body = binary.BigEndian.AppendUint32(body, key)
		body = binary.BigEndian.AppendUint32(body, r.value)
		body = binary.BigEndian.AppendUint32(body, uint32(h.w.now.Sub(r.at)/time.Millisecond))
	}
	if err := block.EndAdvert(body, start, count); err != nil {
		h.w.Fatal(err)
	}
	return body, count
}

// read does what the daemon does every period.
func (h *host) read() {
	h.period = h.w.now.Add(simPeriod)
	slices.Sort(h.dirty)
	keys := slices.Compact(h.dirty)
	for len(keys) > 0 {
		body, count := h.appendEntries(make([]byte, block.HeaderSize), h.node.Room(), keys)
		keys = keys[count:]
		h.behind = append(h.behind, body)
	}
	h.dirty = h.dirty[:0]
}

// tick sends news, and does what is due.
func (h *host) tick() {
	if !h.w.now.Before(h.period) {
		h.read()
	}
	for ready := h.node.Ready(h.w.now); ready > 0 && len(h.behind) > 0; ready-- {
		h.node.Advertise(h.w.now, h.w.now, h.behind[0])
		h.behind = h.behind[1:]
	}
	h.node.Tick(h.w.now)
}

func (h *host) next() time.Time {
	next := h.node.Next()
	if h.period.Before(next) {
		next = h.period
	}
	if len(h.behind) > 0 {
		if at := h.w.now.Add(time.Millisecond); at.Before(next) {
			next = at
		}
	}
	return next
}

// Multicast is what a node sends.
func (h *host) Multicast(body []byte) {
	h.w.account(body)
	if h.w.spy != nil {
		h.w.spy(h, nil, body)
	}
	for _, to := range h.w.hosts {
		if to != h || h.w.reflect {
			for link := range max(h.w.links, 1) {
				h.w.post(h, to, link, body)
			}
		}
	}
}

// Unicast is what a node sends.
func (h *host) Unicast(to Origin, body []byte) {
	h.w.account(body)
	for _, other := range h.w.hosts {
		if other.addr.Addr == to.Addr {
			if h.w.spy != nil {
				h.w.spy(h, other, body)
			}
			h.w.post(h, other, to.Link, body)
		}
	}
}

// Probe is what a node sends.
func (h *host) Probe(link int, body []byte) {
	h.w.account(body)
	for _, to := range h.w.hosts {
		if to != h {
			h.w.post(h, to, link, body)
		}
	}
}

func (w *world) bodyRoom() int { return max(w.room, simRoom) }

func (w *world) account(body []byte) {
	if len(body) > w.bodyRoom() {
		w.Fatalf("a body of %d bytes, the largest may have %d", len(body), w.bodyRoom())
	}
	parsed, err := block.Parse(body)
	if err != nil {
		w.Fatalf("a node sends what is no body: %v", err)
	}
	var b block.Block
	for blocks := parsed.Blocks(); blocks.Next(&b); {
		if b.Type == block.TypeAdvert {
			w.bytes += len(body) + overhead
			return
		}
	}
}

// post puts a body on its way, or loses it.
func (w *world) post(from, to *host, link int, body []byte) {
	if to.node == nil || w.cut != nil && w.cut(from, to) || w.narrow != nil && len(body) > w.narrow(from, to, link) {
		return
	}
	copies := 1
	if w.rng.Float64() < w.dup {
		copies = 2
	}
	loss := w.loss
	if l, ok := w.lossTo[to]; ok {
		loss = l
	}
	for range copies {
		if w.rng.Float64() < loss {
			continue
		}
		delay := time.Duration(100+w.rng.IntN(400)) * time.Microsecond
		if w.rng.Float64() < w.late {
			delay += time.Duration(20+w.rng.IntN(40)) * time.Millisecond
		}
		if w.slow != nil {
			slow := w.slow(link)
			if slow < 0 {
				continue
			}
			delay += slow
		}
		w.inject(to, Origin{from.addr.Addr, link}, body, delay)
	}
}

// inject lets a body arrive.
func (w *world) inject(to *host, from Origin, body []byte, delay time.Duration) {
	w.order++
	heap.Push(&w.queue, &delivery{w.now.Add(delay), w.order, to, to.starts, from, slices.Clone(body)})
}

// Event keeps what a node tells.
func (h *host) Event(e Event) { h.events = append(h.events, e) }

// happened returns how often something was told.
func (h *host) happened(k Kind) (count int) {
	for _, e := range h.events {
		if e.Kind == k {
			count++
		}
	}
	return count
}

var errBroken = errors.New("broken")

// Apply takes entries under the age rule.
func (h *host) Apply(blocks block.Blocks, held time.Duration) error {
	var b block.Block
	for blocks.Next(&b) {
		if b.Type != block.TypeAdvert {
			continue
		}
		a, err := b.Advert()
		if err != nil || len(a.Entries) != a.Count*entrySize {
			return errBroken
		}
		for p := a.Entries; len(p) > 0; p = p[entrySize:] {
			key, value := binary.BigEndian.Uint32(p), binary.BigEndian.Uint32(p[4:])
			age := time.Duration(binary.BigEndian.Uint32(p[8:])) * time.Millisecond
			if h.lacks != nil && h.lacks(key) {
				h.missed++
				continue
			}
			at := h.w.now.Add(-age - max(a.Held, held))
			if old, ok := h.table[key]; !ok || at.After(old.at) {
				h.table[key] = row{value, at, ok && old.owned && old.value == value}
			}
		}
	}
	return nil
}

// Settle returns how many entries lacked a service.
func (h *host) Settle() int {
	missed := h.missed
	h.missed = 0
	return missed
}

// Entries returns how many there are.
func (h *host) Entries() int { return len(h.table) }

// Walk reads the table as it goes.
func (h *host) Walk(_ block.Classes, owned bool) (Walk, error) {
	if h.broken {
		return nil, errBroken
	}
	keys := slices.Sorted(maps.Keys(h.table))
	if owned {
		keys = slices.DeleteFunc(keys, func(k uint32) bool { return !h.table[k].owned })
	}
	h.walks++
	return &tableWalk{h, keys}, nil
}

type tableWalk struct {
	h    *host
	keys []uint32
}

func (k *tableWalk) Read(body []byte, limit int) ([]byte, bool, error) {
	if k.h.broken {
		return body, false, errBroken
	}
	body, count := k.h.appendEntries(body, limit, k.keys)
	k.keys = k.keys[count:]
	return body, len(k.keys) > 0, nil
}

func (k *tableWalk) Close() { k.h.walks-- }

// run lets time pass, until a time or until a condition holds.
func (w *world) run(d time.Duration, until ...func() bool) bool {
	end := w.now.Add(d)
	for {
		next := end
		var ticking *host
		for _, h := range w.hosts {
			if h.node != nil {
				if at := h.next(); at.Before(next) {
					next, ticking = at, h
				}
			}
		}
		arrives := len(w.queue) > 0 && !w.queue[0].at.After(next)
		switch {
		case arrives:
			w.arrive(heap.Pop(&w.queue).(*delivery))
		case ticking != nil:
			if next.After(w.now) {
				w.now = next
			}
			ticking.tick()
		default:
			w.now = end
			return len(until) == 0
		}
		for _, done := range until {
			if done() {
				return true
			}
		}
	}
}

func (w *world) arrive(d *delivery) {
	if d.at.After(w.now) {
		w.now = d.at
	}
	if d.to.node == nil || d.to.starts != d.start {
		return
	}
	body, err := block.Parse(d.body)
	if err != nil {
		w.Fatal(err)
	}
	d.to.node.Receive(w.now, d.from, &body)
}

// churn updates random keys of a host's own for a while, so many in each
// period at most.
func (w *world) churn(d time.Duration, perPeriod int, keys uint32, hosts ...*host) {
	for end := w.now.Add(d); w.now.Before(end); {
		for _, h := range hosts {
			if h.node == nil {
				continue
			}
			for range w.rng.IntN(perPeriod + 1) {
				// Each host has keys of its own.
				h.update(uint32(h.index)<<24 | w.rng.Uint32N(keys))
			}
		}
		w.run(simPeriod)
	}
}

func (w *world) startAll() {
	for _, h := range w.hosts {
		h.start()
	}
}

// synced reports whether all that are up say so, of any kind.
func (w *world) synced() bool {
	for _, h := range w.hosts {
		if h.node != nil && h.node.State() == block.StateJoining {
			return false
		}
	}
	return true
}

// differences compares a table with what there is.
func (h *host) differences() (missing, extra, differing int) {
	for key, value := range h.w.truth {
		switch r, ok := h.table[key]; {
		case !ok:
			missing++
		case r.value != value:
			differing++
		}
	}
	for key := range h.table {
		if _, ok := h.w.truth[key]; !ok {
			extra++
		}
	}
	return missing, extra, differing
}

// wantEqual compares the tables of all that are up.
func (w *world) wantEqual() {
	w.Helper()
	for _, h := range w.hosts {
		if h.node == nil {
			continue
		}
		if m, x, d := h.differences(); m+x+d > 0 {
			w.Errorf("host %d, %v, of %d entries: %d missing, %d extra, %d differing", h.index, h.node.State(), len(w.truth), m, x, d)
		}
	}
}

// trouble returns one of a host's counters.
func (h *host) trouble(t Trouble) int { return int(h.node.Counters().Troubles.Value(t)) }

func (h *host) count(c Count) int { return int(h.node.Counters().Counts.Value(c)) }

// more is how many times more seeds there are.
var more = flag.Uint64("seeds", 1, "so many times the seeds of each simulation")

// seeds runs a simulation with different ones.
func seeds(t *testing.T, count uint64, f func(t *testing.T, seed uint64)) {
	for seed := range count * *more {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			f(t, seed)
		})
	}
}
