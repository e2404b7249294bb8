// Package chart draws bars with their spread, as SVG.
package chart

import (
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/ssyncp/ssyncp/lab/bench/figure"
)

// Sizes of the chart, in pixels. Each group has a scale of its own: its longest
// bar has that length.
const (
	width        = 860
	margin       = 16
	titleHeight  = 52 // above the first group
	labelWidth   = 210
	barHeight    = 14
	barGap       = 4
	groupGap     = 34
	longestBar   = 400
	figureIndent = 8
)

// style is legible on light and on dark ground, of which it draws none.
const style = `<style>
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

// Class is whose bar it is: its colour.
type Class string

// Classes.
const (
	Kernel Class = "kernel"
	Ours   Class = "ours"
	Bare   Class = "bare"
)

// Bar is a figure.
type Bar struct {
	Title string
	Class Class
	Value figure.Summary
}

// Group is bars that are compared with each other.
type Group struct {
	Title  string
	Format string // of figures, "" for whole numbers
	Bars   []Bar
}

// Draw returns the chart. Groups without bars are left out.
func Draw(title, note string, groups []Group) string {
	var b strings.Builder
	y := titleHeight
	for _, g := range groups {
		if len(g.Bars) > 0 {
			y = g.draw(&b, y)
		}
	}
	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img">`+"\n", width, y)
	svg.WriteString(style)
	write(&svg, margin, 24, "title", title)
	write(&svg, margin, 42, "", note)
	svg.WriteString(b.String())
	svg.WriteString("</svg>\n")
	return svg.String()
}

// draw draws the bars of a group below y, and returns where they end.
func (g Group) draw(b *strings.Builder, y int) int {
	most := 0.0
	for _, c := range g.Bars {
		most = max(most, c.Value.Max)
	}
	if most <= 0 {
		most = 1
	}
	format := g.Format
	if format == "" {
		format = "%.0f"
	}
	at := func(v float64) float64 { return margin + labelWidth + max(0, v)/most*longestBar }
	write(b, margin, y+14, "load", g.Title)
	y += 22
	for _, c := range g.Bars {
		write(b, margin, y+barHeight-3, "", c.Title)
		fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d"/>`+"\n",
			c.Class, margin+labelWidth, y, at(c.Value.Median)-at(0), barHeight)
		text := fmt.Sprintf(format, c.Value.Median)
		if c.Value.Min != c.Value.Max {
			for _, v := range []float64{c.Value.Min, c.Value.Max} {
				fmt.Fprintf(b, `<line class="spread" x1="%.1f" x2="%.1[1]f" y1="%d" y2="%d"/>`+"\n", at(v), y+2, y+barHeight-2)
			}
			text += fmt.Sprintf(" ("+format+" to "+format+")", c.Value.Min, c.Value.Max)
		}
		write(b, int(at(c.Value.Max))+figureIndent, y+barHeight-3, "", text)
		y += barHeight + barGap
	}
	return y + groupGap - 22
}

func write(b *strings.Builder, x, y int, class, text string) {
	fmt.Fprintf(b, `<text class="%s" x="%d" y="%d">`, class, x, y)
	// A strings.Builder takes everything.
	_ = xml.EscapeText(b, []byte(text))
	b.WriteString("</text>\n")
}
