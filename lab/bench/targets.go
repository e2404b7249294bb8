package main

import (
	"fmt"
	"strings"

	"github.com/ssyncp/ssyncp/lab/bench/figure"
)

// A target is a limit of a cost, or of its ratio to somebody else's.
type target struct {
	load  string
	who   figure.Contestant
	limit float64
	over  figure.Contestant // the ratio to this one
	whole bool              // the whole cost, not what is over no sync
}

var targetsOf = []target{
	{load: figure.PacketIn, who: figure.Read, limit: 30},
	{load: figure.PacketOut, who: figure.Read, limit: 30},
	{load: figure.WholeAtOnce, who: figure.Read, limit: 0.4, over: figure.Master},
	{load: figure.WholeShort, who: figure.Read, limit: 0.4, over: figure.Master},
	{load: figure.WholeLong, who: figure.Read, limit: 0.4, over: figure.Master},
	{load: figure.WholeAtOnce, who: figure.Daemon, limit: 1, over: figure.Master},
	{load: figure.WholeShort, who: figure.Daemon, limit: 1, over: figure.Master},
	{load: figure.WholeLong, who: figure.Daemon, limit: 1, over: figure.Master},
	{load: figure.ReceiveNew, who: figure.Write, limit: 1.1, over: figure.Bare, whole: true},
	{load: figure.SnapshotSmall, who: figure.Encode, limit: 300, whole: true},
	{load: figure.SnapshotLarge, who: figure.Encode, limit: 300, whole: true},
}

// targets says which are met.
func targets(b *strings.Builder, set figure.Set) error {
	b.WriteString("Targets:\n\n")
	table(b, "load", "who", "target", "measured", "")
	for _, t := range targetsOf {
		if !set.Has(t.load, t.who) || t.over != "" && !set.Has(t.load, t.over) {
			continue
		}
		measured, err := t.measure(set, t.who)
		if err != nil {
			return err
		}
		want := fmt.Sprintf("at most %.0f", t.limit)
		figures := fmt.Sprintf("%.0f", measured)
		if t.over != "" {
			base, err := t.measure(set, t.over)
			if err != nil {
				return err
			}
			measured /= base
			want = fmt.Sprintf("at most %.1f of %s", t.limit, titles[t.over])
			figures = fmt.Sprintf("%.2f", measured)
		}
		who := titles[t.who]
		if t.who == figure.Encode {
			who = "read, decoded and encoded"
		}
		row(b, t.load, who, want, figures, verdict(measured, t.limit))
	}
	return nil
}

func (t target) measure(set figure.Set, c figure.Contestant) (float64, error) {
	summary, err := set.Extra(t.load, c)
	if t.whole {
		summary, err = set.Cost(t.load, c)
	}
	return summary.Median, err
}

func verdict(measured, limit float64) string {
	if measured <= limit {
		return "met"
	}
	return fmt.Sprintf("**missed** by %.0f %%", 100*(measured/limit-1))
}
