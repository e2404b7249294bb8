package conntrackclass_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/cluster"
	"github.com/ssyncp/ssyncp/internal/conntrackclass"
	"github.com/ssyncp/ssyncp/internal/ctnetlink"
	"github.com/ssyncp/ssyncp/internal/ctnetlink/ctnetlinktest"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

func TestAPeerHasWhatADirectorTells(t *testing.T) {
	for _, way := range []struct {
		name string
		tell func(*director, testing.TB) [][]byte
		left time.Duration
	}{
		// Closing at once, it would not be worth telling: it is made before.
		{"by a walk", func(d *director, t testing.TB) [][]byte { return d.walked(t, cluster.All) }, 25 * time.Second},
		{"by news", (*director).told, 100 * time.Second},
	} {
		t.Run(way.name, func(t *testing.T) {
			a, b := newDirector(t), newDirector(t)
			for _, tt := range ctnetlinktest.Kinds() {
				a.make(t, way.left, tt.Entry)
			}
			b.hears(t, way.tell(a, t))
			for _, tt := range ctnetlinktest.Kinds() {
				got, ok := b.find(t, tt.Entry)
				if way.name == "by news" && tt.Name == "TCP closing" {
					if ok {
						t.Errorf("%s: it is there", tt.Name)
					}
					continue
				}
				if want := ctnetlinktest.Made(tt.Entry); !ok || got.Entry != want {
					t.Errorf("%s:\ngot  %+v, %v\nwant %+v", tt.Name, got.Entry, ok, want)
				} else if got.TimeLeft < way.left-3*time.Second || got.TimeLeft > way.left {
					t.Errorf("%s: %v left, of %v", tt.Name, got.TimeLeft, way.left)
				}
			}
		})
	}
}

func TestNewsIsMerged(t *testing.T) {
	d := newDirector(t)
	e := ctnetlinktest.Flow(conntrack.TCP, "192.0.2.1:40000", "198.51.100.1:443")
	d.make(t, time.Minute, e)
	for range 20 {
		e.Mark++
		d.touch(t, e, time.Minute)
	}
	got := entriesOf(t, d.told(t))
	if len(got) != 1 || got[0].Mark != 20 || got[0].State != conntrack.TCPEstablished || got[0].TCP != e.TCP {
		t.Fatalf("%+v", got)
	}
	if got := entriesOf(t, d.told(t)); len(got) != 0 {
		t.Errorf("again %v", got)
	}
	// An event says what has changed, and no more.
	e.Mark++
	d.touch(t, e, time.Minute)
	if got := entriesOf(t, d.told(t)); len(got) != 1 || got[0].Mark != 21 || got[0].State != conntrack.TCPEstablished || got[0].TCP != e.TCP {
		t.Errorf("%+v", got)
	}
}

func TestWhatIsNotWorthTelling(t *testing.T) {
	closed := func(e *conntrack.Entry) { e.State = conntrack.TCPTimeWait }
	opening := func(e *conntrack.Entry) {
		e.State, e.Status = conntrack.TCPSynRecv, conntrack.SeenReply|conntrack.Confirmed
	}
	for _, tt := range []struct {
		name   string
		entry  conntrack.Entry
		filter conntrackclass.Filter
		then   func(*director, testing.TB, conntrack.Entry)
		skip   conntrackclass.Skip
	}{
		{name: "over at once", entry: ctnetlinktest.Flow(conntrack.TCP, "192.0.2.1:1", "198.51.100.1:80", closed), skip: conntrackclass.SkipBrief},
		{name: "deleted at once", entry: ctnetlinktest.Flow(conntrack.UDP, "192.0.2.1:1", "198.51.100.1:80"), then: deleted, skip: conntrackclass.SkipBrief},
		{name: "a handshake", entry: ctnetlinktest.Flow(conntrack.TCP, "192.0.2.1:1", "198.51.100.1:80", opening), skip: conntrackclass.SkipHandshake},
		{name: "IPVS's, where that is configured", filter: conntrackclass.Filter{WithoutIPVS: true}, skip: conntrackclass.SkipIPVS,
			entry: ctnetlinktest.Flow(conntrack.TCP, "192.0.2.1:1", "198.51.100.1:80", func(e *conntrack.Entry) { e.Reply.Source = addr("10.0.0.1:80") })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDirector(t, func(o *conntrackclass.Options) { o.Filter = tt.filter })
			d.make(t, time.Minute, tt.entry)
			if tt.then != nil {
				tt.then(d, t, tt.entry)
			}
			if got := entriesOf(t, d.told(t)); len(got) != 0 {
				t.Errorf("%v", got)
			}
			if n := d.counters.Skipped.Value(tt.skip); n != 1 {
				t.Errorf("%d counted", n)
			}
		})
	}
}

