// Command failover takes the power of an IPVS director away under load, and
// shows which streams live on through the other one.
//
//	go run ./lab/failover demo             ssyncp, no sync and the in-kernel
//	                                       daemon, one failover each
//	go run ./lab/failover run --runs 20    one contestant, again and again;
//	                                       fails when a stream is lost
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ssyncp/ssyncp/lab/failover/verdict"
)

const usage = "usage: failover demo | failover run [--runs N] [--contestant ssyncp|none|kernel] [--rate N]; both take --kernel NAME"

// period is ssyncpd's default. A stream has to survive once it is two of them
// old, and 1,000 of them a forwarding method have to be at stake.
const period = 100 * time.Millisecond

var rule = verdict.Rule{
	Grace: 2 * period,
	Old:   1200 * time.Millisecond,
	Streams: map[verdict.Group]int{
		verdict.NAT: 1000, verdict.DR: 1000, verdict.TUN: 1000, verdict.Persistent: 100, verdict.UDP: 200,
	},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("no command; %s", usage)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	kernel := flags.String("kernel", "", "`name` in lab/kernels (default: its first)")
	switch args[0] {
	case "demo":
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return onStage(ctx, *kernel, contestants, demo)
	case "run":
		runs := flags.Int("runs", 1, "how many failovers")
		rate := flags.Int("rate", defaultRate, "streams opened a second and forwarding method")
		name := flags.String("contestant", "ssyncp", "ssyncp, none or kernel")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		c, err := contestantNamed(*name)
		if err != nil {
			return err
		}
		return onStage(ctx, *kernel, []contestant{c}, func(ctx context.Context, s *stage) error {
			s.rate = *rate
			return repeat(ctx, s, c, *runs)
		})
	}
	return fmt.Errorf("unknown command %q; %s", args[0], usage)
}
