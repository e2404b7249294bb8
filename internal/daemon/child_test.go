package daemon_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/spf13/pflag"

	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/daemon"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/chardev/chardevtest"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// A network namespace belongs to a thread, and a daemon has many: each one in
// these tests is a process of its own, this test binary again, with a kernel
// module that is played by chardevtest and told what to do on standard input.

// childVariable makes a child.
const childVariable = "TEST_DAEMON_CHILD"

// tableFlag is how many connections are in its table from the start.
const tableFlag = "test-table"

// noServiceFlag makes a module without services: it refuses what it is told.
const noServiceFlag = "test-no-service"

func TestMain(m *testing.M) {
	if os.Getenv(floodVariable) != "" {
		os.Exit(flood(os.Stdin, os.Stdout))
	}
	if os.Getenv(childVariable) != "" {
		os.Exit(child())
	}
	os.Exit(m.Run())
}

// request is a line of a child's standard input, answered by a line of
// standard output.
type request struct {
	Queue  int            // puts that many connections into the capture queue
	Table  int            // puts that many connections into the table
	From   int            // the number of the first of them
	Open   bool           // has those that are queued in the table, too, as they are in a kernel
	Raise  chardev.Events // makes events pending
	Copies int            // adds that many copies to the table, from From on
	Brief  bool           // wants no list of what was written
}

// answer is what was written to the device so far.
type answer struct {
	Written []string
	Taken   uint64 // how many connections that is
	Writes  uint64
	Reads   uint64
}

func child() int {
	flags := pflag.NewFlagSet("child", pflag.ContinueOnError)
	config.Flags(flags)
	owned := flags.Int(tableFlag, 0, "")
	noService := flags.Bool(noServiceFlag, false, "")
	if err := flags.Parse(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	var module chardevtest.Module
	module.SetTable(conns(0, *owned)...)
	if *noService {
		module.Refuse = func(*ipvs.Conn) (chardev.Reason, bool) { return chardev.RefusedNoDest, true }
	}
	go serve(&module, os.Stdin, os.Stdout)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1)
	err := daemon.Run(ctx, daemon.Options{
		Version: "test",
		Load:    func() (config.Config, error) { return config.Load(flags) },
		Open:    func(string) (ipvsdevice.Device, error) { return module.Open(), nil },
		Signals: signals,
		Log:     os.Stderr,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func serve(module *chardevtest.Module, in io.Reader, out io.Writer) {
	table := module.Table()
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		module.Queue(conns(r.From, r.Queue)...)
		if r.Open {
			table = append(table, conns(r.From, r.Queue)...)
			module.SetTable(table...)
		}
		if r.Table > 0 {
			module.SetTable(conns(r.From, r.Table)...)
		}
		if r.Copies > 0 {
			list := module.Table()
			for _, c := range conns(r.From, r.Copies) {
				c.Marks, c.Flags = ipvs.MarkKnown, ipvs.FlagSync
				list = append(list, c)
			}
			module.SetTable(list...)
		}
		if r.Raise != 0 {
			module.Raise(r.Raise)
		}
		a := answer{Written: []string{}}
		if !r.Brief {
			for _, c := range module.Written() {
				a.Written = append(a.Written, c.Client.String())
			}
		}
		var stats chardev.Stats
		device := module.Open()
		if err := device.Stats(&stats); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		device.Close()
		a.Taken = stats.Counters[chardev.CounterCreated] + stats.Counters[chardev.CounterUpdated]
		a.Writes, a.Reads = stats.Counters[chardev.CounterWriteCalls], stats.Counters[chardev.CounterReadCalls]
		line, err := json.Marshal(a)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		fmt.Fprintf(out, "%s\n", line)
	}
}

// conns returns n connections, numbered from the given one on.
func conns(from, n int) []ipvs.Conn {
	list := make([]ipvs.Conn, n)
	for i := range list {
		list[i] = ipvs.Conn{
			Protocol: ipvs.TCP,
			Client:   client(from + i),
			Virtual:  netip.MustParseAddrPort("203.0.113.1:80"),
			Dest:     netip.MustParseAddrPort("198.51.100.1:8080"),
			State:    ipvs.TCPEstablished,
			Marks:    ipvs.MarkLocal,
		}
	}
	return list
}

func client(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1024)
}

// clients are the same, as an answer has them.
func clients(from, n int) []string {
	list := []string{}
	for i := range n {
		list = append(list, client(from+i).String())
	}
	return list
}
