package peering

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// fuzzed is a node in the middle of everything: it has proven peers, serves a
// snapshot and takes one.
func fuzzed(tb testing.TB) *host {
	w := newWide(tb, 1, 3, 1)
	w.hosts[0].fill(0, 3500)
	w.hosts[0].start()
	w.hosts[1].start()
	w.run(12*time.Second, w.synced)
	h := w.hosts[0]
	w.hosts[2].start()
	w.run(5*time.Second, func() bool { return h.node.Status().Serving > 0 })
	w.cut = func(a, b *host) bool { return a != h }
	for key := range uint32(100) {
		h.update(key)
	}
	h.node.Resync(w.now, w.hosts[1].id)
	h.node.Inquire(block.ClassIPVS, make([]byte, 8), func(block.Peer, *block.Answer) {})
	w.run(20 * time.Millisecond)
	return h
}

// checkBounds fails where memory is not what it may be at most.
func checkBounds(t *testing.T, n *Node) {
	if len(n.peers.all) > maxPeers || len(n.peers.index) != len(n.peers.all) {
		t.Fatalf("%d peers, %d in the index", len(n.peers.all), len(n.peers.index))
	}
	for _, p := range n.peers.all {
		if n.peers.index[p.id] != p {
			t.Fatal("the index has another peer")
		}
		g := &p.gaps
		count := 0
		for i, e := range g.list {
			if e.last < e.first || i > 0 && e.first <= g.list[i-1].last || e.last > g.top {
				t.Fatalf("gaps %v up to %d", g.ranges(), g.top)
			}
			count += int(e.last - e.first + 1)
		}
		if g.missing != count || count > maxMissing || cap(g.list) > 2*maxMissing {
			t.Fatalf("%d missing, counted as %d, room for %d gaps", count, g.missing, cap(g.list))
		}
	}
	if kept := n.ring.last + 1 - n.ring.first; kept > ringFrames {
		t.Fatalf("%d frames in the ring", kept)
	}
	wanted := 0
	for q := n.ring.first; q <= n.ring.last; q++ {
		if n.ring.slot(q).wanted {
			wanted++
		}
	}
	if wanted != n.ring.wanted {
		t.Fatalf("%d frames wanted, counted as %d", wanted, n.ring.wanted)
	}
	for i := range n.donor.all {
		s := &n.donor.all[i]
		if s.next-s.base > chunkWindow {
			t.Fatalf("chunks %d to %d under way", s.base, s.next)
		}
		again := 0
		for k := range s.chunks {
			if s.chunks[k].wanted {
				again++
			}
			if cap(s.chunks[k].body) > 2*n.cfg.Room {
				t.Fatalf("a chunk takes %d bytes", cap(s.chunks[k].body))
			}
		}
		if s.peer != nil && again != s.again {
			t.Fatalf("%d chunks wanted, counted as %d", again, s.again)
		}
	}
	if len(n.lookups) > maxLookups || len(n.inquiries) > maxInquiries {
		t.Fatalf("%d lookups, %d inquiries", len(n.lookups), len(n.inquiries))
	}
	if n.room < MinRoom || n.room > n.cfg.Room || n.probe.tries > probePatience {
		t.Fatalf("room for %d of %d, after %d tries", n.room, n.cfg.Room, n.probe.tries)
	}
	if p := &n.transfer.progress; p.high > p.next+chunkWindow {
		t.Fatalf("chunks %d to %d came", p.next, p.high)
	}
}

