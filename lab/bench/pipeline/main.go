// Command pipeline measures two whole daemons with a link between them: what
// the one reads from its device goes over a real socket, sealed, to the other
// one, which writes it to its device, where every byte of it is compared.
//
//	go run ./lab/bench/pipeline
//
// The devices are stand-ins that cost little; each daemon has a processor, and
// is measured in the time that it has of that. It needs root, for network
// namespaces. Tables are printed in Markdown.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/ssyncp/ssyncp/lab/bench/figure"
)

type options struct {
	repetitions int
	each        time.Duration
	rate        int
	samples     int
	period      time.Duration
	udp         int
	realTime    bool
	chart       string
	profile     string
}

func main() {
	if os.Getenv(childVariable) != "" {
		if err := child(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.IntVar(&o.repetitions, "repetitions", 5, "of the throughput")
	flag.DurationVar(&o.each, "time", 3*time.Second, "of a repetition")
	flag.IntVar(&o.rate, "rate", 100_000, "connections a second, for the latency")
	flag.IntVar(&o.samples, "samples", 1_200_000, "of the latency")
	flag.DurationVar(&o.period, "period", 100*time.Millisecond, "of the daemons")
	flag.IntVar(&o.udp, "udp", 0, "`port`, instead of IP protocol 114")
	flag.BoolVar(&o.realTime, "real-time", true, "let nothing else run before the daemons, where they have a rate")
	flag.StringVar(&o.chart, "svg", "", "`file` for a chart")
	flag.StringVar(&o.profile, "profile", "", "`directory` for CPU profiles of both daemons")
	flag.Parse()
	if flag.NArg() != 0 || o.repetitions < 1 || o.rate < 1 || o.samples < 1 {
		fmt.Fprintln(os.Stderr, "usage: pipeline [flags]; repetitions, rate and samples are 1 at least")
		flag.PrintDefaults()
		os.Exit(2)
	}
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "pipeline:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	var r result
	if err := r.measure(o); err != nil {
		return err
	}
	if o.chart != "" {
		if err := os.WriteFile(o.chart, []byte(r.drawing(o)), 0o644); err != nil {
			return err
		}
	}
	fmt.Print(r.report(o))
	return nil
}

// summary is for what was measured at least once.
func summary(values []float64) figure.Summary {
	s, err := figure.Summarize(values)
	if err != nil {
		panic(err) // a repetition is the least
	}
	return s
}
