package conntrackclass_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/cluster"
	"github.com/ssyncp/ssyncp/internal/conntrackclass"
	"github.com/ssyncp/ssyncp/internal/ctnetlink/ctnetlinktest"
	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/ctentry"
)

// table is that of a director, which reads what it is asked for in its
// namespace.
type table struct {
	*conntrackclass.Table
	d *director
}

func (d *director) table(t testing.TB, f conntrackclass.Filter) table {
	t.Helper()
	tab, err := conntrackclass.NewTable(conntrackclass.TableOptions{
		Filter:  f,
		Objects: func(_ context.Context, do func(*conntrackclass.Objects)) error { do(d.Objects); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return table{tab, d}
}

// find asks as a peer does, and returns what that takes out of the answer.
func (tab table) find(t testing.TB, s block.Selector, room int) ([]conntrackclass.Held, peering.Findings) {
	t.Helper()
	var f peering.Findings
	var err error
	tab.d.ns.Do(t, func() { f, err = tab.Find(t.Context(), s.Append(nil), room) })
	if err != nil {
		t.Fatal(err)
	}
	p, err := block.AppendAnswer(nil, &block.Answer{Peer: block.Peer{Sender: 1}, Query: 1, Marks: f.Marks, More: f.More}, f.Objects)
	if err != nil {
		t.Fatal(err)
	}
	a, err := block.Block{Type: block.TypeAnswer, Payload: p[block.HeadSize:]}.Answer()
	if err != nil {
		t.Fatal(err)
	}
	a.Adverts = f.Adverts
	list, err := conntrackclass.Answered(&a)
	if err != nil {
		t.Fatal(err)
	}
	return list, f
}

func (tab table) flush(t testing.TB) *conntrackclass.Flushed {
	t.Helper()
	var done *conntrackclass.Flushed
	var err error
	tab.d.ns.Do(t, func() { done, err = tab.Flush(t.Context()) })
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func (d *director) entries(t testing.TB) int {
	t.Helper()
	n, err := d.somebody.Entries()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What a director has of a connection is answered, with whether it is a copy:
// of each kind, by the source that the connection came from.
func TestEntriesAreFoundByTheirSource(t *testing.T) {
	a, b := newDirector(t), newDirector(t)
	for _, k := range ctnetlinktest.Kinds() {
		a.make(t, time.Minute, k.Entry)
	}
	b.hears(t, a.walked(t, cluster.Owned))
	for _, k := range ctnetlinktest.Kinds() {
		s := block.Selector{Protocol: uint8(k.Entry.Protocol), Client: k.Entry.Original.Source, Virtual: k.Entry.Original.Destination}
		own, _ := a.table(t, conntrackclass.Filter{}).find(t, s, room)
		if len(own) != 1 || !own[0].Owned || !own[0].Told || own[0].Key() != k.Entry.Key() || own[0].Reply != k.Entry.Reply {
			t.Errorf("%s: its owner has %+v", k.Name, own)
		}
		copies, _ := b.table(t, conntrackclass.Filter{}).find(t, s, room)
		if own[0].Advert >= 0 || copies[0].Advert < 0 || copies[0].Advert > 10*time.Second {
			t.Errorf("%s: told last %v ago, of the copy %v", k.Name, own[0].Advert, copies[0].Advert)
		}
		if len(copies) != 1 || copies[0].Owned || copies[0].Key() != k.Entry.Key() || (copies[0].Remaining()-own[0].Remaining()).Abs() > 2*time.Second {
			t.Errorf("%s: the copy is %+v", k.Name, copies)
		}
	}
	for name, s := range map[string]block.Selector{
		"another port":        {Client: addr("192.0.2.1:1")},
		"another destination": {Client: addr("192.0.2.1:40000"), Virtual: addr("198.51.100.1:444")},
		"another protocol":    {Client: addr("192.0.2.1:40001"), Protocol: 132},
	} {
		if list, f := a.table(t, conntrackclass.Filter{}).find(t, s, room); len(list) != 0 || f.More {
			t.Errorf("%s: %+v", name, list)
		}
	}
}

// A copy that had packets here is this director's own: no event has to tell.
func TestACopyWithPacketsIsFoundAsOwn(t *testing.T) {
	d := newDirector(t)
	f := ctnetlinktest.Flow(conntrack.UDP, "192.0.2.1:40000", "198.51.100.1:53", func(e *conntrack.Entry) { e.Timeout = 30 * time.Second })
	d.hears(t, bodyOf(t, f))
	s := block.Selector{Client: f.Original.Source}
	if list, _ := d.table(t, conntrackclass.Filter{}).find(t, s, room); len(list) != 1 || list[0].Owned {
		t.Errorf("before: %+v", list)
	}
	d.touch(t, f, 2*time.Minute)
	if list, _ := d.table(t, conntrackclass.Filter{}).find(t, s, room); len(list) != 1 || !list[0].Owned {
		t.Errorf("behind packets: %+v", list)
	}
}

// That peers never hear of an entry is said with it.
func TestWhetherPeersHearOfAnEntryIsFound(t *testing.T) {
	d := newDirector(t)
	told := ctnetlinktest.Flow(conntrack.TCP, "192.0.2.1:40000", "198.51.100.1:443")
	filtered := ctnetlinktest.Flow(conntrack.UDP, "192.0.2.1:40000", "198.51.100.1:53")
	opening := ctnetlinktest.Flow(conntrack.TCP, "192.0.2.1:40000", "198.51.100.1:444", func(e *conntrack.Entry) { e.State = conntrack.TCPSynSent })
	byIPVS := ctnetlinktest.Flow(conntrack.TCP, "192.0.2.1:40000", "203.0.113.1:80", func(e *conntrack.Entry) { e.Reply.Source = addr("10.0.0.1:8080") })
	d.make(t, time.Minute, told, filtered, opening, byIPVS)
	tab := d.table(t, conntrackclass.Filter{Protocols: []conntrack.Protocol{conntrack.TCP}, WithoutIPVS: true})
	list, _ := tab.find(t, block.Selector{Client: told.Original.Source}, room)
	if len(list) != 4 {
		t.Fatalf("found %d", len(list))
	}
	for _, h := range list {
		if h.Told != (h.Key() == told.Key()) {
			t.Errorf("%v: told %v", &h.Entry, h.Told)
		}
	}
}

func TestMoreEntriesThanAnAnswerHasAreSaidToBeMore(t *testing.T) {
	d := newDirector(t)
	var list []conntrack.Entry
	for port := range uint16(2 * block.MaxObjects) {
		list = append(list, ctnetlinktest.Flow(conntrack.UDP, "[2001:db8::1]:40000", "[2001:db8::2]:0", func(e *conntrack.Entry) {
			e.Original.Destination = netip.AddrPortFrom(e.Original.Destination.Addr(), 1000+port)
			e.Reply = e.Untranslated()
		}))
	}
	d.make(t, time.Minute, list...)
	s := block.Selector{Client: list[0].Original.Source}
	if got, f := d.table(t, conntrackclass.Filter{}).find(t, s, room); len(got) != block.MaxObjects || !f.More {
		t.Errorf("%d, more: %v", len(got), f.More)
	}
	// Where links take less, there are fewer in it.
	if got, f := d.table(t, conntrackclass.Filter{}).find(t, s, ctentry.MinRoom); len(got) == 0 || len(got) >= block.MaxObjects || !f.More {
		t.Errorf("%d in %d bytes, more: %v", len(got), ctentry.MinRoom, f.More)
	}
}

// Who is a copy is not known while the objects are not open: nothing is
// answered then, rather than something wrong.
func TestNothingIsFoundWithoutTheObjects(t *testing.T) {
	d := newDirector(t)
	d.make(t, time.Minute, ctnetlinktest.Flow(conntrack.UDP, "192.0.2.1:40000", "198.51.100.1:53"))
	closed := errors.New("closed")
	tab, err := conntrackclass.NewTable(conntrackclass.TableOptions{
		Objects: func(context.Context, func(*conntrackclass.Objects)) error { return closed },
	})
	if err != nil {
		t.Fatal(err)
	}
	d.ns.Do(t, func() {
		if _, _, err = tab.Matching(t.Context(), &block.Selector{Client: addr("192.0.2.1:40000")}); errors.Is(err, closed) {
			_, err = tab.Flush(t.Context())
		}
	})
	if !errors.Is(err, closed) {
		t.Errorf("%v", err)
	}
	if _, err := tab.Find(t.Context(), []byte("?"), room); !errors.Is(err, block.ErrBlock) {
		t.Errorf("a broken selector: %v", err)
	}
	if _, err := conntrackclass.NewTable(conntrackclass.TableOptions{Filter: conntrackclass.Filter{States: []string{"OPEN"}}}); !errors.Is(err, conntrackclass.ErrState) {
		t.Errorf("a broken filter: %v", err)
	}
}

// tracking has the kernel look at the packets of a director.
func (d *director) tracking(t testing.TB) {
	t.Helper()
	d.rules(t, "table inet tracking { chain output { type filter hook output priority 0; ct state invalid drop; }; }")
}

// ends sends the FIN of a connection of IPv4.
func (d *director) ends(t testing.TB, e conntrack.Entry) {
	t.Helper()
	p := make([]byte, 40)
	p[0], p[8], p[9] = 0x45, 64, unix.IPPROTO_TCP
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	copy(p[12:], e.Original.Source.Addr().AsSlice())
	copy(p[16:], e.Original.Destination.Addr().AsSlice())
	binary.BigEndian.PutUint16(p[20:], e.Original.Source.Port())
	binary.BigEndian.PutUint16(p[22:], e.Original.Destination.Port())
	p[32], p[33] = 5<<4, 0x11 // FIN, ACK
	var err error
	d.ns.Do(t, func() {
		var fd int
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err != nil {
			return
		}
		defer unix.Close(fd)
		to := unix.SockaddrInet4{Addr: e.Original.Destination.Addr().As4()}
		err = unix.Sendto(fd, p, 0, &to)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A flush takes copies away and nothing else: not what this director owns, not
// a copy that had packets here, nor one whose packets nobody has looked at yet,
// although it has less time left. Peers hear nothing of it.
func TestAFlushTakesCopiesAwayAndNothingElse(t *testing.T) {
	d := newDirector(t)
	d.tracking(t)
	const n = 150 // more than a portion
	copies := ctnetlinktest.Numbered(conntrack.UDP, n)
	for i := range copies {
		copies[i].Timeout = 30 * time.Second
	}
	d.hears(t, bodyOf(t, copies...))
	own := ctnetlinktest.Flow(conntrack.TCP, "192.0.2.9:40000", "198.51.100.1:443")
	touched := copies[0]
	seen := ctnetlinktest.Flow(conntrack.TCP, "127.0.0.1:40000", "127.0.0.2:7", func(e *conntrack.Entry) { e.Timeout = 432000 * time.Second })
	d.hears(t, bodyOf(t, seen))
	d.make(t, time.Minute, own)
	d.touch(t, touched, 2*time.Minute)
	d.told(t)
	d.ends(t, seen)
	if m, ok := d.find(t, seen); !ok || m.TimeLeft > 5*time.Minute {
		t.Fatalf("the packet is not seen: %+v", m)
	}

	done := d.table(t, conntrackclass.Filter{}).flush(t)
	if done.Copies != n-1 || done.Expired != n-1 || len(done.Refused) != 0 {
		t.Errorf("flushed %+v", done)
	}
	for name, e := range map[string]conntrack.Entry{"its own": own, "one that had packets": touched, "one that has just had a packet": seen} {
		if _, ok := d.find(t, e); !ok {
			t.Errorf("%s is gone", name)
		}
	}
	if left := d.entries(t); left != 3 {
		t.Errorf("%d entries are left", left)
	}
	for _, e := range entriesOf(t, d.told(t)) {
		if e.Ended() {
			t.Errorf("peers hear of the end of %v", &e)
		}
	}
	// What is told again comes back.
	for i := range copies {
		copies[i].Timeout = time.Minute
	}
	d.hears(t, bodyOf(t, copies...))
	if left := d.entries(t); left != n+2 {
		t.Errorf("%d entries, when they were told again", left)
	}
	if again := d.table(t, conntrackclass.Filter{}).flush(t); again.Expired != n-1 {
		t.Errorf("flushed again: %+v", again)
	}
}

func TestWhatIsNotACopyIsNotFlushed(t *testing.T) {
	d := newDirector(t)
	d.make(t, time.Minute, ctnetlinktest.Numbered(conntrack.UDP, 200)...)
	if done := d.table(t, conntrackclass.Filter{}).flush(t); done.Copies != 0 || d.entries(t) != 200 {
		t.Errorf("%+v, %d are left", done, d.entries(t))
	}
}