func deleted(d *director, t testing.TB, e conntrack.Entry) {
	d.ask(t, ctnetlink.AppendDelete(nil, 1, &e))
}

func TestWhatEndsBeforeItsTimeEndsAtPeers(t *testing.T) {
	a, b := newDirector(t), newDirector(t)
	list := ctnetlinktest.Numbered(conntrack.UDP, 3)
	a.make(t, time.Minute, list...)
	b.hears(t, a.told(t))
	deleted(a, t, list[0])
	deleted(a, t, list[1])
	ends := a.told(t)
	// One of them has a packet at the peer before it hears.
	b.touch(t, list[1], 5*time.Minute)
	time.Sleep(10 * time.Millisecond) // of another millisecond than the news before
	b.hears(t, ends)
	for i, want := range []bool{false, true, true} {
		if _, ok := b.find(t, list[i]); ok != want {
			t.Errorf("entry %d is there: %v", i, ok)
		}
	}
	if n := b.counters.Counts.Value(conntrackclass.Ended); n != 1 {
		t.Errorf("%d counted", n)
	}
}

func TestACopyThatExpiresIsNobodysNews(t *testing.T) {
	a, b := newDirector(t), newDirector(t)
	e := ctnetlinktest.Flow(conntrack.UDP, "192.0.2.1:1", "198.51.100.1:53")
	a.make(t, 2*time.Second, e)
	b.hears(t, a.told(t))
	time.Sleep(2500 * time.Millisecond)
	for name, d := range map[string]*director{"owner": a, "peer": b} {
		if _, ok := d.find(t, e); ok {
			t.Errorf("%s still has it", name)
		}
		if got := entriesOf(t, d.told(t)); len(got) != 0 {
			t.Errorf("%s tells %v", name, got)
		}
	}
}

func TestCopiesAreNotToldAsOwn(t *testing.T) {
	a, b := newDirector(t), newDirector(t)
	theirs, ours := ctnetlinktest.Numbered(conntrack.UDP, 3), ctnetlinktest.Flow(conntrack.TCP, "192.0.2.1:1", "198.51.100.1:80")
	a.make(t, 30*time.Second, theirs...)
	b.hears(t, a.told(t))
	b.make(t, 30*time.Second, ours)
	if got := entriesOf(t, b.told(t)); len(got) != 1 || got[0].Key() != ours.Key() {
		t.Errorf("news: %v", got)
	}
	if got := entriesOf(t, b.walked(t, cluster.Owned)); len(got) != 1 || got[0].Key() != ours.Key() {
		t.Errorf("owned: %v", got)
	}
	all := entriesOf(t, b.walked(t, cluster.All))
	if len(all) != 4 {
		t.Errorf("all: %v", all)
	}
	for _, e := range all {
		// As old as it is, and no more time than is left.
		if left := e.Timeout - e.Age; left > 30*time.Second || e.Age > 5*time.Second && e.Protocol == conntrack.UDP && e.Key() != ours.Key() {
			t.Errorf("%v: %v of %v", &e, e.Age, e.Timeout)
		}
	}
	// A packet here makes it our own.
	b.touch(t, theirs[1], 2*time.Minute)
	if got := entriesOf(t, b.walked(t, cluster.Owned)); len(got) != 2 {
		t.Errorf("owned, with one that had packets: %v", got)
	}
	if n := b.counters.Counts.Value(conntrackclass.Claimed); n != 1 {
		t.Errorf("%d claimed", n)
	}
}

