// Command bench counts the instructions that keeping connections in step costs
// a director, on the side that sends and on the one that receives: nothing, the
// in-kernel master and backup, ssyncp's module with a reader or writer of its
// own, and ssyncpd.
//
//	go run ./lab/bench
//
// It boots guests whose clocks count instructions, one for each repetition, so
// that the figures do not depend on the machine or on its load, and prints
// tables in Markdown.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/ssyncp/ssyncp/lab/bench/figure"
)

type options struct {
	kernel      string
	module      string
	repetitions int
	guests      int
	scale       float64
	load        string
	with        string
	raw         string
	chart       string
}

func main() {
	var o options
	flag.StringVar(&o.kernel, "kernel", "", "`name` in lab/kernels (default: its first)")
	flag.StringVar(&o.module, "module", "", "ssyncp.ko to take instead of building one")
	flag.IntVar(&o.repetitions, "repetitions", 5, "of every measurement")
	flag.IntVar(&o.guests, "guests", runtime.NumCPU(), "at the same time")
	flag.Float64Var(&o.scale, "scale", 1, "`factor` of the size of the loads, for a quick look")
	flag.StringVar(&o.load, "load", "", "`regexp` of the names of the loads to play (default: all)")
	flag.StringVar(&o.with, "with", "", "`file` of an earlier run's measurements, to report with these")
	flag.StringVar(&o.raw, "raw", "", "`file` for the measurements, in JSON")
	flag.StringVar(&o.chart, "svg", "", "`file` for a chart")
	flag.Parse()
	if flag.NArg() != 0 || o.repetitions < 1 || o.guests < 1 {
		fmt.Fprintln(os.Stderr, "usage: bench [flags]; repetitions and guests are 1 at least")
		flag.PrintDefaults()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	directory, err := os.MkdirTemp("", "ssyncp-bench-")
	if err != nil {
		return err
	}
	kernel, set, failed := measure(ctx, o, directory)
	if o.with != "" {
		earlier, err := readRaw(o.with)
		if err != nil {
			return err
		}
		set = earlier.And(set)
	}
	if o.raw != "" {
		if err := writeRaw(o.raw, set); err != nil {
			return err
		}
	}
	if failed != nil { // what was measured before is kept
		return fmt.Errorf("%w\nthe consoles are in %s", failed, directory)
	}
	if o.chart != "" {
		if err := writeChart(o.chart, kernel, set); err != nil {
			return err
		}
	}
	if err := report(os.Stdout, kernel, set); err != nil {
		return err
	}
	return os.RemoveAll(directory)
}

func writeRaw(path string, set figure.Set) error {
	text, err := json.MarshalIndent(set, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func readRaw(path string) (set figure.Set, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return set, nil
}
