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
	"runtime"
	"runtime/debug"
	"time"
)

// period of ssyncpd, and of the reader.
const period = 100 * time.Millisecond

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
	only := flags.String("load", "", "`part` of the names of the loads to play")
	if err := flags.Parse(args); err != nil {
		return err
	}

	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	if err := checkClock(); err != nil {
		return err
	}
	if err := program("/sbin/modprobe", "veth"); err != nil {
		return err
	}
	chosen := loads(*scale, *only)
	if len(chosen) == 0 {
		return errors.New("no such load")
	}
	out := json.NewEncoder(os.Stdout)
	for _, l := range chosen {
		for _, c := range contestants {
			m, err := measure(l, c)
			if err != nil {
				return fmt.Errorf("%q under %q: %w", c.name, l.name, err)
			}
			m.Repetition = *repetition
			if err := out.Encode(m); err != nil {
				return err
			}
		}
	}
	return nil
}
