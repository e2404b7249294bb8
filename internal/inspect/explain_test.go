package inspect_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/ipvsclass"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

func selector(c ipvs.Conn) *block.Selector { return &block.Selector{Client: c.Client} }

func TestAConnectionIsExplained(t *testing.T) {
	c := with(conn(5), func(c *ipvs.Conn) { c.Advert = 70 * time.Second })
	d := &directors{tables: map[block.Peer][]ipvs.Conn{
		id(2): {copied(conn(4)), with(copied(c), func(c *ipvs.Conn) { c.Advert = time.Minute })},
		id(3): {copied(conn(4))},
		id(4): {copied(c)},
		id(5): {copied(c)},
	}}
	d.silent, d.failed = map[block.Peer]bool{id(4): true}, map[block.Peer]bool{id(5): true}
	i, m := world(t, d, ipvsclass.Filter{})
	m.SetTable(conn(4), c)
	e, err := i.Explain(t.Context(), selector(c))
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Here.Connections) != 1 || len(e.Peers) != 4 {
		t.Fatalf("%+v", e)
	}
	here := e.Here.Connections[0]
	if !here.Owned || !here.Told || !here.Bound || !slices.Equal(here.Owners, []string{"lb1"}) || here.Client != c.Client.String() {
		t.Errorf("here: %+v", here)
	}
	if p := e.Peers[0]; p.Silent || p.Failed || len(p.Connections) != 1 || p.Connections[0].Owned || !slices.Equal(p.Connections[0].Owners, []string{"lb1"}) {
		t.Errorf("a copy: %+v", p)
	}
	if here.LastAdvertMS == nil || *here.LastAdvertMS != 70_000 {
		t.Errorf("told last: %+v", here)
	}
	if there := e.Peers[0].Connections[0]; there.LastAdvertMS == nil || *there.LastAdvertMS != 60_000 {
		t.Errorf("heard of last: %+v", there)
	}
	if p := e.Peers[1]; p.Silent || p.Failed || len(p.Connections) != 0 {
		t.Errorf("one that has none: %+v", p)
	}
	if p := e.Peers[2]; !p.Silent {
		t.Errorf("one that is silent: %+v", p)
	}
	if p := e.Peers[3]; p.Silent || !p.Failed {
		t.Errorf("one that cannot: %+v", p)
	}
}

func TestACopyHereIsOfWhatAPeerOwns(t *testing.T) {
	c := conn(5) // of which nobody knows when it was told
	i, m := world(t, &directors{tables: map[block.Peer][]ipvs.Conn{id(2): {c}}}, ipvsclass.Filter{})
	m.SetTable(copied(c))
	e, err := i.Explain(t.Context(), selector(c))
	if err != nil {
		t.Fatal(err)
	}
	if here := e.Here.Connections[0]; here.Owned || !slices.Equal(here.Owners, []string{"lb2"}) {
		t.Errorf("%+v", here)
	}
	if there := e.Peers[0].Connections[0]; !there.Owned || there.LastAdvertMS != nil {
		t.Errorf("%+v", there)
	}
}

// A client may have as many connections of one port as there are services.
func TestOfManyConnectionsThereAreMore(t *testing.T) {
	var list []ipvs.Conn
	for port := range uint16(2 * block.MaxObjects) {
		list = append(list, with(conn(5), func(c *ipvs.Conn) { c.Virtual = conn(port + 1).Client }))
	}
	i, m := world(t, &directors{tables: map[block.Peer][]ipvs.Conn{id(2): list}}, ipvsclass.Filter{})
	m.SetTable(list...)
	e, err := i.Explain(t.Context(), selector(conn(5)))
	if err != nil {
		t.Fatal(err)
	}
	if !e.Here.More || !e.Peers[0].More || len(e.Here.Connections) != block.MaxObjects || len(e.Peers[0].Connections) != block.MaxObjects {
		t.Errorf("%d here, %d there", len(e.Here.Connections), len(e.Peers[0].Connections))
	}
}

func TestNothingIsExplainedWithoutADirector(t *testing.T) {
	stopped := errors.New("stopped")
	i, _ := world(t, &directors{err: stopped}, ipvsclass.Filter{})
	if _, err := i.Explain(t.Context(), selector(conn(5))); !errors.Is(err, stopped) {
		t.Errorf("%v", err)
	}
}

// What is not a copy stays as it is, and so does a copy that the module holds.
func TestCopiesAreFlushed(t *testing.T) {
	own, old, held := conn(1), with(conn(2), func(c *ipvs.Conn) { c.Marks = 0 }), copied(conn(3))
	template := copied(with(conn(0), func(c *ipvs.Conn) { c.Flags, c.State = ipvs.FlagTemplate, ipvs.TemplateAssured }))
	i, m := world(t, &directors{}, ipvsclass.Filter{})
	m.Refuse = func(c *ipvs.Conn) (chardev.Reason, bool) { return chardev.RefusedLocalHold, c.Client == held.Client }
	m.SetTable(own, template, old, held, copied(conn(4)), copied(conn(5)))
	f, err := i.Flush(t.Context(), block.ClassIPVS)
	if err != nil || f.Copies != 4 || f.Expired != 3 || len(f.Refused) != 1 || f.Refused[chardev.RefusedLocalHold.String()] != 1 {
		t.Errorf("%+v, %v", f, err)
	}
	var ports []uint16
	for _, c := range m.Written() {
		ports = append(ports, c.Client.Port())
		if c.Timeout != time.Millisecond || c.Age != 0 || c.Flags&ipvs.FlagSync != 0 {
			t.Errorf("%v: timeout %v, age %v, flags %v", c.Client, c.Timeout, c.Age, c.Flags)
		}
	}
	if !slices.Equal(ports, []uint16{4, 5, 0}) { // the template last
		t.Errorf("ports %v were told to end", ports)
	}
}
