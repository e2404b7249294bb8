package inspect_test

import (
	"context"
	"errors"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ssyncp/ssyncp/internal/conntrackclass"
	"github.com/ssyncp/ssyncp/internal/inspect"
	"github.com/ssyncp/ssyncp/internal/ipvsclass"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/ctentry"
)

// tracked is a table of conntrack entries.
type tracked struct {
	list    []conntrackclass.Held
	flushed *conntrackclass.Flushed
}

func (tr *tracked) All(context.Context) iter.Seq2[*conntrack.Entry, error] {
	return func(yield func(*conntrack.Entry, error) bool) {
		for i := range tr.list {
			if e := tr.list[i].Entry; !yield(&e, nil) {
				return
			}
		}
	}
}

func (tr *tracked) Matching(_ context.Context, s *block.Selector) (found []conntrackclass.Held, more bool, err error) {
	for _, h := range tr.list {
		if s.Matches(uint8(h.Protocol), h.Original.Source, h.Original.Destination) {
			found = append(found, h)
		}
	}
	return found, false, nil
}

func (tr *tracked) Told(e *conntrack.Entry) bool { return e.Protocol != conntrack.DCCP }

func (tr *tracked) Flush(context.Context) (*conntrackclass.Flushed, error) { return tr.flushed, nil }

// flow is the conntrack entry of the connection of that port, at its owner.
func flow(port uint16) conntrackclass.Held {
	c := conn(port)
	e := conntrack.Entry{
		Protocol: conntrack.TCP, State: conntrack.TCPEstablished, Status: conntrack.SeenReply | conntrack.Assured | conntrack.Confirmed,
		Timeout: 5 * 24 * time.Hour, Original: conntrack.Tuple{Source: c.Client, Destination: c.Virtual},
		Reply: conntrack.Tuple{Source: c.Dest, Destination: c.Client},
	}
	return conntrackclass.Held{Entry: e, Owned: true, Told: true, Advert: -1}
}

func flows(from, n uint16) (list []conntrackclass.Held) {
	for i := range n {
		list = append(list, flow(from+i))
	}
	return list
}

// as changes one of them.
func as(h conntrackclass.Held, change func(*conntrackclass.Held)) conntrackclass.Held {
	change(&h)
	return h
}

// mirrored is the copy that a peer has: its kernel says so of translations.
func mirrored(h conntrackclass.Held) conntrackclass.Held {
	h.Owned, h.Status, h.Advert = false, h.Status|0x180, 40*time.Second
	return h
}

func entries(t testing.TB, list []conntrackclass.Held) (blocks []byte) {
	t.Helper()
	if len(list) == 0 {
		return nil
	}
	var e ctentry.Encoder
	if err := e.Reset(nil, block.MaxLength); err != nil {
		t.Fatal(err)
	}
	for i := range list {
		if err := e.Append(&list[i].Entry); err != nil {
			t.Fatal(err)
		}
	}
	return e.Finish()
}

func answered(t testing.TB, list []conntrackclass.Held) *block.Answer {
	t.Helper()
	a := &block.Answer{Peer: id(1), Query: 1}
	for _, h := range list {
		m := block.MarkTold
		if h.Owned {
			m |= block.MarkOwned
		}
		a.Marks = append(a.Marks, m)
	}
	p, err := block.AppendAnswer(nil, a, entries(t, list))
	if err != nil {
		t.Fatal(err)
	}
	got, err := block.Block{Type: block.TypeAnswer, Payload: p[block.HeadSize:]}.Answer()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range list {
		got.Adverts = append(got.Adverts, h.Advert)
	}
	return &got
}

// bothClasses are directors that have both; asker has the first.
type bothClasses struct {
	asker
	peers map[block.Peer][]conntrackclass.Held // who is not in it does not carry them
}

func (d bothClasses) Inspect(ctx context.Context, p block.Peer, class block.Class, take func(block.Blocks)) error {
	if class == block.ClassIPVS {
		return d.asker.Inspect(ctx, p, class, take)
	}
	d.asked++
	blocks, err := parsed(entries(d.t, d.peers[p]))
	if err != nil {
		return err
	}
	take(blocks)
	if d.then != nil {
		d.then(d.asked)
	}
	return nil
}

func (d bothClasses) Ask(ctx context.Context, class block.Class, selector []byte, take func(block.Peer, *block.Answer)) (silent []block.Peer, err error) {
	if class == block.ClassIPVS {
		return d.asker.Ask(ctx, class, selector, take)
	}
	s, err := block.ParseSelector(selector)
	if err != nil {
		return nil, err
	}
	for p := range d.tables {
		list, carried := d.peers[p]
		switch {
		case d.silent[p]:
			silent = append(silent, p)
		case !carried:
			take(p, &block.Answer{Failed: true})
		default:
			found, _, _ := (&tracked{list: list}).Matching(ctx, &s)
			take(p, answered(d.t, found))
		}
	}
	return silent, nil
}

