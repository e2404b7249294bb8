package inspect_test

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/inspect"
	"github.com/ssyncp/ssyncp/internal/ipvsclass"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice/ipvsdevicetest"
	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/chardev/chardevtest"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
)

const period = 100 * time.Millisecond

// conn is an established connection that its director owns.
func conn(port uint16) ipvs.Conn {
	return ipvs.Conn{
		Protocol: ipvs.TCP, State: ipvs.TCPEstablished, Timeout: 15 * time.Minute, Marks: ipvs.MarkLocal | ipvs.MarkKnown | ipvs.MarkBound,
		Client:  netip.AddrPortFrom(netip.MustParseAddr("10.4.0.1"), port),
		Virtual: netip.MustParseAddrPort("192.0.2.80:80"),
		Dest:    netip.MustParseAddrPort("10.0.2.21:80"),
	}
}

func conns(from, n uint16) (list []ipvs.Conn) {
	for i := range n {
		list = append(list, conn(from+i))
	}
	return list
}

// with changes one of them.
func with(c ipvs.Conn, change func(*ipvs.Conn)) ipvs.Conn {
	change(&c)
	return c
}

// copied is a copy of it.
func copied(c ipvs.Conn) ipvs.Conn {
	c.Marks, c.Flags = ipvs.MarkKnown|ipvs.MarkBound, c.Flags|ipvs.FlagSync
	return c
}

func id(sender uint32) block.Peer { return block.Peer{Sender: sender} }

// directors play those of a cluster: what peers have, and what they are asked.
type directors struct {
	status peering.Status
	tables map[block.Peer][]ipvs.Conn
	asked  int                 // for whole tables
	silent map[block.Peer]bool // to questions
	then   func(look int)      // is called when a whole table was read
	failed map[block.Peer]bool // to find
	err    error               // of everything
}

func (d *directors) Status(context.Context) (peering.Status, error) { return d.status, d.err }

// advert returns blocks of connections.
func advert(t testing.TB, list []ipvs.Conn) []byte {
	t.Helper()
	if len(list) == 0 {
		return nil
	}
	var e entry.Encoder
	if err := e.Reset(nil, block.MaxLength); err != nil {
		t.Fatal(err)
	}
	for i := range list {
		if err := e.Append(&list[i]); err != nil {
			t.Fatal(err)
		}
	}
	return e.Finish()
}

// parsed returns the blocks of a body that has them.
func parsed(blocks []byte) (block.Blocks, error) {
	body := make([]byte, block.HeaderSize)
	h := block.Header{Peer: id(1), Number: 1}
	h.Put(body)
	body = append(body, blocks...)
	body, err := block.AppendSnapshotChunk(body, &block.SnapshotChunk{Peer: id(2), Request: 1})
	if err != nil {
		return block.Blocks{}, err
	}
	b, err := block.Parse(body)
	return b.Blocks(), err
}

type asker struct {
	*directors
	t testing.TB
}

func (d asker) Inspect(_ context.Context, p block.Peer, _ block.Class, take func(block.Blocks)) error {
	if d.err != nil {
		return d.err
	}
	d.asked++
	for part := range slices.Chunk(d.tables[p], 100) {
		blocks, err := parsed(advert(d.t, part))
		if err != nil {
			d.t.Fatal(err)
		}
		take(blocks)
	}
	if d.then != nil {
		d.then(d.asked)
	}
	return nil
}

func (d asker) Ask(ctx context.Context, class block.Class, selector []byte, take func(block.Peer, *block.Answer)) (silent []block.Peer, err error) {
	if d.err != nil {
		return nil, d.err
	}
	for p := range d.tables {
		if d.silent[p] {
			silent = append(silent, p)
			continue
		}
		m := new(chardevtest.Module)
		m.SetTable(d.tables[p]...)
		found, err := newTable(d.t, m, ipvsclass.Filter{}).Find(ctx, selector, 2000)
		if err != nil {
			return nil, err
		}
		body, err := block.AppendAnswer(nil, &block.Answer{
			Peer: d.status.Self, Query: 1, Marks: found.Marks, More: found.More, Failed: d.failed[p],
		}, found.Objects)
		if err != nil {
			return nil, err
		}
		a, err := block.Block{Type: block.TypeAnswer, Payload: body[block.HeadSize:]}.Answer()
		if err != nil {
			return nil, err
		}
		a.Adverts = found.Adverts
		take(p, &a)
	}
	return silent, nil
}

func newTable(t testing.TB, m *chardevtest.Module, f ipvsclass.Filter) *ipvsclass.Table {
	t.Helper()
	table, err := ipvsclass.NewTable(ipvsdevicetest.Opener(m), f)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// world is an inspector with the module of its director.
func world(t testing.TB, d *directors, f ipvsclass.Filter) (*inspect.Inspector, *chardevtest.Module) {
	t.Helper()
	m := new(chardevtest.Module)
	d.status.Self, d.status.Name = id(1), "lb1"
	for p := range d.tables {
		d.status.Peers = append(d.status.Peers, peering.PeerStatus{Peer: p, Name: "lb" + string('0'+rune(p.Sender)), Proven: true})
	}
	slices.SortFunc(d.status.Peers, func(a, b peering.PeerStatus) int { return int(a.Peer.Sender) - int(b.Peer.Sender) })
	return inspect.New(inspect.Parts{
		Director: asker{d, t}, Table: newTable(t, m, f), Device: ipvsdevicetest.Opener(m), Period: func() time.Duration { return period },
	}), m
}
