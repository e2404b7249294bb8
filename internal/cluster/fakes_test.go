package cluster

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// The directors of these tests have tables of numbers, and links of channels.
// Time is that of synctest.

const (
	testPeriod = 50 * time.Millisecond
	testRoom   = 1480
	entrySize  = 8 // key, value
	readSize   = 100
	testClass  = block.Class(7)
)

// lan is one segment: everybody hears everybody else.
type lan struct {
	mu    sync.Mutex
	links []*fakeLink
	lose  func(frame []byte) bool // nil: nothing
	seen  [][]byte                // every frame that was sent to the group
}

type fakeLink struct {
	lan     *lan
	address netip.AddrPort
	in      chan Datagram
	closed  chan struct{}
	once    sync.Once
	broken  error // that Send and Check return
	room    int
}

func (l *lan) join(address string) *fakeLink {
	l.mu.Lock()
	defer l.mu.Unlock()
	link := &fakeLink{
		lan: l, address: netip.AddrPortFrom(netip.MustParseAddr(address), 0),
		in: make(chan Datagram, 4096), closed: make(chan struct{}), room: testRoom,
	}
	l.links = append(l.links, link)
	return link
}

func (l *lan) deliver(from *fakeLink, to netip.AddrPort, frames [][]byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if from.broken != nil {
		return 0, from.broken
	}
	for _, f := range frames {
		if len(f) > from.room {
			panic("a frame that is too long for the link")
		}
		if !to.IsValid() {
			l.seen = append(l.seen, bytes.Clone(f))
		}
		if l.lose != nil && l.lose(f) {
			continue
		}
		for _, link := range l.links {
			if link == from || to.IsValid() && to != link.address {
				continue
			}
			select {
			case <-link.closed:
			case link.in <- Datagram{bytes.Clone(f), from.address}:
			default: // its buffer is full
			}
		}
	}
	return len(frames), nil
}

func (l *fakeLink) Send(frames [][]byte) (int, error) {
	return l.lan.deliver(l, netip.AddrPort{}, frames)
}

func (l *fakeLink) SendTo(to netip.AddrPort, frames [][]byte) (int, error) {
	return l.lan.deliver(l, to, frames)
}

func (l *fakeLink) Receive() ([]Datagram, error) {
	select {
	case d := <-l.in:
		return []Datagram{d}, nil
	case <-l.closed:
		return nil, errors.New("told to stop receiving")
	}
}

func (l *fakeLink) Unblock() { l.once.Do(func() { close(l.closed) }) }

func (l *fakeLink) Check() (bool, error) {
	l.lan.mu.Lock()
	defer l.lan.mu.Unlock()
	return true, l.broken
}

func (l *fakeLink) Room() int {
	l.lan.mu.Lock()
	defer l.lan.mu.Unlock()
	return l.room
}

func (l *fakeLink) Close() error { l.Unblock(); return nil }

func (l *fakeLink) do(f func(*fakeLink)) {
	l.lan.mu.Lock()
	defer l.lan.mu.Unlock()
	f(l)
}

// kernel is a table, and a queue of what changed in it.
type kernel struct {
	mu       sync.Mutex
	table    map[uint32]uint32
	owned    map[uint32]bool
	queue    []uint32
	due      []uint32
	lost     bool
	pause    error
	failing  error
	lack     map[uint32]bool // keys without a service
	missing  int
	services uint64
	opens    int
	slow     time.Duration // that a reading takes
	held     time.Duration // the longest that entries of peers had been held for
}

func newKernel() *kernel {
	return &kernel{table: map[uint32]uint32{}, owned: map[uint32]bool{}, lack: map[uint32]bool{}}
}

func (k *kernel) do(f func(*kernel)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(k)
}

// set is what packets do.
func (k *kernel) set(key, value uint32) {
	k.do(func(k *kernel) {
		k.table[key], k.owned[key] = value, true
		if !slices.Contains(k.queue, key) {
			k.queue = append(k.queue, key)
		}
	})
}

func (k *kernel) copy() map[uint32]uint32 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.table)
}

func (k *kernel) open() (Objects, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failing != nil {
		return nil, k.failing
	}
	k.opens++
	return &fakeObjects{kernel: k}, nil
}

type fakeObjects struct {
	kernel *kernel
	keep   [][2]uint32
}

func (o *fakeObjects) Class() block.Class { return testClass }

func appendEntries(body []byte, entries [][2]uint32) []byte {
	start := len(body)
	body = block.BeginAdvert(body, testClass)
	for _, e := range entries {
		body = binary.BigEndian.AppendUint32(body, e[0])
		body = binary.BigEndian.AppendUint32(body, e[1])
	}
	if err := block.EndAdvert(body, start, len(entries)); err != nil {
		panic(err)
	}
	return body
}

