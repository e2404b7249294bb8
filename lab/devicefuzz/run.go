// Package devicefuzz does to /dev/ssyncp what no daemon would: every system
// call with every kind of argument, from several threads, processes and
// namespaces at once, and looks at all that comes back. What a kernel with
// debuggers says of it is the other half of the test.
//
// It runs in a process of its own, whose descriptors may be closed under it:
// the test starts the program again with a Config in its environment.
package devicefuzz

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// A Config is what a run gets.
type Config struct {
	Seed     uint64
	Duration time.Duration
	Workers  int
	Clients  int // addresses that connections come from
	Places   []Place
	Ledger   int // of Places: nobody else writes there, and no packet passes
	Services []Service
}

// A Place is a network namespace whose connections are at stake.
type Place struct {
	Name     string // of the namespace
	Path     string
	MaxConns int // that it may ever have; 0: do not look
}

// A Report is what a run came to.
type Report struct {
	Calls    map[string]int // by what came of them
	Amounts  map[string]int // of what they carried
	Findings []string
}

// Total is how many calls there were.
func (r *Report) Total() (n int) {
	for _, calls := range r.Calls {
		n += calls
	}
	return n
}

const environment = "DEVICEFUZZ"

// roles of this program, beside that of the test.
const (
	roleRun      = "run"
	roleStranger = "stranger"
)

// Child reports whether this process is one of the fuzzer's, and has done what
// it is for: the caller exits with the status.
func Child() (status int, is bool) {
	role, text, _ := strings.Cut(os.Getenv(environment), " ")
	switch role {
	case roleRun:
		return child(text, fuzz), true
	case roleStranger:
		return child(text, beStranger), true
	}
	return 0, false
}

func child(text string, do func(Config) (*Report, error)) int {
	var c Config
	report := new(Report)
	err := json.Unmarshal([]byte(text), &c)
	if err == nil {
		report, err = do(c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// Command is the process that fuzzes; Read takes its output.
func (c Config) Command(ctx context.Context) (*exec.Cmd, error) { return c.command(ctx, roleRun) }

func (c Config) command(ctx context.Context, role string) (*exec.Cmd, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("devicefuzz: %w", err)
	}
	command := exec.CommandContext(ctx, "/proc/self/exe")
	command.Env = append(os.Environ(), environment+"="+role+" "+string(text))
	return command, nil
}

// Read reads the report that a process wrote.
func Read(from io.Reader) (*Report, error) {
	report := new(Report)
	if err := json.NewDecoder(from).Decode(report); err != nil {
		return nil, fmt.Errorf("devicefuzz: report: %w", err)
	}
	return report, nil
}

// A run is what the workers of a process share.
type run struct {
	Config
	openers []*opener

	mu       sync.Mutex
	findings []string
}

// enough findings to look at.
const enough = 20

func (r *run) find(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.findings) < enough {
		r.findings = append(r.findings, fmt.Sprintf(format, args...))
	}
}

func (r *run) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.findings) >= enough
}

func (r *run) open(place int) (int, error) { return r.openers[place].open() }

// fuzz lets the workers loose until the time is over.
func fuzz(c Config) (*Report, error) {
	r := &run{Config: c}
	for _, place := range c.Places {
		o, err := newOpener(place.Path)
		if err != nil {
			return nil, err
		}
		r.openers = append(r.openers, o)
	}
	pool := newPool(r)
	end := time.Now().Add(c.Duration)
	going := func() bool { return time.Now().Before(end) && !r.failed() }

	var wg sync.WaitGroup
	var all []*worker
	errs := make([]error, c.Workers+1)
	for i := range c.Workers {
		w, err := newWorker(r, i)
		if err != nil {
			return nil, err
		}
		all = append(all, w)
		wg.Go(func() {
			for going() && errs[i] == nil {
				errs[i] = pool.step(w)
			}
		})
	}
	w, err := newWorker(r, c.Workers)
	if err != nil {
		return nil, err
	}
	w.clients = 16
	l, err := newLedger(w, c.Ledger)
	if err != nil {
		return nil, err
	}
	all = append(all, w)
	wg.Go(func() {
		for going() && errs[c.Workers] == nil {
			errs[c.Workers] = l.entry()
		}
	})
	wg.Wait()
	if err := collectGarbage(); err != nil {
		return nil, err
	}
	return r.report(all, errs)
}

func (r *run) report(workers []*worker, errs []error) (*Report, error) {
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	report := &Report{Calls: make(map[string]int), Amounts: make(map[string]int), Findings: r.findings}
	for _, w := range workers {
		add(report.Calls, w.count)
		add(report.Amounts, w.amount)
	}
	return report, nil
}

func add(to, from map[string]int) {
	for what, n := range from {
		to[what] += n
	}
}