// Any sequence of blocks, from proven peers and from others, with time between:
// nothing panics, and the bounds hold. A step is a sender, how much later it
// comes, the number that it adds to the last one, and a block with its length;
// where references are zeros, those of this node are put in.
func FuzzBlocks(f *testing.F) {
	step := func(sender, later, number byte, blocks func([]byte) ([]byte, error)) []byte {
		b, err := blocks(nil)
		if err != nil {
			f.Fatal(err)
		}
		p := binary.BigEndian.AppendUint16([]byte{sender, later, number}, uint16(len(b)))
		return append(p, b...)
	}
	me := block.Peer{Sender: 1}
	heartbeat := func(b []byte) ([]byte, error) {
		return block.AppendHeartbeat(b, &block.Heartbeat{Last: 500, State: block.StateSynced, Interval: time.Second, Gaps: 3, Name: []byte("x")})
	}
	advert := func(sequence uint64) func([]byte) ([]byte, error) {
		return func(b []byte) ([]byte, error) {
			p := block.BeginAdvert(make([]byte, block.HeaderSize), block.ClassIPVS)
			p = append(p, make([]byte, entrySize)...)
			err := block.EndAdvert(p, block.HeaderSize, 1)
			block.Stamp(p, sequence, time.Second)
			return append(b, p[block.HeaderSize:]...), err
		}
	}
	nack := func(b []byte) ([]byte, error) {
		return block.AppendNack(b, me, []block.Range{{First: 1, Count: 1}, {First: 2, Count: 1 << 31}})
	}
	request := func(b []byte) ([]byte, error) {
		return block.AppendSnapshotRequest(b, &block.SnapshotRequest{Peer: me, Request: 7, Classes: 2, Owned: true})
	}
	ack := func(b []byte) ([]byte, error) {
		return block.AppendSnapshotAck(b, &block.SnapshotAck{Peer: me, Request: 7, Next: 1}, []block.ChunkRange{{First: 1, Count: 1 << 20}})
	}
	chunk := func(b []byte) ([]byte, error) {
		b, _ = advert(0)(b)
		return block.AppendSnapshotChunk(b, &block.SnapshotChunk{Peer: me, Request: 7, Number: 3, Last: true})
	}
	gone := func(b []byte) ([]byte, error) { return block.AppendGone(b, block.Gone{First: 1, Last: 1 << 60}) }
	challenge := func(b []byte) ([]byte, error) { return block.AppendChallenge(b, &block.Challenge{Peer: me}) }
	echo := func(b []byte) ([]byte, error) { return block.AppendEcho(b, &block.Challenge{Peer: me}) }
	probe := func(b []byte) ([]byte, error) { return block.AppendProbe(b, 100) }
	probeAck := func(b []byte) ([]byte, error) { return block.AppendProbeAck(b, &block.ProbeAck{Peer: me, Number: 300}) }
	query := func(b []byte) ([]byte, error) {
		return block.AppendQuery(b, &block.Query{Peer: me, Query: 7, Class: block.ClassIPVS, Selector: make([]byte, 8)})
	}
	answer := func(b []byte) ([]byte, error) {
		a, _ := advert(0)(nil)
		return block.AppendAnswer(b, &block.Answer{Peer: me, Query: 7, Marks: make([]block.Marks, 1)}, a)
	}
	var all []byte
	for _, b := range []func([]byte) ([]byte, error){
		heartbeat, advert(501), advert(510), nack, request, ack, chunk, gone, challenge, echo, advert(1 << 60), probe, probeAck, query, answer, heartbeat,
	} {
		f.Add(step(0, 1, 1, b))
		f.Add(step(2, 1, 1, b))
		all = append(all, step(0, 1, 1, b)...)
		all = append(all, step(1, 200, 3, b)...)
	}
	f.Add(all)

	f.Fuzz(func(t *testing.T, steps []byte) {
		h := fuzzed(t)
		n := h.node
		peers := []block.Peer{h.w.hosts[1].node.cfg.Self, h.w.hosts[2].node.cfg.Self, {Sender: 9}}
		numbers := []uint64{1 << 20, 1 << 20, 1}
		for len(steps) >= 5 {
			who, later, add := int(steps[0])%(len(peers)+1), steps[1], steps[2]
			length := min(int(binary.BigEndian.Uint16(steps[3:])), len(steps)-5)
			raw := make([]byte, block.HeaderSize, block.HeaderSize+length)
			raw = append(raw, steps[5:5+length]...)
			steps = steps[5+length:]
			header := block.Header{Number: 1}
			if who == len(peers) { // a new one each time
				header.Peer = block.Peer{Sender: 1 + uint32(add), Start: block.StartID{later}}
			} else {
				numbers[who] += uint64(add)
				header.Peer, header.Number = peers[who], numbers[who]
			}
			header.Put(raw)
			complete(n, raw)
			body, err := block.Parse(raw)
			if err != nil {
				continue
			}
			h.w.now = h.w.now.Add(time.Duration(later) * 10 * time.Millisecond)
			n.Receive(h.w.now, Origin{}, &body)
			for i := 0; !n.Next().After(h.w.now); i++ {
				if i == 100 {
					t.Fatal("it does not rest")
				}
				n.Tick(h.w.now)
			}
			checkBounds(t, n)
		}
		h.w.run(2 * time.Second)
		checkBounds(t, n)
	})
}

// complete fills in what fuzzing would hardly find: our start ID, and the
// request that is under way.
func complete(n *Node, body []byte) {
	for p := body[block.HeaderSize:]; len(p) >= block.HeadSize; {
		size := block.HeadSize + int(binary.BigEndian.Uint16(p[2:]))
		if size > len(p) {
			return
		}
		switch t := block.Type(p[0]); {
		case t < block.TypeChallenge || t > block.TypeLastAdverts || t == block.TypeGone || t == block.TypeProbe || size < block.HeadSize+20:
		case binary.BigEndian.Uint32(p[block.HeadSize:]) == n.cfg.Self.Sender:
			copy(p[block.HeadSize+4:block.HeadSize+20], n.cfg.Self.Start[:])
			if t == block.TypeSnapshotChunk && size >= block.HeadSize+24 {
				binary.BigEndian.PutUint32(p[block.HeadSize+20:], n.transfer.request)
			}
			if (t == block.TypeAnswer || t == block.TypeLastAdverts) && size >= block.HeadSize+24 && len(n.inquiries) > 0 {
				binary.BigEndian.PutUint32(p[block.HeadSize+20:], n.inquiries[0].query)
			}
			if t == block.TypeSnapshotAck && size >= block.HeadSize+24 {
				binary.BigEndian.PutUint32(p[block.HeadSize+20:], n.donor.all[0].request)
			}
		}
		p = p[size:]
	}
}
