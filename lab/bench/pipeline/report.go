package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/ssyncp/ssyncp/lab/bench/chart"
	"github.com/ssyncp/ssyncp/lab/bench/figure"
)

// Targets.
const (
	wantMillions = 2.0                  // entries a second
	wantAllocs   = 1.0                  // for 1,000 entries: what is made for a frame is none for an entry
	wantLate     = 5 * time.Millisecond // over the period, at p99
)

func (r *result) report(o options) string {
	var b strings.Builder
	row := func(cells ...string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	spread := func(values []float64, format string) string {
		s := summary(values)
		return fmt.Sprintf(format+" ("+format+" to "+format+")", s.Median, s.Min, s.Max)
	}
	verdict := func(met bool) string {
		if met {
			return "met"
		}
		return "**missed**"
	}
	row("", "target", "measured", "")
	row("---", "---:", "---:", "---")
	for _, side := range []struct {
		name                string
		cpu, wall, allocs   []float64
		allocsOf, wallTitle string
	}{
		{"sending", r.sending, r.sent, r.sendAllocs, "sending", "sent"},
		{"receiving", r.receiving, r.received, r.recvAllocs, "receiving", "received"},
	} {
		row(side.name+", M entries a second of one processor's time", fmt.Sprintf("at least %.0f", wantMillions),
			spread(side.cpu, "%.2f"), verdict(summary(side.cpu).Median >= wantMillions))
		row(side.wallTitle+" meanwhile, M entries a second", "", spread(side.wall, "%.2f"), "")
		row(side.name+", allocations for 1,000 entries", fmt.Sprintf("below %.0f", wantAllocs),
			spread(side.allocs, "%.2f"), verdict(summary(side.allocs).Median < wantAllocs))
	}
	row(fmt.Sprintf("written of those told at %.0f M entries a second, in all", wantMillions), "all of them",
		fmt.Sprintf("%d of %d", r.held.written, r.held.told), verdict(r.held.written >= r.held.told))
	row("not as they were told, of all that were written", "0", fmt.Sprint(r.all.wrong+r.held.wrong), verdict(r.all.wrong+r.held.wrong == 0))
	limit := o.period + wantLate
	for i, part := range parts {
		name := fmt.Sprintf("from the queue to the peer's device, %d entries a second, p%g", o.rate, part*100)
		if part == 1 {
			name = "the longest of these"
		}
		target, met := "", ""
		if part == 0.99 {
			target, met = fmt.Sprintf("at most %v", limit), verdict(r.late[i] <= limit)
		}
		row(name, target, fmt.Sprintf("%.2f ms", r.late[i].Seconds()*1000), met)
	}
	fmt.Fprintf(&b, "\n%d samples of latency. Where the sender told as much as it could, %d of %d entries were written: the rest found no room.\n",
		r.samples, r.all.written, r.all.told)
	for _, line := range r.counted {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	return b.String()
}

func (r *result) drawing(o options) string {
	target := func(v float64) chart.Bar {
		return chart.Bar{Title: "target", Class: chart.Kernel, Value: figure.Summary{Median: v, Min: v, Max: v}}
	}
	ours := func(title string, values ...float64) chart.Bar {
		return chart.Bar{Title: title, Class: chart.Ours, Value: summary(values)}
	}
	late := chart.Group{Title: "From the queue to the peer's device, ms", Format: "%.1f"}
	for i, part := range parts {
		if part < 1 {
			late.Bars = append(late.Bars, ours(fmt.Sprintf("p%g", part*100), r.late[i].Seconds()*1000))
		}
		if part == 0.99 {
			late.Bars = append(late.Bars, target((o.period+wantLate).Seconds()*1000))
		}
	}
	return chart.Draw("Two daemons, sealed frames over a real socket",
		"Throughput for one processor's time. Each group has its own scale; ticks are lowest and highest.",
		[]chart.Group{
			{Title: "Sending, M entries a second", Format: "%.2f", Bars: []chart.Bar{ours("ssyncpd", r.sending...), target(wantMillions)}},
			{Title: "Receiving, M entries a second", Format: "%.2f", Bars: []chart.Bar{ours("ssyncpd", r.receiving...), target(wantMillions)}},
			late,
		})
}