func TestFresherNewsWins(t *testing.T) {
	const minute = time.Minute
	old := ctnetlinktest.Flow(conntrack.TCP, "192.0.2.1:1", "198.51.100.1:80", func(e *conntrack.Entry) {
		e.Timeout, e.Age = 5*24*time.Hour, minute
	})
	fresh := old
	fresh.State, fresh.Timeout, fresh.Age = conntrack.TCPCloseWait, minute, 0
	// States follow each other sooner than messages about them are alike in the time
	// that they take.
	further := fresh
	further.State, further.Age = conntrack.TCPTimeWait, 500*time.Millisecond
	tooLate := further
	tooLate.Age = 1500 * time.Millisecond
	last := further
	last.Age = 0 // at most
	again := fresh
	again.Age = 200 * time.Millisecond
	other := old // connection of the same tuple
	other.Reply.Source, other.Status, other.Age = addr("10.0.0.1:8080"), other.Status|conntrack.DestNAT, 0
	for _, tt := range []struct {
		name  string
		hears []conntrack.Entry
		want  conntrack.Entry
	}{
		{"in order", []conntrack.Entry{old, fresh}, fresh},
		{"late", []conntrack.Entry{fresh, old}, fresh},
		{"twice", []conntrack.Entry{fresh, fresh}, fresh},
		{"further on, and a little older", []conntrack.Entry{fresh, further}, last},
		{"further on, and the one before comes again", []conntrack.Entry{fresh, further, again}, last},
		{"further on, and much older", []conntrack.Entry{fresh, tooLate}, fresh},
		{"another connection", []conntrack.Entry{old, other}, other},
		{"another connection, late", []conntrack.Entry{other, old}, other},
	} {
		for _, way := range []string{"one by one", "at once"} {
			t.Run(tt.name+", "+way, func(t *testing.T) {
				d := newDirector(t)
				if way == "at once" {
					d.hears(t, bodyOf(t, tt.hears...))
				} else {
					for _, e := range tt.hears {
						d.hears(t, bodyOf(t, e))
					}
				}
				got, ok := d.find(t, old)
				if !ok || got.Entry.State != tt.want.State || got.Entry.Reply != tt.want.Reply || got.TimeLeft > tt.want.Timeout-tt.want.Age {
					t.Errorf("got %v, %v left", &got.Entry, got.TimeLeft)
				}
			})
		}
	}
}

// A chunk of a snapshot is read before news, and may be told behind it.
func TestAWalkTurnsNothingBack(t *testing.T) {
	a, b := newDirector(t), newDirector(t)
	e := ctnetlinktest.Flow(conntrack.TCP, "192.0.2.1:1", "198.51.100.1:80")
	a.make(t, time.Minute, e)
	a.told(t)
	// As if its last packet was in this moment: by what is left the kernel says so
	// in the first jiffy only.
	e.State = conntrack.TCPFinWait
	a.touch(t, e, 125*time.Second)
	chunks := a.walked(t, cluster.All)
	e.State = conntrack.TCPTimeWait
	a.touch(t, e, 120*time.Second)
	b.hears(t, a.told(t))
	b.hears(t, chunks)
	if got, ok := b.find(t, e); !ok || got.Entry.State != conntrack.TCPTimeWait {
		t.Errorf("got %v, %v", &got.Entry, ok)
	}
	if n := b.counters.Counts.Value(conntrackclass.Stale); n != 1 {
		t.Errorf("%d counted", n)
	}
}