// worldOf is an inspector of a director that carries conntrack entries; so do
// the peers that are in entries.
func worldOf(t testing.TB, d *directors, here []conntrackclass.Held, there map[block.Peer][]conntrackclass.Held, own ...ipvs.Conn) (*inspect.Inspector, *tracked) {
	t.Helper()
	if d.tables == nil {
		d.tables = map[block.Peer][]ipvs.Conn{}
	}
	for p := range there {
		if _, ok := d.tables[p]; !ok {
			d.tables[p] = nil
		}
	}
	i, m := world(t, d, ipvsclass.Filter{})
	m.SetTable(own...)
	tr := &tracked{list: here}
	i.Tracked, i.Director = tr, bothClasses{asker{d, t}, there}
	return i, tr
}

func TestHowConntrackEntriesDiffer(t *testing.T) {
	f := flow(1)
	for _, tt := range []struct {
		name        string
		here, there []conntrackclass.Held
		want        []inspect.Kind
	}{
		{"nothing on either side", nil, nil, nil},
		{"owner and copy", flows(1, 3), []conntrackclass.Held{mirrored(f), mirrored(flow(2)), mirrored(flow(3))}, nil},
		{"missing here", nil, []conntrackclass.Held{f}, []inspect.Kind{inspect.MissingHere}},
		{"missing there", []conntrackclass.Held{f}, nil, []inspect.Kind{inspect.MissingThere}},
		{"another zone is another entry", []conntrackclass.Held{f}, []conntrackclass.Held{as(f, func(h *conntrackclass.Held) { h.Zones.Original = 1 })},
			[]inspect.Kind{inspect.MissingThere, inspect.MissingHere}},
		{"state", []conntrackclass.Held{f}, []conntrackclass.Held{as(f, func(h *conntrackclass.Held) { h.State = conntrack.TCPFinWait })}, []inspect.Kind{inspect.State}},
		{"reply", []conntrackclass.Held{f}, []conntrackclass.Held{as(f, func(h *conntrackclass.Held) { h.Reply.Source = f.Original.Destination })}, []inspect.Kind{inspect.Reply}},
		{"mark", []conntrackclass.Held{f}, []conntrackclass.Held{as(f, func(h *conntrackclass.Held) { h.Mark = 7 })}, []inspect.Kind{inspect.Mark}},
		{"status", []conntrackclass.Held{f}, []conntrackclass.Held{as(f, func(h *conntrackclass.Held) { h.Status &^= conntrack.Assured })}, []inspect.Kind{inspect.Flags}},
		{"a copy that was told a third of the lifetime ago", []conntrackclass.Held{f}, []conntrackclass.Held{as(f, func(h *conntrackclass.Held) { h.Age = 40 * time.Hour })}, nil},
		{"a copy that has a third of the lifetime left", []conntrackclass.Held{f}, []conntrackclass.Held{as(f, func(h *conntrackclass.Held) { h.Age = 80 * time.Hour })},
			[]inspect.Kind{inspect.Lifetime}},
		{"a segment that waits for its acknowledgement", []conntrackclass.Held{as(f, func(h *conntrackclass.Held) { h.Timeout = 5 * time.Minute })}, []conntrackclass.Held{f}, nil},
		{"over before it was told", []conntrackclass.Held{as(f, func(h *conntrackclass.Held) { h.State, h.Timeout = conntrack.TCPTimeWait, 2*time.Minute })}, nil, nil},
		{"about to expire", nil, []conntrackclass.Held{as(f, func(h *conntrackclass.Held) { h.Age = h.Timeout - time.Second })}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// IPVS's connections, which differ, are not asked for.
				i, _ := worldOf(t, &directors{}, tt.here, map[block.Peer][]conntrackclass.Held{lb2: tt.there}, conn(99))
				d, err := i.Diff(t.Context(), block.ClassConntrack, lb2)
				if err != nil {
					t.Fatal(err)
				}
				got := slices.Sorted(maps.Keys(d.Kinds))
				slices.Sort(tt.want)
				if !slices.Equal(got, tt.want) || d.Equal != (len(tt.want) == 0) || d.Here != len(tt.here) || d.There != len(tt.there) {
					t.Errorf("%+v", d)
				}
				if len(d.Entries) != d.Differing || len(d.Connections) != 0 {
					t.Errorf("%d of %d are named, and %d connections", len(d.Entries), d.Differing, len(d.Connections))
				}
			})
		})
	}
}

