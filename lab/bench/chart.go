package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/ssyncp/ssyncp/lab/bench/chart"
	"github.com/ssyncp/ssyncp/lab/bench/figure"
	"github.com/ssyncp/ssyncp/lab/build"
)

// writeChart draws what the tables say into an SVG file.
func writeChart(path string, kernel build.Kernel, set figure.Set) error {
	text, err := drawing(kernel, set)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

func drawing(kernel build.Kernel, set figure.Set) (string, error) {
	var groups []chart.Group
	for _, load := range append(append([]string{}, figure.Senders...), figure.Receivers...) {
		bars, err := bars(set, load)
		if err != nil {
			return "", err
		}
		groups = append(groups, chart.Group{Title: load, Bars: bars})
	}
	return chart.Draw(
		fmt.Sprintf("Instructions on Linux %s, for a packet, a connection or an entry", kernel.Release),
		"What is sent: over no sync. What is received: net of sending. Each load has its own scale; ticks are lowest and highest.",
		groups), nil
}

// bars are those that a load has: a contestant each.
func bars(set figure.Set, load string) (list []chart.Bar, err error) {
	for _, c := range []struct {
		who   figure.Contestant
		class chart.Class
	}{
		{figure.Bare, chart.Bare}, {figure.Master, chart.Kernel}, {figure.MasterEvery, chart.Kernel}, {figure.Backup, chart.Kernel},
		{figure.Read, chart.Ours}, {figure.Write, chart.Ours}, {figure.Daemon, chart.Ours},
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
		list = append(list, chart.Bar{Title: strings.ReplaceAll(titles[c.who], "`", ""), Class: c.class, Value: summary})
	}
	return list, nil
}
