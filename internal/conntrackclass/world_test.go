package conntrackclass_test

import (
	"errors"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/cluster"
	"github.com/ssyncp/ssyncp/internal/conntrackclass"
	"github.com/ssyncp/ssyncp/internal/ctnetlink"
	"github.com/ssyncp/ssyncp/internal/ctnetlink/ctnetlinktest"
	"github.com/ssyncp/ssyncp/internal/netnstest"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/block/blocktest"
	"github.com/ssyncp/ssyncp/pkg/wire/ctentry"
)

// room is that of a body in a packet of an Ethernet.
const room = 1400

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// director is one in a network namespace of its own. Somebody else there makes
// what is its own.
type director struct {
	*conntrackclass.Objects
	ns       *netnstest.Namespace
	counters *conntrackclass.Counters
	somebody *ctnetlink.Socket
	sequence uint64
}

func newDirector(t testing.TB, change ...func(*conntrackclass.Options)) *director {
	t.Helper()
	d := &director{ns: netnstest.New(t), counters: conntrackclass.NewCounters()}
	o := conntrackclass.Options{Counters: d.counters}
	for _, c := range change {
		c(&o)
	}
	var err, err2 error
	d.ns.Do(t, func() {
		d.Objects, err = conntrackclass.Open(o)
		d.somebody, err2 = ctnetlink.Open()
	})
	if err = errors.Join(err, err2); errors.Is(err, ctnetlink.ErrNotSupported) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Objects.Close(); d.somebody.Close() })
	return d
}

// rules adds rules.
func (d *director) rules(t testing.TB, text string) {
	t.Helper()
	nft := exec.Command("ip", "netns", "exec", d.ns.Name, "nft", "-f", "-")
	nft.Stdin = strings.NewReader(text)
	if out, err := nft.CombinedOutput(); err != nil {
		t.Skipf("no rules: %v: %s", err, out)
	}
}

// ask sends requests as somebody else.
func (d *director) ask(t testing.TB, requests []byte) []ctnetlink.Message {
	t.Helper()
	if err := d.somebody.Send(requests); err != nil {
		t.Fatal(err)
	}
	return ctnetlinktest.Receive(t, d.somebody)
}

// make makes entries that this director owns.
func (d *director) make(t testing.TB, left time.Duration, list ...conntrack.Entry) {
	t.Helper()
	for i := range list {
		if got := d.ask(t, ctnetlink.AppendCreate(nil, 1, &list[i], left)); len(got) != 0 {
			t.Fatalf("%v: %v", &list[i], got[0].Errno)
		}
	}
}

// touch does what a packet does, as far as it shows.
func (d *director) touch(t testing.TB, e conntrack.Entry, left time.Duration) {
	t.Helper()
	if got := d.ask(t, ctnetlink.AppendUpdate(nil, 1, &e, left)); len(got) != 0 {
		t.Fatalf("%v: %v", &e, got[0].Errno)
	}
}

// find returns the entry that is there of this key.
func (d *director) find(t testing.TB, e conntrack.Entry) (ctnetlink.Message, bool) {
	t.Helper()
	got := d.ask(t, ctnetlink.AppendGet(nil, 1, &e))
	if len(got) != 1 {
		t.Fatalf("%d answers", len(got))
	}
	return got[0], got[0].Kind == ctnetlink.Changed
}

// told returns the bodies of all news.
func (d *director) told(t testing.TB) (bodies [][]byte) {
	t.Helper()
	out := cluster.NewOutbox(room)
	for {
		r, err := d.News(out)
		if err != nil || r.Pause != nil {
			t.Fatal(r, err)
		}
		if !r.More {
			break
		}
	}
	return append(bodies, out.Next(out.Len())...)
}

// walked returns the bodies of a walk.
func (d *director) walked(t testing.TB, kind cluster.Kind) (bodies [][]byte) {
	t.Helper()
	var w interface {
		Read([]byte, int) ([]byte, bool, error)
		Close()
	}
	var err error
	d.ns.Do(t, func() { w, err = d.Walk(kind) })
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for more := true; more; {
		var body []byte
		if body, more, err = w.Read(make([]byte, block.HeaderSize), room); err != nil {
			t.Fatal(err)
		}
		if len(body) > block.HeaderSize {
			bodies = append(bodies, body)
		}
	}
	return bodies
}

// entriesOf returns what bodies say.
func entriesOf(t testing.TB, bodies [][]byte) (list []conntrack.Entry) {
	t.Helper()
	var d ctentry.Decoder
	for _, body := range bodies {
		if err := d.Reset(blocktest.Sent(t, body, 1, 0)); err != nil {
			t.Fatal(err)
		}
		var e conntrack.Entry
		for d.Next(&e) {
			list = append(list, e)
		}
	}
	return list
}

// hears applies bodies.
func (d *director) hears(t testing.TB, bodies [][]byte) {
	t.Helper()
	for _, body := range bodies {
		d.sequence++
		if err := d.Apply(blocktest.Sent(t, body, d.sequence, 0), 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
}

// bodyOf returns a body that says this, as a peer does.
func bodyOf(t testing.TB, list ...conntrack.Entry) [][]byte {
	t.Helper()
	var e ctentry.Encoder
	if err := e.Reset(make([]byte, block.HeaderSize), block.MaxLength); err != nil {
		t.Fatal(err)
	}
	for i := range list {
		if err := e.Append(&list[i]); err != nil {
			t.Fatal(err)
		}
	}
	return [][]byte{e.Finish()}
}

func prefixes(list ...string) (p []netip.Prefix) {
	for _, s := range list {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}
