package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ssyncp/ssyncp/lab/bench/figure"
	"github.com/ssyncp/ssyncp/lab/build"
)

// titles of contestants, in the order of the columns.
var titles = map[figure.Contestant]string{
	figure.None:   "no sync, in all",
	figure.Master: "in-kernel master",
	figure.Read:   "ssyncp: hook and read",
	figure.Daemon: "ssyncp: ssyncpd, all in",
}

// Targets.
const (
	packetTarget = 50.0 // instructions over no sync
	wholeTarget  = 0.6  // hook and read over the in-kernel master
)

// report prints what was measured: the cost of each contestant, what it told for
// that, and whether the targets are met.
func report(w io.Writer, kernel build.Kernel, set figure.Set) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Linux %s (%s). Instructions over no sync: median (lowest to highest) of the repetitions.\n\n",
		kernel.Release, kernel.Version)
	for _, section := range []func(*strings.Builder, figure.Set) error{costs, told, targets} {
		if err := section(&b, set); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// played are the loads that a run had.
func played(set figure.Set) (loads []string) {
	for _, load := range figure.Loads {
		if len(set.Select(load, figure.None)) > 0 {
			loads = append(loads, load)
		}
	}
	return loads
}

func costs(b *strings.Builder, set figure.Set) error {
	row(b, "load", "size", titles[figure.None], titles[figure.Master], titles[figure.Read], titles[figure.Daemon])
	row(b, "---", "---", "---:", "---:", "---:", "---:")
	for _, load := range played(set) {
		without := set.Select(load, figure.None)
		connections, packets := 0, 0
		for _, m := range without {
			connections += m.Connections
			packets += m.Packets
		}
		base, err := set.Cost(load, figure.None)
		if err != nil {
			return err
		}
		cells := []string{
			title(load, without[0]),
			fmt.Sprintf("%d connections, %d packets", connections, packets),
			spread("%.0f", base),
		}
		for _, c := range figure.Contestants[1:] {
			extra, err := set.Extra(load, c)
			if err != nil {
				return err
			}
			cells = append(cells, spread("%+.0f", extra))
		}
		row(b, cells...)
	}
	b.WriteByte('\n')
	return nil
}

// title names a load, with the life of its connections where they have one.
func title(load string, m figure.Measurement) string {
	if m.Steps == 1 {
		return load
	}
	life, unit := m.Life(), time.Millisecond
	if life < unit {
		unit = time.Microsecond
	}
	return fmt.Sprintf("%s: %v", load, life.Round(unit))
}

func told(b *strings.Builder, set figure.Set) error {
	b.WriteString("What peers are told for it, per 1,000 connections or packets:\n\n")
	row(b, "load", "in-kernel master", "ssyncp: hook and read", "ssyncp: ssyncpd, all in")
	row(b, "---", "---", "---", "---")
	for _, load := range played(set) {
		cells := []string{load}
		for _, c := range figure.Contestants[1:] {
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
			case figure.Master:
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

func targets(b *strings.Builder, set figure.Set) error {
	b.WriteString("Targets, for ssyncp's hook and read:\n\n")
	row(b, "load", "target", "measured", "")
	row(b, "---", "---", "---:", "---")
	for _, load := range played(set) {
		extra, err := set.Extra(load, figure.Read)
		if err != nil {
			return err
		}
		switch load {
		case figure.PacketIn, figure.PacketOut:
			row(b, load, fmt.Sprintf("at most %.0f", packetTarget), fmt.Sprintf("%.0f", extra.Median),
				verdict(extra.Median, packetTarget))
		case figure.WholeAtOnce, figure.WholeShort, figure.WholeLong:
			master, err := set.Extra(load, figure.Master)
			if err != nil {
				return err
			}
			ratio := extra.Median / master.Median
			row(b, load, fmt.Sprintf("at most %.1f of the in-kernel master", wholeTarget),
				fmt.Sprintf("%.2f", ratio), verdict(ratio, wholeTarget))
		}
	}
	return nil
}

func verdict(measured, target float64) string {
	if measured <= target {
		return "met"
	}
	return fmt.Sprintf("**missed** by %.0f %%", 100*(measured/target-1))
}

func spread(format string, s figure.Summary) string {
	return fmt.Sprintf(format+" ("+format+" to "+format+")", s.Median, s.Min, s.Max)
}

func row(b *strings.Builder, cells ...string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}
