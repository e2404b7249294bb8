package guest

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// mirrored waits until director b has each stream as its owner a has it, field
// by field.
func mirrored(t testing.TB, a, b *director.Director, streams ...*traffic.Stream) {
	t.Helper()
	var apart []string
	eventually(t, 10*time.Second, func() bool {
		apart = nil
		onA, onB := connections(t, a), connections(t, b)
		for _, s := range streams {
			own, has := onA[s.Local()]
			copied, copiedHas := onB[s.Local()]
			if !has || !copiedHas {
				apart = append(apart, fmt.Sprintf("%v: on %s: %t, on %s: %t", s.Local(), a.Name, has, b.Name, copiedHas))
			} else if difference := differs(own, copied); difference != "" {
				apart = append(apart, difference)
			}
		}
		return len(apart) == 0
	}, "the copies are not as their originals")
	if len(apart) != 0 {
		t.Fatal(apart)
	}
}

// differs says in what a copy is not as its original. It may have seen more or
// less of the real server's packets, if that is one of the directors, and
// lives no longer.
func differs(own, copied ipvs.Conn) string {
	const slack = 2 * time.Second // between two snapshots, and on the way
	longer := copied.Remaining() - own.Remaining()
	comparable := func(c ipvs.Conn) ipvs.Conn {
		c.Flags &= ipvs.FlagBackupMask &^ ipvs.FlagNoOutput
		c.Age, c.Advert, c.Marks = 0, 0, c.Marks&ipvs.MarkBound
		return c
	}
	a, b := fmt.Sprintf("%+v", comparable(own)), fmt.Sprintf("%+v", comparable(copied))
	if a != b || longer > slack || copied.Flags&ipvs.FlagSync == 0 {
		return fmt.Sprintf("original %s, copy %s, which lives %v longer", a, b, longer)
	}
	return ""
}

// connections returns a director's table by the client's address and port,
// templates left out.
func connections(t testing.TB, d *director.Director) map[netip.AddrPort]ipvs.Conn {
	t.Helper()
	found := make(map[netip.AddrPort]ipvs.Conn)
	for _, c := range snapshot(t, d, false) {
		if !c.Template() {
			found[c.Client] = c
		}
	}
	return found
}
