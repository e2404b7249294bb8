package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/ssyncp/ssyncp/lab/bench/figure"
)

// titles of contestants.
var titles = map[figure.Contestant]string{
	figure.None:        "no sync, in all",
	figure.Loaded:      "ssyncp.ko, nobody attached",
	figure.Master:      "in-kernel master",
	figure.MasterEvery: "the same, `0 1`",
	figure.Read:        "ssyncp: hook and read",
	figure.Daemon:      "ssyncp: ssyncpd, all in",
	figure.Conntrackd:  "conntrackd, FT-FW",
	figure.Entries:     "ssyncpd with `conntrack.enabled`",
	figure.Bare:        "bare `ip_vs_conn_new()`",
	figure.Backup:      "in-kernel backup",
	figure.Write:       "ssyncp: write()",
}

// sending is what it costs a director to tell its peers.
func sending(b *strings.Builder, set figure.Set) error {
	loads := played(set, figure.Senders, figure.None)
	if len(loads) == 0 {
		return nil
	}
	b.WriteString("A director that sends, over no sync, for a connection or a packet:\n\n")
	table(b, "load", titlesOf(figure.Contestants)...)
	for _, load := range loads {
		base, err := set.Cost(load, figure.None)
		if err != nil {
			return err
		}
		cells := []string{title(load, set.Select(load, figure.None)), spread("%.0f", base)}
		for _, c := range figure.Contestants[1:] {
			if !set.Has(load, c) {
				cells = append(cells, "")
				continue
			}
			extra, err := set.Extra(load, c)
			if err != nil {
				return err
			}
			cells = append(cells, spread("%+.0f", extra))
		}
		row(b, cells...)
	}
	b.WriteByte('\n')
	return loaded(b, set, loads)
}

// loaded says what a module costs that nobody is attached to. It has no code in
// the packet path, or the run would have failed: any difference is what counts
// are off by.
func loaded(b *strings.Builder, set figure.Set, loads []string) error {
	for _, load := range loads {
		if !set.Has(load, figure.Loaded) {
			continue
		}
		extra, err := set.Extra(load, figure.Loaded)
		if err != nil {
			return err
		}
		fmt.Fprintf(b, "%s, %s: state_transition is the original, %s.\n\n", titles[figure.Loaded], load, spread("%+.1f", extra))
	}
	return nil
}

func titlesOf(contestants []figure.Contestant) (names []string) {
	for _, c := range contestants {
		names = append(names, titles[c])
	}
	return names
}

// title names a load, with the life of its connections where they have one.
func title(load string, measured map[int]figure.Measurement) string {
	for _, m := range measured {
		if m.Steps == 1 {
			break
		}
		life, unit := m.Life(), time.Millisecond
		if life < unit {
			unit = time.Microsecond
		}
		return fmt.Sprintf("%s: %v", load, life.Round(unit))
	}
	return load
}

// told is what peers get to know for it.
func told(b *strings.Builder, set figure.Set) error {
	loads := played(set, figure.Senders, figure.None)
	if len(loads) == 0 {
		return nil
	}
	b.WriteString("What peers are told for it, per 1,000 connections or packets:\n\n")
	table(b, "load", titlesOf(figure.Contestants[1:])...)
	for _, load := range loads {
		cells := []string{load}
		for _, c := range figure.Contestants[1:] {
			if !set.Has(load, c) {
				cells = append(cells, "")
				continue
			}
			var units, records, adverts, bytes float64
			for _, m := range set.Select(load, c) {
				units += float64(m.Units) / 1000
				records += float64(m.Records)
				adverts += float64(m.Adverts)
				bytes += float64(m.AdvertBytes)
			}
			sent := fmt.Sprintf("%.1f adverts, %.0f bytes", adverts/units, bytes/units)
			read := fmt.Sprintf("%.0f records", records/units)
			switch c {
			case figure.Master, figure.MasterEvery:
				cells = append(cells, sent)
			case figure.Read:
				cells = append(cells, read)
			default:
				cells = append(cells, read+", "+sent)
			}
		}
		row(b, cells...)
	}
	b.WriteByte('\n')
	return nil
}
