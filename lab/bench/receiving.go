package main

import (
	"strings"

	"github.com/ssyncp/ssyncp/lab/bench/figure"
)

// receivers, in the order of the columns.
var receivers = []figure.Contestant{figure.Bare, figure.Backup, figure.Write, figure.Daemon}

// receiving is what it costs a director to take in what peers tell.
func receiving(b *strings.Builder, set figure.Set) error {
	loads := played(set, figure.Receivers, figure.Write)
	if len(loads) == 0 {
		return nil
	}
	b.WriteString("A director that receives, for an entry, net of what sending it takes:\n\n")
	table(b, "load", titlesOf(receivers)...)
	return costs(b, set, loads, receivers)
}

// snapshots is what it costs to read a whole table.
func snapshots(b *strings.Builder, set figure.Set) error {
	loads := played(set, figure.Snapshots, figure.Read)
	if len(loads) == 0 {
		return nil
	}
	b.WriteString("A snapshot, for a connection:\n\n")
	table(b, "load", "read", "read, decoded and encoded")
	return costs(b, set, loads, []figure.Contestant{figure.Read, figure.Encode})
}

// costs are rows with the whole cost of each contestant that took part.
func costs(b *strings.Builder, set figure.Set, loads []string, contestants []figure.Contestant) error {
	for _, load := range loads {
		cells := []string{load}
		for _, c := range contestants {
			if !set.Has(load, c) {
				cells = append(cells, "")
				continue
			}
			cost, err := set.Cost(load, c)
			if err != nil {
				return err
			}
			cells = append(cells, spread("%.0f", cost))
		}
		row(b, cells...)
	}
	b.WriteByte('\n')
	return nil
}
