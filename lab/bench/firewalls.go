package main

import (
	"fmt"
	"strings"

	"github.com/ssyncp/ssyncp/lab/bench/figure"
)

// firewalls is what it costs a director that is a firewall to tell its peers, and
// what it sends for that.
func firewalls(b *strings.Builder, set figure.Set) error {
	loads := played(set, figure.Firewalls, figure.None)
	if len(loads) == 0 {
		return nil
	}
	all := []figure.Contestant{figure.Conntrackd, figure.Entries}
	b.WriteString("A firewall without IPVS that sends, over no sync, for a connection, and what is on the link for 1,000 of them:\n\n")
	table(b, "load", append([]string{titles[figure.None]}, titlesOf(all)...)...)
	for _, load := range loads {
		base, err := set.Cost(load, figure.None)
		if err != nil {
			return err
		}
		cells := []string{title(load, set.Select(load, figure.None)), spread("%.0f", base)}
		for _, c := range all {
			if !set.Has(load, c) {
				cells = append(cells, "")
				continue
			}
			extra, err := set.Extra(load, c)
			if err != nil {
				return err
			}
			var units, packets, bytes float64
			for _, m := range set.Select(load, c) {
				units, packets, bytes = units+float64(m.Units)/1000, packets+float64(m.Adverts), bytes+float64(m.AdvertBytes)
			}
			cells = append(cells, fmt.Sprintf("%s; %.0f packets, %.0f bytes", spread("%+.0f", extra), packets/units, bytes/units))
		}
		row(b, cells...)
	}
	b.WriteByte('\n')
	return nil
}
