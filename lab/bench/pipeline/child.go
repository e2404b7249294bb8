package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/daemon"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
)

// A network namespace belongs to a thread, and a daemon has many: each director
// is a process of its own, this program again with childVariable set.
const (
	childVariable   = "PIPELINE_CHILD"
	profileVariable = "PIPELINE_PROFILE" // a file for a CPU profile
)

// batch is more than a daemon reads at once.
const batch = 1 << 20

// order is a line of a director's standard input.
type order struct {
	Run   bool
	Stop  bool
	Rate  int
	Start int64
}

// reply is a line of its standard output.
type reply struct {
	sample
	At      int64         // on the monotonic clock
	CPU     time.Duration // of the process
	Mallocs uint64
	Samples int             // of latency
	Late    []time.Duration // its quantiles
}

// parts are the quantiles that are of interest.
var parts = []float64{0.5, 0.9, 0.99, 0.999, 1}

func child() error {
	content, err := newContent(batch)
	if err != nil {
		return err
	}
	if path := os.Getenv(profileVariable); path != "" {
		file, err := os.Create(path)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	k := &kernel{content: content}
	flags := pflag.NewFlagSet("pipeline", pflag.ContinueOnError)
	config.Flags(flags)
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		if err := k.serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		stop()
	}()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	return daemon.Run(ctx, daemon.Options{
		Version: "pipeline",
		Load:    func() (config.Config, error) { return config.Load(flags) },
		Open:    func(string) (ipvsdevice.Device, error) { return k.open() },
		Signals: signals,
		Log:     os.Stderr,
	})
}

// serve does what is ordered, until there is no more.
func (k *kernel) serve(in io.Reader, out io.Writer) error {
	lines, answers := bufio.NewScanner(in), json.NewEncoder(out)
	for lines.Scan() {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return err
		}
		switch {
		case o.Run:
			k.run(o.Rate, o.Start)
		case o.Stop:
			k.stop()
		}
		if err := answers.Encode(k.reply()); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (k *kernel) reply() reply {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	var usage unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &usage) // cannot fail
	k.mu.Lock()
	defer k.mu.Unlock()
	r := reply{
		sample: k.counted, At: monotonic(), Mallocs: memory.Mallocs,
		CPU: time.Duration(usage.Utime.Nano() + usage.Stime.Nano()),
	}
	r.Samples, r.Late = k.late.quantiles(parts...)
	return r
}
