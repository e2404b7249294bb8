package daemon_test

import (
	"fmt"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/netnstest"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/ctentry"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
)

// class is one of what directors tell each other of. Its objects are numbered,
// and known by the client of that number.
type class interface {
	id() block.Class
	// options are those of a daemon that carries it.
	options() []string
	// owned gives a director n objects, from 0 on, before its daemon starts, and
	// returns options that it needs for that.
	owned(t *testing.T, ns *netnstest.Namespace, n int) []string
	// tell gives a director objects that are news, and has waits until it has
	// those of its peer.
	tell(d *director, from, n int)
	has(d *director, from, n int)
	// table is what a director has, and writes how many of it fresh writes to the
	// device.
	table(d *director) map[string]held
	writes() int
	// forget takes something away from a director that its peer told: a replay
	// would bring it back.
	forget(d *director)
	// lie appends adverts to a body that do harm to the victim of a scene where
	// they are believed, to so many of its objects.
	lie(t testing.TB, body []byte) []byte
	harm() int
}

// ofEachClass tries the same with both.
func ofEachClass(t *testing.T, f func(t *testing.T, c class)) {
	t.Helper()
	for name, c := range map[string]class{"IPVS connections": ipvsConnections{}, "conntrack entries": conntrackEntries{}} {
		t.Run(name, func(t *testing.T) { f(t, c) })
	}
}

// ipvsConnections is class 1, in a kernel module that is played: what was written
// to its device is what a director has.
type ipvsConnections struct{}

func (ipvsConnections) id() block.Class   { return block.ClassIPVS }
func (ipvsConnections) options() []string { return nil }

func (ipvsConnections) owned(_ *testing.T, _ *netnstest.Namespace, n int) []string {
	return []string{"--" + tableFlag + "=" + strconv.Itoa(n)}
}

func (ipvsConnections) tell(d *director, from, n int) {
	d.t.Helper()
	d.ask(request{Queue: n, From: from})
}

func (ipvsConnections) has(d *director, from, n int) {
	d.t.Helper()
	d.holds(clients(from, n))
}

func (ipvsConnections) table(d *director) map[string]held {
	d.t.Helper()
	table := make(map[string]held)
	for _, c := range d.ask(request{}).Written {
		table[c] = held{}
	}
	return table
}

func (ipvsConnections) writes() int      { return 1 }
func (ipvsConnections) forget(*director) {} // each write shows
func (ipvsConnections) harm() int        { return 1 }

func (ipvsConnections) lie(t testing.TB, body []byte) []byte {
	t.Helper()
	var e entry.Encoder
	if err := e.Reset(body, 1400); err != nil {
		t.Fatal(err)
	}
	c := conns(evilOnes, 1)[0]
	if err := e.Append(&c); err != nil {
		t.Fatal(err)
	}
	return e.Finish()
}

// conntrackEntries is class 2, in this host's kernel.
type conntrackEntries struct{}

func (conntrackEntries) id() block.Class   { return block.ClassConntrack }
func (conntrackEntries) options() []string { return []string{"--conntrack-enabled=true"} }
func (conntrackEntries) writes() int       { return 0 }

// established is how long entries of scenes have: so little of what TCP has that
// no sweep tells of them again.
const established = 48 * time.Hour

// flow is the entry of a number: a stream through a firewall.
func flow(number int) conntrack.Entry {
	e := conntrack.Entry{
		Protocol: conntrack.TCP, State: conntrack.TCPEstablished, Status: conntrack.SeenReply | conntrack.Assured | conntrack.Confirmed,
		Original: conntrack.Tuple{Source: client(number), Destination: netip.MustParseAddrPort("198.51.100.9:443")},
		TCP:      conntrack.TCPInfo{Scale: [2]uint8{7, 9}, Flags: [2]uint8{0x2b, 0x2b}},
		Timeout:  established,
	}
	e.Reply = e.Untranslated()
	return e
}

func flows(from, n int) []conntrack.Entry {
	list := make([]conntrack.Entry, n)
	for i := range list {
		list[i] = flow(from + i)
	}
	return list
}

func (conntrackEntries) owned(t *testing.T, ns *netnstest.Namespace, n int) []string {
	t.Helper()
	newTracking(t, ns).create(flows(0, n)...)
	return nil
}

func (conntrackEntries) tell(d *director, from, n int) {
	d.t.Helper()
	newTracking(d.t, d.ns).create(flows(from, n)...)
}

func (c conntrackEntries) has(d *director, from, n int) {
	d.t.Helper()
	eventually(d.t, "entries of the peer", func() bool {
		table := c.table(d)
		for _, want := range clients(from, n) {
			if _, there := table[want]; !there {
				return false
			}
		}
		return true
	})
}

func (conntrackEntries) table(d *director) map[string]held {
	d.t.Helper()
	table := make(map[string]held)
	for _, m := range newTracking(d.t, d.ns).table() {
		e := &m.Entry
		table[e.Original.Source.String()] = held{
			fmt.Sprintf("state %d, status %x, mark %d, to %v, reply %v, %+v", e.State, e.Status, e.Mark, e.Original.Destination, e.Reply, e.TCP),
			time.Now().Add(m.TimeLeft),
		}
	}
	return table
}

// forgotten is the number of what is taken away.
const forgotten = peerOwns + 50

func (conntrackEntries) forget(d *director) {
	d.t.Helper()
	e := flow(forgotten)
	newTracking(d.t, d.ns).remove(&e)
}

func (conntrackEntries) harm() int { return 6 }

// What is new, and what becomes of copies and of what the victim owns.
func (conntrackEntries) lie(t testing.TB, body []byte) []byte {
	t.Helper()
	elsewhere := func(e conntrack.Entry) conntrack.Entry {
		e.Reply.Source, e.Status = netip.MustParseAddrPort("203.0.113.66:6666"), e.Status|conntrack.DestNAT
		return e
	}
	closed := func(e conntrack.Entry) conntrack.Entry {
		e.State, e.Mark, e.Timeout = conntrack.TCPClose, 666, time.Hour
		return e
	}
	ended := func(e conntrack.Entry) conntrack.Entry {
		e.Timeout = 0
		return e
	}
	var encoder ctentry.Encoder
	if err := encoder.Reset(body, 1400); err != nil {
		t.Fatal(err)
	}
	for _, e := range []conntrack.Entry{
		flow(evilOnes),
		elsewhere(flow(peerOwns)), closed(flow(peerOwns + 1)), ended(flow(peerOwns + 2)),
		closed(flow(0)), ended(flow(1)),
	} {
		if err := encoder.Append(&e); err != nil {
			t.Fatal(err)
		}
	}
	return encoder.Finish()
}