func (o *fakeObjects) News(out *Outbox) (r Reading, err error) {
	var slow time.Duration
	o.kernel.do(func(k *kernel) { slow = k.slow })
	defer func() { time.Sleep(slow) }()
	o.kernel.do(func(k *kernel) {
		if err = k.failing; err != nil {
			return
		}
		r.Pause, r.Lost, k.lost = k.pause, k.lost, false
		if k.pause != nil {
			return
		}
		n := min(len(k.queue), readSize)
		var entries [][2]uint32
		for _, key := range k.queue[:n] {
			entries = append(entries, [2]uint32{key, k.table[key]})
		}
		k.queue = k.queue[n:]
		r.Entries, r.More = n, n == readSize
		for some := range slices.Chunk(entries, 50) {
			out.Add(appendEntries(out.Body(), some))
		}
	})
	return r, err
}

type fakeWalk struct{ rest [][2]uint32 }

func (o *fakeObjects) Walk(kind Kind) (peering.Walk, error) {
	w := &fakeWalk{}
	o.kernel.do(func(k *kernel) {
		for _, key := range slices.Sorted(maps.Keys(k.table)) {
			if kind == All || kind == Owned && k.owned[key] || kind == Due && slices.Contains(k.due, key) {
				w.rest = append(w.rest, [2]uint32{key, k.table[key]})
			}
		}
		if kind == Due {
			k.due = nil
		}
	})
	return w, nil
}

func (w *fakeWalk) Read(body []byte, limit int) ([]byte, bool, error) {
	n := min(len(w.rest), (limit-len(body)-block.HeadSize-block.AdvertHeaderSize)/entrySize, 50)
	if n > 0 {
		body = appendEntries(body, w.rest[:n])
		w.rest = w.rest[n:]
	}
	return body, len(w.rest) > 0, nil
}

func (w *fakeWalk) Close() {}

func (o *fakeObjects) SweepEvery() (time.Duration, error) { return 2 * time.Second, nil }

func (o *fakeObjects) Entries() (n int) {
	o.kernel.do(func(k *kernel) { n = len(k.table) })
	return n
}

func (o *fakeObjects) Apply(blocks block.Blocks, _ time.Duration) error {
	var b block.Block
	for blocks.Next(&b) {
		a, err := b.Advert()
		if b.Type != block.TypeAdvert || err != nil || a.Class != testClass {
			continue
		}
		o.kernel.do(func(k *kernel) { k.held = max(k.held, a.Held) })
		for p := a.Entries; len(p) >= entrySize; p = p[entrySize:] {
			o.keep = append(o.keep, [2]uint32{binary.BigEndian.Uint32(p), binary.BigEndian.Uint32(p[4:])})
		}
	}
	return nil
}

func (o *fakeObjects) Flush() (err error) {
	o.kernel.do(func(k *kernel) {
		if err = k.failing; err != nil {
			return
		}
		for _, e := range o.keep {
			if k.lack[e[0]] {
				k.missing++
			} else if !k.owned[e[0]] {
				k.table[e[0]] = e[1]
			}
		}
		o.keep = o.keep[:0]
	})
	return err
}

func (o *fakeObjects) Missing() (n int) {
	o.kernel.do(func(k *kernel) { n, k.missing = k.missing, 0 })
	return n
}

func (o *fakeObjects) Services() (n uint64, err error) {
	o.kernel.do(func(k *kernel) { n = k.services })
	return n, nil
}

func (o *fakeObjects) Close() error { return nil }

// host is a director with what it works on.
type host struct {
	*Director
	kernel *kernel
	log    *bytes.Buffer
	links  []*fakeLink // that are open, or were
	stop   func() error
}

var discard = slog.New(slog.DiscardHandler)

var testKeys = Keys{Seal: frame.NewKey([frame.KeySize]byte{1})}

func testSettings() Settings { return Settings{Period: testPeriod, MaxPPS: 10000, Keys: testKeys} }

// start starts a director with a link to each of the segments.
func start(t *testing.T, number int, k *kernel, s Settings, lans ...*lan) *host {
	t.Helper()
	h := &host{kernel: k, log: new(bytes.Buffer)}
	parts := Parts{Objects: []func() (Objects, error){k.open}, Tables: []Table{fakeTable{k}}}
	for i, l := range lans {
		parts.Links = append(parts.Links, func() (Link, error) {
			link := l.join(fmt.Sprintf("10.0.%d.%d", i, number))
			h.links = append(h.links, link)
			return link, nil
		})
	}
	cfg := Config{SyncID: 7, Sender: uint32(number), Name: fmt.Sprintf("dir%d", number)}
	var err error
	h.Director, err = New(cfg, parts, s, slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	h.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := h.stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("dir%d:\n%s", number, h.log)
		}
	})
	return h
}

// pass lets time pass.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// state is what a director says of its completeness.
func (h *host) state(t *testing.T) block.State {
	t.Helper()
	return h.status(t).State
}

// failing is what a director says that it cannot use.
func (h *host) failing(t *testing.T) map[block.Class]error {
	t.Helper()
	return h.status(t).Failing
}

func (h *host) status(t *testing.T) peering.Status {
	t.Helper()
	s, err := h.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}
