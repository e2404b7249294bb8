package conntrackclass_test

import (
	"math"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/conntrackclass"
	"github.com/ssyncp/ssyncp/internal/ctnetlink/ctnetlinktest"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

// What a peer with the key may say, and mean harm by: none of it touches a
// connection that has packets here.
func TestForgedNewsTouchesNothingInUse(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*conntrack.Entry)
	}{
		{"it has ended", func(e *conntrack.Entry) { e.Timeout = 0 }},
		{"it is closed", func(e *conntrack.Entry) { e.State, e.Timeout = conntrack.TCPClose, 10*time.Second }},
		{"it is about to expire", func(e *conntrack.Entry) { e.Timeout = 2 * time.Second }},
		{"it lives for weeks", func(e *conntrack.Entry) { e.Timeout = math.MaxUint32 * time.Millisecond }},
		{"it goes elsewhere", func(e *conntrack.Entry) {
			e.Reply.Source, e.Status = addr("203.0.113.66:6666"), e.Status|conntrack.DestNAT
		}},
		{"it comes from elsewhere", func(e *conntrack.Entry) {
			e.Reply.Destination, e.Status = addr("203.0.113.66:6666"), e.Status|conntrack.SourceNAT
		}},
		{"it has a mark", func(e *conntrack.Entry) { e.Mark = 666 }},
		{"its sequence numbers move", func(e *conntrack.Entry) {
			e.Status |= conntrack.SeqAdjusted
			e.Adjust = [2]conntrack.Adjustment{{Position: 1, After: 7}, {Position: 1, After: 7}}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDirector(t)
			e := ctnetlinktest.Flow(conntrack.TCP, "192.0.2.1:40000", "198.51.100.1:443")
			d.make(t, 5*24*time.Hour, e) // a packet just now
			before, _ := d.find(t, e)
			forged := e
			forged.Timeout = 5 * 24 * time.Hour
			tt.change(&forged)
			d.hears(t, bodyOf(t, forged))
			after, there := d.find(t, e)
			if !there || after.Entry != before.Entry || after.TimeLeft > before.TimeLeft || before.TimeLeft-after.TimeLeft > 2*time.Second {
				t.Errorf("there: %v\nnow %+v, %v left\nwas %+v, %v left", there, after.Entry, after.TimeLeft, before.Entry, before.TimeLeft)
			}
			if n := d.counters.Counts.Value(conntrackclass.Local); n != 1 {
				t.Errorf("%d counted", n)
			}
		})
	}
}

// Of an entry's status a peer sets what it has to know, and nothing that is the
// kernel's own.
func TestForgedStatusIsTheKernelsOwn(t *testing.T) {
	d := newDirector(t)
	honest := ctnetlinktest.Flow(conntrack.TCP, "192.0.2.1:40000", "198.51.100.1:443")
	forged := honest
	forged.Original.Source, forged.Timeout = addr("192.0.2.1:40001"), time.Minute
	forged.Reply = forged.Untranslated()
	// All but what begins a translation, or is refused before it is looked at.
	forged.Status = ^(conntrack.SourceNAT | conntrack.DestNAT | conntrack.SeqAdjusted | dying)
	d.make(t, time.Minute, honest)
	d.hears(t, bodyOf(t, forged))
	want, _ := d.find(t, honest)
	if got, there := d.find(t, forged); !there || got.Entry.Status != want.Entry.Status {
		t.Errorf("there: %v, status %#x, an honest one has %#x", there, got.Entry.Status, want.Entry.Status)
	}
}

// dying is IPS_DYING.
const dying conntrack.Status = 0x200

// No news makes a copy live longer than what the wire has room for.
func TestForgedTimeoutHasAnEnd(t *testing.T) {
	const most = math.MaxUint32 * time.Millisecond
	d := newDirector(t)
	e := ctnetlinktest.Flow(conntrack.UDP, "192.0.2.1:40000", "198.51.100.1:53", func(e *conntrack.Entry) { e.Timeout = most })
	d.hears(t, bodyOf(t, e))
	if got, there := d.find(t, e); !there || got.TimeLeft > most {
		t.Errorf("there: %v, %v left", there, got.TimeLeft)
	}
}