func TestWhatHadPacketsHereIsChangedByFresherNewsOnly(t *testing.T) {
	news := ctnetlinktest.Flow(conntrack.UDP, "192.0.2.1:1", "198.51.100.1:53", func(e *conntrack.Entry) { e.Timeout, e.Mark = 2*time.Minute, 7 })
	for _, tt := range []struct {
		name  string
		left  time.Duration // of 120 s
		age   time.Duration // of the news
		taken bool
		why   conntrackclass.Count
	}{
		{"just now", 120 * time.Second, 0, false, conntrackclass.Local},
		{"a while ago", 100 * time.Second, 0, true, 0},
		{"a while ago, and the news is older", 100 * time.Second, 30 * time.Second, false, conntrackclass.Stale},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDirector(t)
			here := news
			here.Mark = 0
			d.make(t, tt.left, here)
			in := news
			in.Age = tt.age
			d.hears(t, bodyOf(t, in))
			got, _ := d.find(t, news)
			if (got.Entry.Mark == 7) != tt.taken {
				t.Errorf("taken: %v", !tt.taken)
			}
			if !tt.taken && d.counters.Counts.Value(tt.why) != 1 {
				t.Error("not counted")
			}
		})
	}
}

// Of the packets that end a connection one firewall may have the last but one, and
// the other one, which the route leads to by then, the last: an ACK that changes
// nothing there.
func TestWhatHadPacketsHereGoesFurtherOn(t *testing.T) {
	const left, ago = 5 * 24 * time.Hour, 10 * time.Second
	here := ctnetlinktest.Flow(conntrack.TCP, "192.0.2.1:1", "198.51.100.1:80")
	further := here
	further.State, further.Timeout = conntrack.TCPLastAck, 30*time.Second
	other := further // connection of the same tuple
	other.Reply.Source, other.Status = addr("10.0.0.1:8080"), other.Status|conntrack.DestNAT
	for _, tt := range []struct {
		name  string
		news  conntrack.Entry
		age   time.Duration
		taken bool
	}{
		{"at the same time", further, ago, true},
		{"a little before", further, ago + 500*time.Millisecond, true},
		{"long before", further, ago + 3*time.Second, false},
		{"at the same time, of another connection", other, ago, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDirector(t)
			d.make(t, left-ago, here)
			in := tt.news
			in.Age = tt.age
			d.hears(t, bodyOf(t, in))
			got, _ := d.find(t, here)
			if taken := got.Entry.State == in.State; taken != tt.taken || got.Entry.Reply != here.Reply {
				t.Errorf("taken: %v, got %v", taken, &got.Entry)
			}
			if tt.taken && (got.TimeLeft > in.Timeout-ago+time.Second || got.TimeLeft < in.Timeout-in.Age-time.Second) {
				t.Errorf("%v left", got.TimeLeft)
			}
			if n := d.counters.Counts.Value(conntrackclass.Stale); (n == 1) == tt.taken {
				t.Errorf("%d counted as stale", n)
			}
		})
	}
}

// What a peer said of a connection that had packets here just before is judged once
// more: by then there may be none any more.
func TestWhatHadPacketsHereIsTriedOnceMore(t *testing.T) {
	news := ctnetlinktest.Flow(conntrack.UDP, "192.0.2.1:1", "198.51.100.1:53", func(e *conntrack.Entry) { e.Timeout, e.Mark = 2*time.Minute, 7 })
	for _, tt := range []struct {
		name   string
		packet time.Duration // another one here
		ended  bool          // elsewhere, is the news
		taken  bool
		tries  uint64
	}{
		{"and is silent since", 0, false, true, 1},
		{"and has more of them", 2 * time.Second, false, false, 1},
		{"and ended elsewhere", 0, true, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDirector(t)
			here := news
			here.Mark = 0
			// A second ago: the kernel tells no less of who was last.
			d.make(t, 119*time.Second, here)
			said := news
			if tt.ended {
				said.Timeout = 0
			}
			d.hears(t, bodyOf(t, said))
			if got, there := d.find(t, news); !there || got.Entry.Mark == 7 {
				t.Error("taken at once")
			}
			began := time.Now()
			for packet := tt.packet; time.Since(began) < 4*time.Second; time.Sleep(100 * time.Millisecond) {
				if packet > 0 && time.Since(began) > packet {
					packet = 0
					d.touch(t, here, 120*time.Second)
				}
				if err := d.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			if got, there := d.find(t, news); !there || (got.Entry.Mark == 7) != tt.taken {
				t.Errorf("there: %v; taken behind that: %v, want %v", there, !tt.taken, tt.taken)
			}
			if n := d.counters.Counts.Value(conntrackclass.Retried); n != tt.tries {
				t.Errorf("%d counted, want %d", n, tt.tries)
			}
		})
	}
}

