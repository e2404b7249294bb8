package inspect_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ssyncp/ssyncp/internal/inspect"
	"github.com/ssyncp/ssyncp/internal/ipvsclass"
	"github.com/ssyncp/ssyncp/pkg/chardev/chardevtest"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

var lb2 = id(2)

func TestHowConnectionsDiffer(t *testing.T) {
	c := conn(1)
	for _, tt := range []struct {
		name        string
		here, there []ipvs.Conn
		want        []inspect.Kind
	}{
		{"nothing on either side", nil, nil, nil},
		{"owner and copy", []ipvs.Conn{c}, []ipvs.Conn{copied(c)}, nil},
		{"copy and owner", []ipvs.Conn{copied(c)}, []ipvs.Conn{c}, nil},
		{"missing here", nil, []ipvs.Conn{c}, []inspect.Kind{inspect.MissingHere}},
		{"missing there", []ipvs.Conn{c}, nil, []inspect.Kind{inspect.MissingThere}},
		{"another client", []ipvs.Conn{c}, []ipvs.Conn{conn(2)}, []inspect.Kind{inspect.MissingThere, inspect.MissingHere}},
		{"state", []ipvs.Conn{c}, []ipvs.Conn{with(c, func(c *ipvs.Conn) { c.State = ipvs.TCPFinWait })}, []inspect.Kind{inspect.State}},
		{"real server", []ipvs.Conn{c}, []ipvs.Conn{with(c, func(c *ipvs.Conn) { c.Dest = c.Virtual })}, []inspect.Kind{inspect.Dest}},
		{"sequence adjustment", []ipvs.Conn{c}, []ipvs.Conn{with(c, func(c *ipvs.Conn) { c.Flags |= ipvs.FlagInSeq })}, []inspect.Kind{inspect.Flags}},
		{"a forwarding method, which is each one's own", []ipvs.Conn{c}, []ipvs.Conn{with(c, func(c *ipvs.Conn) { c.Flags |= ipvs.Flags(ipvs.LocalNode) | ipvs.FlagNoOutput })}, nil},
		{"inactive, which the state says", []ipvs.Conn{c}, []ipvs.Conn{with(c, func(c *ipvs.Conn) { c.Flags |= ipvs.FlagInactive })}, nil},
		{"several ways", []ipvs.Conn{c}, []ipvs.Conn{with(c, func(c *ipvs.Conn) { c.State, c.Dest = ipvs.TCPCloseWait, c.Virtual })},
			[]inspect.Kind{inspect.Dest, inspect.State}},
		{"a copy that was told a third of the lifetime ago", []ipvs.Conn{c}, []ipvs.Conn{with(c, func(c *ipvs.Conn) { c.Age = 5 * time.Minute })}, nil},
		{"a copy that has half of the lifetime left", []ipvs.Conn{c}, []ipvs.Conn{with(c, func(c *ipvs.Conn) { c.Age = 8 * time.Minute })},
			[]inspect.Kind{inspect.Lifetime}},
		{"a short lifetime, two seconds apart", []ipvs.Conn{with(c, func(c *ipvs.Conn) { c.Timeout = time.Second })},
			[]ipvs.Conn{with(c, func(c *ipvs.Conn) { c.Timeout = 2 * time.Second })}, nil},
		{"a timeout that is not known", []ipvs.Conn{c}, []ipvs.Conn{with(c, func(c *ipvs.Conn) { c.Timeout = 0 })}, nil},
		{"nobody answered yet", nil, []ipvs.Conn{with(c, func(c *ipvs.Conn) { c.State = ipvs.TCPSynRecv })}, nil},
		{"over before it was told", []ipvs.Conn{with(c, func(c *ipvs.Conn) { c.State = ipvs.TCPTimeWait })}, nil, nil},
		{"a template", []ipvs.Conn{with(c, func(c *ipvs.Conn) {
			c.Flags, c.State, c.Client = ipvs.FlagTemplate, ipvs.TemplateNone, conn(0).Client
		})}, nil, []inspect.Kind{inspect.MissingThere}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i, m := world(t, &directors{tables: map[block.Peer][]ipvs.Conn{lb2: tt.there}}, ipvsclass.Filter{})
				m.SetTable(tt.here...)
				d, err := i.Diff(t.Context(), block.ClassIPVS, lb2)
				if err != nil {
					t.Fatal(err)
				}
				got := slices.Sorted(maps.Keys(d.Kinds))
				slices.Sort(tt.want)
				if !slices.Equal(got, tt.want) || d.Equal != (len(tt.want) == 0) || d.Here != len(tt.here) || d.There != len(tt.there) {
					t.Errorf("%+v", d)
				}
				if len(d.Connections) != d.Differing {
					t.Errorf("%d of %d are named", len(d.Connections), d.Differing)
				}
			})
		})
	}
}

