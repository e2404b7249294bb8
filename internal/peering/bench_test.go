package peering

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// idleHost is a host that takes everything and does nothing with it.
type idleHost struct{}

func (idleHost) Multicast([]byte)                        {}
func (idleHost) Unicast(Origin, []byte)                  {}
func (idleHost) Probe(int, []byte)                       {}
func (idleHost) Apply(block.Blocks, time.Duration) error { return nil }
func (idleHost) Settle() int                             { return 0 }
func (idleHost) Entries() int                            { return 0 }
func (idleHost) Walk(block.Classes, bool) (Walk, error)  { return nil, errBroken }
func (idleHost) Event(Event)                             {}

func newIdle(id uint32) *Node {
	return New(Config{
		Self: block.Peer{Sender: id, Start: block.StartID{byte(id)}}, Room: 1400, Classes: block.ClassesOf(block.ClassIPVS), MaxPPS: 1 << 30,
	}, Parts{
		Network: idleHost{}, Sink: idleHost{}, Source: idleHost{}, Observer: idleHost{}, Random: rand.NewPCG(1, uint64(id)),
	}, epoch)
}

// provenPeer returns a node that takes frames of a peer from number 1 and
// sequence 1 on.
func provenPeer() (*Node, block.Peer) {
	n, id := newIdle(1), block.Peer{Sender: 2, Start: block.StartID{2}}
	p := n.meet(epoch, id)
	n.prove(epoch, p, 1)
	n.takeHeartbeat(epoch, p, &block.Heartbeat{State: block.StateSynced, Interval: time.Second})
	return n, id
}

// advertBody is a full frame.
func advertBody() []byte {
	body := block.BeginAdvert(make([]byte, block.HeaderSize), block.ClassIPVS)
	body = append(body, make([]byte, 1300)...)
	if err := block.EndAdvert(body, block.HeaderSize, 100); err != nil {
		panic(err)
	}
	return body
}

// A frame with news of a proven peer, the one that comes next.
func receive(n *Node, id block.Peer, raw []byte, i uint64) {
	h := block.Header{Peer: id, Number: 1 + i}
	h.Put(raw)
	block.Stamp(raw, i, 0)
	body, err := block.Parse(raw)
	if err != nil {
		panic(err)
	}
	n.Receive(epoch, Origin{}, &body)
}

func BenchmarkReceiveAdvert(b *testing.B) {
	n, id := provenPeer()
	raw := advertBody()
	b.ReportAllocs()
	for i := uint64(1); b.Loop(); i++ {
		receive(n, id, raw, i)
	}
}

func BenchmarkAdvertise(b *testing.B) {
	n, raw := newIdle(1), advertBody()
	b.ReportAllocs()
	for b.Loop() {
		n.Advertise(epoch, epoch, raw)
	}
}

// With 63 peers, and nothing to do.
func BenchmarkTick(b *testing.B) {
	n := newIdle(1)
	for i := range uint32(maxPeers) {
		n.prove(epoch, n.meet(epoch, block.Peer{Sender: i + 2}), 1)
	}
	b.ReportAllocs()
	for b.Loop() {
		n.Tick(epoch)
	}
}

func TestTheSteadyPathDoesNotAllocate(t *testing.T) {
	n, id := provenPeer()
	raw := advertBody()
	i := uint64(0)
	for name, f := range map[string]func(){
		"a frame that comes next":     func() { i++; receive(n, id, raw, i) },
		"a frame that came before":    func() { receive(n, id, raw, 1) },
		"one missing, and filled":     func() { receive(n, id, raw, i+2); receive2(n, id, raw, i+3, i+1); i += 3 },
		"a frame of ours":             func() { receive(n, n.cfg.Self, raw, 1) },
		"news":                        func() { n.Advertise(epoch, epoch, raw) },
		"a heartbeat, and the timers": func() { n.heartbeat.due = epoch; n.Tick(epoch) },
	} {
		f()
		if allocs := testing.AllocsPerRun(100, f); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

// receive2 is a frame that is sent again: its number is a new one.
func receive2(n *Node, id block.Peer, raw []byte, number, sequence uint64) {
	h := block.Header{Peer: id, Number: 1 + number}
	h.Put(raw)
	block.Stamp(raw, sequence, 0)
	body, err := block.Parse(raw)
	if err != nil {
		panic(err)
	}
	n.Receive(epoch, Origin{}, &body)
}