func TestWhatIsNotTakenIsCounted(t *testing.T) {
	d := newDirector(t)
	d.make(t, time.Minute, ctnetlinktest.Flow(conntrack.UDP, "192.0.2.9:9", "203.0.113.1:53", func(e *conntrack.Entry) { e.Reply.Source = addr("10.0.0.1:53") }))
	expired := ctnetlinktest.Flow(conntrack.UDP, "192.0.2.1:1", "198.51.100.1:53", func(e *conntrack.Entry) { e.Timeout, e.Age = time.Minute, 2*time.Minute })
	clashing := ctnetlinktest.Flow(conntrack.UDP, "192.0.2.9:9", "10.0.0.1:53", func(e *conntrack.Entry) { e.Timeout = time.Minute })
	d.hears(t, bodyOf(t, expired, clashing))
	if n := d.counters.Counts.Value(conntrackclass.Expired); n != 1 {
		t.Errorf("%d expired", n)
	}
	if n := d.counters.Refused.Value(conntrackclass.RefusedClash); n != 1 {
		t.Errorf("%d with the reply of another", n)
	}
	if n := d.counters.Counts.Value(conntrackclass.Created); n != 0 {
		t.Errorf("%d created", n)
	}
}

func TestACopyWithoutWhatTheKernelLacksIsBetterThanNone(t *testing.T) {
	e := ctnetlinktest.Flow(conntrack.TCP, "192.0.2.1:1", "198.51.100.1:21", func(e *conntrack.Entry) {
		e.Timeout, e.Helper = time.Minute, "no-such-helper"
	})
	before := e // of the same tuple
	before.Helper, before.Age = "", 10*time.Second
	before.Reply.Source, before.Status = addr("10.0.0.1:8080"), e.Status|conntrack.DestNAT
	for _, tt := range []struct {
		name  string
		hears []conntrack.Entry
	}{
		{"a new one", []conntrack.Entry{e}},
		{"in the place of another connection", []conntrack.Entry{before, e}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDirector(t)
			for _, heard := range tt.hears {
				d.hears(t, bodyOf(t, heard))
			}
			if got, ok := d.find(t, e); !ok || got.Entry.Reply != e.Reply {
				t.Errorf("there: %v, %v", ok, &got.Entry)
			}
			if n := d.counters.Troubles.Value(conntrackclass.WithoutExtra); n != 1 {
				t.Errorf("%d counted", n)
			}
		})
	}
}

// Without a rule that asks for labels the kernel has no room for them: it makes an
// entry without, and refuses a change of one that has any.
func TestACopyIsChangedWhetherThereIsRoomForLabelsOrNot(t *testing.T) {
	for _, rule := range []bool{false, true} {
		t.Run(fmt.Sprintf("rule=%v", rule), func(t *testing.T) {
			d := newDirector(t)
			if rule {
				d.rules(t, "table inet t {\nchain c {\nct label 1\n}\n}\n")
			}
			e := ctnetlinktest.Flow(conntrack.TCP, "192.0.2.1:1", "198.51.100.1:443", func(e *conntrack.Entry) {
				e.Timeout, e.Age, e.Labels = time.Minute, time.Second, [16]byte{1}
			})
			d.hears(t, bodyOf(t, e))
			e.State, e.Timeout, e.Age, e.Labels[0] = conntrack.TCPCloseWait, 3*time.Minute, 0, 2
			d.hears(t, bodyOf(t, e))
			if !rule {
				e.Labels = [16]byte{}
			}
			if got, ok := d.find(t, e); !ok || got.Entry.State != e.State || got.Entry.Labels != e.Labels || got.TimeLeft < 2*time.Minute {
				t.Errorf("got %v, labels %x, %v left", &got.Entry, got.Entry.Labels, got.TimeLeft)
			}
			if n := d.counters.Counts.Value(conntrackclass.Updated); n != 1 {
				t.Errorf("%d updated", n)
			}
			if own := entriesOf(t, d.walked(t, cluster.Owned)); len(own) != 0 {
				t.Errorf("it is told as our own: %v", own)
			}
		})
	}
}

