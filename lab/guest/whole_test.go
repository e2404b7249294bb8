package guest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// A holding is a connection in a director's table.
type holding struct {
	ipvs.Conn
	heard, expires time.Time // its last packet, and its end without another one
}

// holdings returns a director's table. It is large and read in parts: each entry
// has the times of its own part.
func holdings(t testing.TB, d *director.Director) map[ipvs.Key]holding {
	t.Helper()
	device := d.Attach(t, chardev.AttachOptions{Mode: chardev.ModeSnapshot})
	defer device.Close()
	found := make(map[ipvs.Key]holding)
	at := time.Now()
	batch := chardev.NewBatch(chardev.DefaultBatchSize)
	reader := timedReader{device, &at}
	for c, err := range chardev.Snapshot(t.Context(), reader, batch) {
		if err != nil {
			t.Fatal(err)
		}
		h := holding{Conn: c.Clone(), heard: at.Add(-c.Age)}
		h.expires = at.Add(c.Remaining())
		found[c.Key()] = h
	}
	return found
}

type timedReader struct {
	chardev.BatchReader
	at *time.Time
}

func (r timedReader) ReadBatch(b *chardev.Batch) (bool, error) {
	some, err := r.BatchReader.ReadBatch(b)
	*r.at = time.Now()
	return some, err
}

// A difference is what one table has and another has not, or not alike.
type difference struct {
	missing, extra, differing, lifetimes int
	longest                              time.Duration // between two ends of a life
	examples                             []string
}

func (d *difference) none() bool { return d.missing+d.extra+d.differing+d.lifetimes == 0 }

func (d *difference) String() string {
	return fmt.Sprintf("%d missing, %d extra, %d differing, %d with another lifetime (up to %v)\n%s",
		d.missing, d.extra, d.differing, d.lifetimes, d.longest, strings.Join(d.examples, "\n"))
}

func (d *difference) note(count *int, format string, args ...any) {
	if *count++; len(d.examples) < 10 {
		d.examples = append(d.examples, fmt.Sprintf(format, args...))
	}
}

// compareTables compares a table with the one that it ought to be like. What is
// about to end may have ended in one of the two. What had a packet since then is
// left out: it may not have been told yet; and what its owner has not told and
// will not, as it was over before.
func compareTables(want, got map[ipvs.Key]holding, then time.Time) *difference {
	d := &difference{}
	dying := func(h holding) bool { return time.Until(h.expires) < lifetimesApart }
	recent := func(h holding) bool { return h.heard.After(then) }
	for key, w := range want {
		g, has := got[key]
		switch {
		case recent(w) || has && recent(g) || dying(w) || w.Marks&ipvs.MarkKnown == 0 && closing(w):
		case !has:
			d.note(&d.missing, "missing: %v", &w.Conn)
		default:
			d.compare(w, g)
		}
	}
	for key, g := range got {
		if _, has := want[key]; !has && !recent(g) && !dying(g) {
			d.note(&d.extra, "extra: %v", &g.Conn)
		}
	}
	return d
}

func closing(h holding) bool {
	switch h.State {
	case ipvs.TCPTimeWait, ipvs.TCPClose, ipvs.TCPLastAck:
		return h.Protocol == ipvs.TCP && !h.Template()
	}
	return false
}

func (d *difference) compare(w, g holding) {
	apart := w.expires.Sub(g.expires).Abs()
	d.longest = max(d.longest, apart)
	switch {
	case w.State != g.State || w.Dest != g.Dest || w.Fwmark != g.Fwmark ||
		(w.Flags^g.Flags)&^ownFlags != 0 || (w.Marks^g.Marks)&ipvs.MarkBound != 0:
		d.note(&d.differing, "want %v, %v\n got %v, %v", &w.Conn, w.Flags, &g.Conn, g.Flags)
	case apart > lifetimesApart:
		d.note(&d.lifetimes, "%v apart: want %v, got %v", apart, &w.Conn, &g.Conn)
	}
}

// sameTables waits until the tables of directors are alike, and returns how many
// entries they have.
func sameTables(t testing.TB, limit time.Duration, directors ...*director.Director) int {
	t.Helper()
	first := directors[0]
	for began := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		want := holdings(t, first)
		done := true
		for _, d := range directors[1:] {
			difference := compareTables(want, holdings(t, d), time.Now())
			if difference.none() {
				continue
			}
			if done = false; time.Since(began) > limit {
				t.Fatalf("after %v, %s against %s with %d: %v", limit, d.Name, first.Name, len(want), difference)
			}
			break
		}
		if done {
			return len(want)
		}
	}
}