// What peers never hear of is not missing there.
func TestEntriesThatAreNotTheirsAreNotMissing(t *testing.T) {
	dccp := as(flow(9), func(h *conntrackclass.Held) { h.Protocol = conntrack.DCCP })
	i, _ := worldOf(t, &directors{}, []conntrackclass.Held{dccp}, map[block.Peer][]conntrackclass.Held{lb2: {}})
	if got, err := i.Diff(t.Context(), block.ClassConntrack, lb2); err != nil || !got.Equal || got.Here != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// An empty snapshot is of an empty table, or of a peer that has none: that must
// not look like a loss.
func TestWhoDoesNotCarryEntriesIsNotComparedWith(t *testing.T) {
	d := &directors{tables: map[block.Peer][]ipvs.Conn{lb2: nil, id(3): nil, id(4): nil}, silent: map[block.Peer]bool{id(3): true}}
	i, _ := worldOf(t, d, flows(1, 3), map[block.Peer][]conntrackclass.Held{id(4): flows(1, 3)})
	for p, want := range map[block.Peer]error{lb2: inspect.ErrPeer, id(3): inspect.ErrSilent, id(4): nil} {
		if got, err := i.Diff(t.Context(), block.ClassConntrack, p); !errors.Is(err, want) {
			t.Errorf("%v: %+v, %v, want %v", p, got, err, want)
		}
	}
	i.Tracked = nil
	if _, err := i.Diff(t.Context(), block.ClassConntrack, id(4)); !errors.Is(err, inspect.ErrNotCarried) {
		t.Errorf("compared without entries here: %v", err)
	}
	if _, err := i.Flush(t.Context(), block.ClassConntrack); !errors.Is(err, inspect.ErrNotCarried) {
		t.Errorf("flushed without entries here: %v", err)
	}
	if got := i.Classes(); !slices.Equal(got, []block.Class{block.ClassIPVS}) {
		t.Errorf("carries %v", got)
	}
}

// A connection through IPVS has an entry as well: both are found, and whose
// they are is said of each.
func TestAConnectionIsExplainedInBothClasses(t *testing.T) {
	c := conn(5)
	d := &directors{tables: map[block.Peer][]ipvs.Conn{id(2): {copied(c)}, id(3): {copied(c)}, id(4): {copied(c)}}, silent: map[block.Peer]bool{id(4): true}}
	own := flow(5)
	i, _ := worldOf(t, d, []conntrackclass.Held{mirrored(own), flow(6)}, map[block.Peer][]conntrackclass.Held{id(2): {own}}, c)
	e, err := i.Explain(t.Context(), selector(c))
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Here.Connections) != 1 || !e.Here.Connections[0].Owned || !slices.Equal(e.Here.Connections[0].Owners, []string{"lb1"}) {
		t.Errorf("IPVS here: %+v", e.Here.Connections)
	}
	here := e.Here.Conntrack
	if here == nil || len(here.Entries) != 1 || here.Entries[0].Owned || !slices.Equal(here.Entries[0].Owners, []string{"lb2"}) ||
		here.Entries[0].Original.Source != c.Client.String() || here.Entries[0].Reply.Source != c.Dest.String() {
		t.Errorf("conntrack here: %+v", here)
	}
	if ago := here.Entries[0].LastAdvertMS; ago == nil || *ago != 40_000 || e.Peers[0].Conntrack.Entries[0].LastAdvertMS != nil {
		t.Errorf("told last: %+v, %+v", here.Entries, e.Peers[0].Conntrack.Entries)
	}
	if there := e.Peers[0].Conntrack; there.Silent || there.Failed || len(there.Entries) != 1 || !there.Entries[0].Owned || !there.Entries[0].Told {
		t.Errorf("at its owner: %+v", there)
	}
	if there := e.Peers[1].Conntrack; !there.Failed || there.Silent || len(there.Entries) != 0 || e.Peers[1].Failed {
		t.Errorf("where entries are not carried: %+v", there)
	}
	if there := e.Peers[2].Conntrack; !there.Silent || !e.Peers[2].Silent {
		t.Errorf("at one that is silent: %+v", there)
	}
	i.Tracked = nil
	if e, err := i.Explain(t.Context(), selector(c)); err != nil || e.Here.Conntrack != nil || e.Peers[0].Conntrack != nil {
		t.Errorf("without entries here: %+v, %v", e, err)
	}
}

func TestEntriesOfAnotherClientAreNotExplained(t *testing.T) {
	i, _ := worldOf(t, &directors{}, flows(1, 3), map[block.Peer][]conntrackclass.Held{id(2): flows(1, 3)})
	e, err := i.Explain(t.Context(), &block.Selector{Client: netip.MustParseAddrPort("10.4.0.9:1")})
	if err != nil || len(e.Here.Conntrack.Entries)+len(e.Peers[0].Conntrack.Entries) != 0 || e.Peers[0].Conntrack.Failed {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestCopiesOfEntriesAreFlushedByTheirTable(t *testing.T) {
	i, tr := worldOf(t, &directors{}, nil, nil, copied(conn(1)))
	tr.flushed = &conntrackclass.Flushed{Copies: 3, Expired: 2, Refused: map[string]int{"events": 1}}
	f, err := i.Flush(t.Context(), block.ClassConntrack)
	if err != nil || f.Copies != 3 || f.Expired != 2 || f.Refused["events"] != 1 {
		t.Errorf("%+v, %v", f, err)
	}
}