func TestLostEventsAreSaid(t *testing.T) {
	d := newDirector(t, func(o *conntrackclass.Options) { o.Buffer = 1 })
	d.make(t, time.Minute, ctnetlinktest.Numbered(conntrack.UDP, 100)...)
	out := cluster.NewOutbox(room)
	if r, err := d.News(out); err != nil || !r.Lost {
		t.Errorf("%+v, %v", r, err)
	}
	if got := entriesOf(t, d.walked(t, cluster.Owned)); len(got) != 100 {
		t.Errorf("%d entries are told again", len(got))
	}
}

func TestALargeTableIsWalkedWhole(t *testing.T) {
	a, b := newDirector(t), newDirector(t)
	const n = 5000
	list := ctnetlinktest.Numbered(conntrack.UDP, n)
	for part := range slices.Chunk(list, 50) {
		var batch []byte
		for i := range part {
			batch = ctnetlink.AppendCreate(batch, 1, &part[i], 100*time.Second)
		}
		if got := a.ask(t, batch); len(got) != 0 {
			t.Fatal(got[0].Errno)
		}
	}
	b.hears(t, a.walked(t, cluster.All))
	if got := b.counters.Counts.Value(conntrackclass.Created); got != n {
		t.Errorf("%d of %d copies", got, n)
	}
	if got := len(entriesOf(t, b.walked(t, cluster.All))); got != n {
		t.Errorf("%d of %d", got, n)
	}
	if got := len(entriesOf(t, b.walked(t, cluster.Owned))); got != 0 {
		t.Errorf("%d copies are told as own", got)
	}
}

// UDP has its turn in each third of its timeout, TCP in each third of that which
// a segment without an acknowledgement has; what had no packet since then has
// none.
func TestWhatIsDue(t *testing.T) {
	d := newDirector(t)
	udp, tcp := ctnetlinktest.Numbered(conntrack.UDP, 100), ctnetlinktest.Numbered(conntrack.TCP, 100)
	d.make(t, 119*time.Second, udp...)
	d.make(t, 5*24*time.Hour-time.Second, tcp...)
	quiet := ctnetlinktest.Flow(conntrack.UDP, "192.0.2.1:1", "198.51.100.2:53")
	d.make(t, 10*time.Second, quiet) // of 120
	d.told(t)
	count := make(map[conntrack.Protocol]int)
	const turns = 120 / 3 / 10 // and 10 of TCP
	for range turns {
		for _, e := range entriesOf(t, d.walked(t, cluster.Due)) {
			count[e.Protocol]++
			if e.Key() == quiet.Key() {
				t.Error("one without packets is told")
			}
		}
	}
	if count[conntrack.UDP] != 100 || count[conntrack.TCP] == 0 || count[conntrack.TCP] > 80 {
		t.Errorf("%v", count)
	}
}

// A segment that is not acknowledged makes a lifetime short. Peers that were told
// of that hear of the whole one soon enough when it is, although that one
// has its turn in days.
func TestALifetimeThatWasToldAsShortIsToldAnew(t *testing.T) {
	d := newDirector(t)
	list := ctnetlinktest.Numbered(conntrack.TCP, 50)
	d.make(t, 299*time.Second, list...) // of 300, unacknowledged
	d.told(t)
	for i := range list {
		d.touch(t, list[i], 5*24*time.Hour-time.Second)
	}
	d.told(t)
	const turns = 300 / 3 / 10
	told := make(map[conntrack.Key]bool)
	for range turns {
		for _, e := range entriesOf(t, d.walked(t, cluster.Due)) {
			if e.Remaining() > time.Hour {
				told[e.Key()] = true
			}
		}
	}
	if len(told) != len(list) {
		t.Errorf("%d of %d are told in the time that is left of the short one", len(told), len(list))
	}
}

