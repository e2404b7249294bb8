package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/lab/bench/figure"
	"github.com/ssyncp/ssyncp/lab/build"
)

// measured is a run of two repetitions.
func measured() (set figure.Set) {
	for repetition := range 2 {
		add := func(load string, c figure.Contestant, cost int64) {
			set = append(set, figure.Measurement{
				Repetition: repetition, Load: load, Contestant: c, Units: 10, Steps: 1,
				Instructions: 10 * (cost + int64(repetition)),
			})
		}
		for _, c := range figure.Contestants {
			extra := map[figure.Contestant]int64{figure.Master: 1500, figure.MasterEvery: 7000, figure.Read: 450, figure.Daemon: 1600}[c]
			add(figure.WholeAtOnce, c, 70_000+extra)
		}
		add(figure.ReceiveNew, figure.Bare, 2000)
		add(figure.ReceiveNew, figure.Write, 2300)
		add(figure.SnapshotSmall, figure.Read, 250)
		add(figure.SnapshotSmall, figure.Encode, 290)
	}
	return set
}

func TestReportHasEveryFigureWithItsSpread(t *testing.T) {
	var b strings.Builder
	if err := report(&b, build.Kernel{Release: "6.1.0", Version: "6.1.192-2"}, measured()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| 7-packet connection, at once | 70000 (70000 to 70001) | +1500 (+1500 to +1500) | +7000 (+7000 to +7000) | +450 (+450 to +450) | +1600 (+1600 to +1600) |",
		"| received: a new entry | 2000 (2000 to 2001) |  | 2300 (2300 to 2301) |  |",
		"| snapshot of 100,000 | 250 (250 to 251) | 290 (290 to 291) |",
		"| 7-packet connection, at once | ssyncp: hook and read | at most 0.4 of in-kernel master | 0.30 | met |",
		"| 7-packet connection, at once | ssyncp: ssyncpd, all in | at most 1.0 of in-kernel master | 1.07 | **missed** by 7 % |",
		"| received: a new entry | ssyncp: write() | at most 1.1 of bare `ip_vs_conn_new()` | 1.15 | **missed** by 5 % |",
	} {
		if !strings.Contains(b.String(), want+"\n") {
			t.Errorf("no row\n%s in\n%s", want, b.String())
		}
	}
}

func TestChartIsWellFormedAndHasABarForEachContestant(t *testing.T) {
	svg, err := drawing(build.Kernel{Release: "6.1.0"}, measured())
	if err != nil {
		t.Fatal(err)
	}
	bars := 0
	for decoder := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		if start, is := token.(xml.StartElement); is && start.Name.Local == "rect" {
			bars++
		}
	}
	if bars != 6 {
		t.Errorf("%d bars, want 4 of the sender and 2 of the receiver", bars)
	}
	if strings.Contains(svg, "%!") {
		t.Errorf("a figure is not one:\n%s", svg)
	}
	if !strings.Contains(svg, "prefers-color-scheme: dark") {
		t.Error("nothing about dark ground")
	}
}