// What is under way at the first look, and alike at the second one, is no
// difference; what differs at both is.
func TestChurnIsNoDifference(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m *chardevtest.Module
		d := &directors{tables: map[block.Peer][]ipvs.Conn{lb2: conns(1, 500)}}
		d.then = func(look int) {
			// New connections all the time, which the peer hears of later.
			d.tables[lb2] = m.Table()
			m.SetTable(append(m.Table(), conns(uint16(1000*look), 50)...)...)
		}
		var i *inspect.Inspector
		i, m = world(t, d, ipvsclass.Filter{})
		m.SetTable(conns(1, 550)...)
		began := time.Now()
		got, err := i.Diff(t.Context(), block.ClassIPVS, lb2)
		if err != nil || !got.Equal || got.Passing != 50 || got.Differing != 0 || d.asked != 2 {
			t.Errorf("%d looks, %+v, %v", d.asked, got, err)
		}
		if took := time.Since(began); took < 2*period {
			t.Errorf("it was looked a second time after %v", took)
		}
	})
}

func TestAlikeAtTheFirstLookTakesNoSecondOne(t *testing.T) {
	d := &directors{tables: map[block.Peer][]ipvs.Conn{lb2: conns(1, 500)}}
	i, m := world(t, d, ipvsclass.Filter{})
	m.SetTable(conns(1, 500)...)
	if got, err := i.Diff(t.Context(), block.ClassIPVS, lb2); err != nil || !got.Equal || d.asked != 1 {
		t.Errorf("%d looks, %+v, %v", d.asked, got, err)
	}
}

// What a filter keeps from the peers is not missing there.
func TestWhatIsNotTheirsIsNotMissing(t *testing.T) {
	udp := with(conn(9), func(c *ipvs.Conn) { c.Protocol, c.State = ipvs.UDP, ipvs.UDPNormal })
	// Nor is a copy that stays in a state, as peers do not hear of the next one.
	closing := with(conn(8), func(c *ipvs.Conn) { c.State = ipvs.TCPFinWait })
	i, m := world(t, &directors{tables: map[block.Peer][]ipvs.Conn{lb2: {copied(conn(8))}}},
		ipvsclass.Filter{Protocols: []ipvs.Protocol{ipvs.TCP}, States: []string{"ESTABLISHED"}})
	m.SetTable(udp, closing)
	if got, err := i.Diff(t.Context(), block.ClassIPVS, lb2); err != nil || !got.Equal || got.Here != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// All differences are counted, as many as fit an answer are named.
func TestManyDifferencesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, m := world(t, &directors{tables: map[block.Peer][]ipvs.Conn{lb2: conns(20_000, 1500)}}, ipvsclass.Filter{})
		m.SetTable(conns(1, 2500)...)
		got, err := i.Diff(t.Context(), block.ClassIPVS, lb2)
		if err != nil || got.Differing != 4000 || got.Kinds[inspect.MissingHere] != 1500 || got.Kinds[inspect.MissingThere] != 2500 {
			t.Errorf("%d differ: %v, %v", got.Differing, got.Kinds, err)
		}
		if len(got.Connections) != 1000 {
			t.Errorf("%d are named", len(got.Connections))
		}
	})
}

func TestAPeerThatCannotBeReadIsAnError(t *testing.T) {
	broken := errors.New("broken")
	d := &directors{tables: map[block.Peer][]ipvs.Conn{lb2: nil}}
	i, _ := world(t, d, ipvsclass.Filter{})
	d.err = broken
	if got, err := i.Diff(t.Context(), block.ClassIPVS, lb2); !errors.Is(err, broken) {
		t.Errorf("%+v, %v", got, err)
	}
	d.err = nil
	if got, err := i.Diff(t.Context(), block.ClassIPVS, lb2); err != nil || !got.Equal {
		t.Errorf("afterwards: %+v, %v", got, err)
	}
}

// One at a time: they go over whole tables.
func TestTablesAreComparedForOneAtATime(t *testing.T) {
	d := &directors{tables: map[block.Peer][]ipvs.Conn{lb2: conns(1, 1)}}
	i, _ := world(t, d, ipvsclass.Filter{})
	d.then = func(int) {
		if _, err := i.Diff(t.Context(), block.ClassIPVS, lb2); !errors.Is(err, inspect.ErrBusy) {
			t.Errorf("a second one: %v", err)
		}
		if _, err := i.Flush(t.Context(), block.ClassIPVS); !errors.Is(err, inspect.ErrBusy) {
			t.Errorf("a flush meanwhile: %v", err)
		}
	}
	if _, err := i.Diff(t.Context(), block.ClassIPVS, lb2); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkDiff(b *testing.B) {
	var list []ipvs.Conn
	for k := range 100_000 {
		list = append(list, with(conn(uint16(k)), func(c *ipvs.Conn) { c.Dest = conn(uint16(k >> 16)).Dest }))
		list[k].Virtual = conn(uint16(k >> 16)).Client
	}
	i, m := world(b, &directors{tables: map[block.Peer][]ipvs.Conn{lb2: list}}, ipvsclass.Filter{})
	m.SetTable(list...)
	b.ReportAllocs()
	for b.Loop() {
		if got, err := i.Diff(b.Context(), block.ClassIPVS, lb2); err != nil || !got.Equal || got.Here != len(list) {
			b.Fatalf("%+v, %v", got, err)
		}
	}
}
