package main

import (
	"encoding/xml"
	"fmt"
	"os"
	"strings"

	"github.com/ssyncp/ssyncp/lab/bench/figure"
	"github.com/ssyncp/ssyncp/lab/build"
)

// Sizes of the chart, in pixels. Each load has a scale of its own: the longest
// bar is the most expensive contestant.
const (
	chartWidth   = 860
	chartMargin  = 16
	chartTitle   = 52 // above the first load
	labelWidth   = 210
	barHeight    = 14
	barGap       = 4
	loadGap      = 34
	longestBar   = 400
	figureIndent = 8
)

// chartStyle is legible on light and on dark ground, of which it draws none.
const chartStyle = `<style>
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-size: 16px; font-weight: 600 }
.load { font-size: 13px; font-weight: 600 }
.spread { stroke: #24292f; stroke-width: 1.5 }
.kernel { fill: #8c959f } .ours { fill: #1f6feb } .bare { fill: #bf8700 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.spread { stroke: #e6edf3 }
.kernel { fill: #6e7681 } .ours { fill: #58a6ff } .bare { fill: #d29922 }
}
</style>
`

// A bar is a contestant under a load.
type bar struct {
	title, class string
	cost         figure.Summary
}

// writeChart draws what the tables say into an SVG file.
func writeChart(path string, kernel build.Kernel, set figure.Set) error {
	text, err := chart(kernel, set)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

func chart(kernel build.Kernel, set figure.Set) (string, error) {
	var b strings.Builder
	y := chartTitle
	for _, load := range append(append([]string{}, figure.Senders...), figure.Receivers...) {
		bars, err := bars(set, load)
		if err != nil {
			return "", err
		}
		if len(bars) == 0 {
			continue
		}
		y = drawLoad(&b, load, bars, y)
	}
	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img">`+"\n",
		chartWidth, y)
	svg.WriteString(chartStyle)
	write(&svg, chartMargin, 24, "title", fmt.Sprintf("Instructions on Linux %s, for a packet, a connection or an entry", kernel.Release))
	write(&svg, chartMargin, 42, "", "What is sent: over no sync. What is received: net of sending. Each load has its own scale; ticks are lowest and highest.")
	svg.WriteString(b.String())
	svg.WriteString("</svg>\n")
	return svg.String(), nil
}

// bars are those that a load has.
func bars(set figure.Set, load string) (list []bar, err error) {
	for _, c := range []struct {
		who   figure.Contestant
		class string
	}{
		{figure.Bare, "bare"}, {figure.Master, "kernel"}, {figure.MasterEvery, "kernel"}, {figure.Backup, "kernel"},
		{figure.Read, "ours"}, {figure.Write, "ours"}, {figure.Daemon, "ours"},
	} {
		if !set.Has(load, c.who) {
			continue
		}
		cost := set.Cost
		if set.Has(load, figure.None) {
			cost = set.Extra
		}
		summary, err := cost(load, c.who)
		if err != nil {
			return nil, err
		}
		list = append(list, bar{strings.ReplaceAll(titles[c.who], "`", ""), c.class, summary})
	}
	return list, nil
}

// drawLoad draws the bars of a load below y, and returns where they end.
func drawLoad(b *strings.Builder, load string, bars []bar, y int) int {
	most := 1.0
	for _, c := range bars {
		most = max(most, c.cost.Max)
	}
	at := func(v float64) float64 { return chartMargin + labelWidth + max(0, v)/most*longestBar }
	write(b, chartMargin, y+14, "load", load)
	y += 22
	for _, c := range bars {
		write(b, chartMargin, y+barHeight-3, "", c.title)
		fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d"/>`+"\n",
			c.class, chartMargin+labelWidth, y, at(c.cost.Median)-at(0), barHeight)
		for _, v := range []float64{c.cost.Min, c.cost.Max} {
			fmt.Fprintf(b, `<line class="spread" x1="%.1f" x2="%.1[1]f" y1="%d" y2="%d"/>`+"\n", at(v), y+2, y+barHeight-2)
		}
		write(b, int(at(c.cost.Max))+figureIndent, y+barHeight-3, "",
			fmt.Sprintf("%.0f (%.0f to %.0f)", c.cost.Median, c.cost.Min, c.cost.Max))
		y += barHeight + barGap
	}
	return y + loadGap - 22
}

func write(b *strings.Builder, x, y int, class, text string) {
	fmt.Fprintf(b, `<text class="%s" x="%d" y="%d">`, class, x, y)
	// A strings.Builder takes everything.
	_ = xml.EscapeText(b, []byte(text))
	b.WriteString("</text>\n")
}
