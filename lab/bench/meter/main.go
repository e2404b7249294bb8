// Command meter runs in a guest whose clock counts instructions, and counts
// those that a director spends on its connections. It prints a
// figure.Measurement, in JSON, for each load and contestant.
//
// Packets are sent and forwarded in one thread of execution: a system call
// sends one from the world, and before it goes on the director has received it,
// done all its work, and forwarded it. So the time of a loop that sends is the
// director's work, the sender's own, which is the same for all contestants, and
// that of anybody who runs in between: the in-kernel master, or a daemon.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/ssyncp/ssyncp/lab/bench/figure"
)

const (
	// period of ssyncpd, and of the reader.
	period = 100 * time.Millisecond
	// boot is how long a kernel goes on with work of its own.
	boot = 10 * time.Second
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "meter:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 1 && args[0] == readCommand {
		return read(period)
	}
	flags := flag.NewFlagSet("meter", flag.ContinueOnError)
	repetition := flags.Int("repetition", 0, "`number` of this one")
	scale := flags.Float64("scale", 1, "`factor` of the size of the loads")
	pattern := flags.String("load", "", "`regexp` of the names of the loads to play")
	if err := flags.Parse(args); err != nil {
		return err
	}
	only, err := regexp.Compile(*pattern)
	if err != nil {
		return err
	}

	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	time.Sleep(boot)
	if err := checkClock(); err != nil {
		return err
	}
	if err := program("/sbin/modprobe", "veth"); err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	emit := func(m figure.Measurement, err error) error {
		if err != nil {
			return err
		}
		m.Repetition = *repetition
		return out.Encode(m)
	}
	played := false
	for _, l := range loads(*scale, only) {
		played = true
		for _, c := range contestants {
			if !c.takesPart(l) {
				continue
			}
			m, err := measure(l, c)
			if err != nil {
				err = fmt.Errorf("%q under %q: %w", c.name, l.name, err)
			}
			if err := emit(m, err); err != nil {
				return err
			}
		}
	}
	for _, r := range receptions(*scale, only) {
		played = true
		for _, c := range r.contestants {
			m, err := receive(r, c)
			if err != nil {
				err = fmt.Errorf("%q under %q: %w", c.name, r.name, err)
			}
			if err := emit(m, err); err != nil {
				return err
			}
		}
	}
	for _, s := range snapshots(only) {
		played = true
		for _, c := range []figure.Contestant{figure.Read, figure.Encode} {
			m, err := takeSnapshot(s, c)
			if err != nil {
				err = fmt.Errorf("%q under %q: %w", c, s.name, err)
			}
			if err := emit(m, err); err != nil {
				return err
			}
		}
	}
	if !played {
		return errors.New("no such load")
	}
	return nil
}
