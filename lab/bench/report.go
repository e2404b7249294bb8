package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/ssyncp/ssyncp/lab/bench/figure"
	"github.com/ssyncp/ssyncp/lab/build"
)

// report prints what was measured: the cost of each contestant, what it told for
// that, and whether the targets are met. Every figure comes with its spread.
func report(w io.Writer, kernel build.Kernel, set figure.Set) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Linux %s (%s). Instructions: median (lowest to highest) of the repetitions.\n\n",
		kernel.Release, kernel.Version)
	for _, section := range []func(*strings.Builder, figure.Set) error{sending, told, firewalls, receiving, snapshots, targets} {
		if err := section(&b, set); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// played are those of some loads that a run had.
func played(set figure.Set, loads []string, c figure.Contestant) (had []string) {
	for _, load := range loads {
		if set.Has(load, c) {
			had = append(had, load)
		}
	}
	return had
}

func spread(format string, s figure.Summary) string {
	return fmt.Sprintf(format+" ("+format+" to "+format+")", s.Median, s.Min, s.Max)
}

// table begins a table whose first column is text, and those behind it figures.
func table(b *strings.Builder, first string, figures ...string) {
	row(b, append([]string{first}, figures...)...)
	row(b, append([]string{"---"}, strings.Split(strings.Repeat(" ---:", len(figures)), " ")[1:]...)...)
}

func row(b *strings.Builder, cells ...string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}