func TestAFullTableOfCopiesIsCounted(t *testing.T) {
	d := newDirector(t, func(o *conntrackclass.Options) { o.MaxCopies = 10 })
	list := ctnetlinktest.Numbered(conntrack.UDP, 12)
	for i := range list {
		list[i].Timeout = time.Minute
	}
	d.hears(t, bodyOf(t, list...))
	if n := d.counters.Troubles.Value(conntrackclass.CopiesFull); n != 2 {
		t.Errorf("%d counted", n)
	}
	if got := entriesOf(t, d.walked(t, cluster.Owned)); len(got) != 2 {
		t.Errorf("%d pass for own", len(got))
	}
}

func TestFilter(t *testing.T) {
	web := ctnetlinktest.Flow(conntrack.TCP, "192.0.2.1:1", "198.51.100.1:80")
	closing := ctnetlinktest.Flow(conntrack.TCP, "192.0.2.1:2", "198.51.100.1:80", func(e *conntrack.Entry) { e.State = conntrack.TCPTimeWait })
	dns := ctnetlinktest.Flow(conntrack.UDP, "10.1.0.1:1", "198.51.100.2:53", func(e *conntrack.Entry) {
		e.Reply.Destination, e.Status = addr("203.0.113.1:1"), e.Status|conntrack.SourceNAT
	})
	never := []conntrack.Entry{
		ctnetlinktest.Flow(112, "192.0.2.1:0", "192.0.2.2:0"),
		ctnetlinktest.Flow(114, "192.0.2.1:0", "224.0.0.81:0"),
		ctnetlinktest.Flow(conntrack.UDP, "192.0.2.1:1", "239.0.0.1:1"),
		ctnetlinktest.Flow(conntrack.UDP, "127.0.0.1:1", "127.0.0.1:53"),
	}
	for _, tt := range []struct {
		name   string
		filter conntrackclass.Filter
		want   []conntrack.Entry
	}{
		{"none", conntrackclass.Filter{}, []conntrack.Entry{web, closing, dns}},
		{"a protocol", conntrackclass.Filter{Protocols: []conntrack.Protocol{conntrack.UDP}}, []conntrack.Entry{dns}},
		{"a state, of protocols that have any", conntrackclass.Filter{States: []string{"ESTABLISHED"}}, []conntrack.Entry{web, dns}},
		{"a network", conntrackclass.Filter{Networks: prefixes("192.0.2.0/24")}, []conntrack.Entry{web, closing}},
		{"a network behind NAT", conntrackclass.Filter{Networks: prefixes("203.0.113.0/24")}, []conntrack.Entry{dns}},
		{"except a network", conntrackclass.Filter{Except: prefixes("198.51.100.2/32")}, []conntrack.Entry{web, closing}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDirector(t, func(o *conntrackclass.Options) { o.Filter = tt.filter })
			d.make(t, 100*time.Second, append(never, web, closing, dns)...)
			var got, want []conntrack.Key
			for _, e := range entriesOf(t, d.walked(t, cluster.All)) {
				got = append(got, e.Key())
			}
			for _, e := range tt.want {
				want = append(want, e.Key())
			}
			if len(got) != len(want) {
				t.Fatalf("got %v, want %v", got, want)
			}
			for _, k := range want {
				if !slices.Contains(got, k) {
					t.Errorf("%v is missing", k)
				}
			}
		})
	}
	if _, err := conntrackclass.Open(conntrackclass.Options{Filter: conntrackclass.Filter{States: []string{"OPEN"}}}); !errors.Is(err, conntrackclass.ErrState) {
		t.Errorf("a state that there is not: %v", err)
	}
}
