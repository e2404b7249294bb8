package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ssyncp/ssyncp/lab/failover/verdict"
	"github.com/ssyncp/ssyncp/lab/vm"
)

// programStreams is lab/failover/streams in the guests.
const programStreams = "/bin/streams"

// The traffic that the guests stand without falling behind, under TCG on two
// processors: 1,000 streams a forwarding method within 10 s, and some more.
const (
	defaultRate = 110  // streams a second and forwarding method
	visitors    = 0.12 // persistent clients for each such stream
	flows       = 0.24 // UDP flows
	probeRate   = 450
	pause       = 8 * time.Second // between two exchanges of a busy stream
	deadline    = 15 * time.Second
)

var errTraffic = errors.New("the clients ended early")

// traffic is the clients' end of all streams: lab/failover/streams in their
// guest, driven by signals.
type traffic struct {
	guest *vm.Guest
	pid   string
	lines chan said // closed when the clients have ended

	failure error // valid then
}

// said is a line and when it came.
type said struct {
	line string
	at   time.Time
}

// startTraffic begins to open streams and returns once it does.
func startTraffic(ctx context.Context, guest *vm.Guest, rate int) (*traffic, error) {
	argv := []string{programStreams, "clients",
		"--rate", fmt.Sprint(rate),
		"--udp", serviceOf(verdict.UDP).address(), "--udp-rate", fmt.Sprint(flows * float64(rate)),
		"--persistent", serviceOf(verdict.Persistent).address(), "--persistent-rate", fmt.Sprint(visitors * float64(rate)),
		"--persistent-from", visitorsPrefix,
		"--probes", fmt.Sprint(probeRate), "--pause", pause.String(), "--deadline", deadline.String()}
	for _, group := range []verdict.Group{verdict.NAT, verdict.DR, verdict.TUN} {
		argv = append(argv, "--streams", fmt.Sprintf("%s=%s", group, serviceOf(group).address()))
	}
	// A guest allows a process 4096 files.
	shell := []string{"sh", "-c", "ulimit -n 16384; echo pid $$; exec " + strings.Join(argv, " ")}

	t := &traffic{guest: guest, lines: make(chan said, 1<<14)}
	var complaints bytes.Buffer
	go func() {
		defer close(t.lines)
		err := guest.Run(ctx, vm.Command{
			Argv:   shell,
			Env:    []string{"GOGC=off", "GOMEMLIMIT=400MiB"}, // the guest has better things to do
			Stdout: &splitter{to: t.lines},
			Stderr: &complaints,
		})
		t.failure = errors.Join(errTraffic, err, errors.New(complaints.String()))
	}()
	pid, err := t.expect(ctx, "pid ")
	if err != nil {
		return nil, err
	}
	t.pid = pid.line
	_, err = t.expect(ctx, "ready")
	return t, err
}

// expect returns the next line, without the prefix that it must have.
func (t *traffic) expect(ctx context.Context, prefix string) (said, error) {
	select {
	case s, more := <-t.lines:
		if !more {
			return said{}, t.failure
		}
		rest, ok := strings.CutPrefix(s.line, prefix)
		if !ok {
			return said{}, fmt.Errorf("the clients said %q instead of %q", s.line, prefix)
		}
		return said{rest, s.at}, nil
	case <-ctx.Done():
		return said{}, ctx.Err()
	}
}

func (t *traffic) signal(ctx context.Context, name string) error {
	_, err := t.guest.Output(ctx, "kill", "-"+name, t.pid)
	return err
}

// stopOpening lets the clients open no more streams.
func (t *traffic) stopOpening(ctx context.Context) error { return t.signal(ctx, "HUP") }

// readClock reads the clients' clock.
func (t *traffic) readClock(ctx context.Context) (reading, error) {
	asked := time.Now()
	if err := t.signal(ctx, "USR1"); err != nil {
		return reading{}, err
	}
	answer, err := t.expect(ctx, "clock ")
	if err != nil {
		return reading{}, err
	}
	nanoseconds, err := strconv.ParseInt(answer.line, 10, 64)
	if err != nil {
		return reading{}, fmt.Errorf("clock of the clients: %w", err)
	}
	return reading{asked: asked, answered: answer.at, clock: time.Duration(nanoseconds)}, nil
}

// probe has every stream probed and returns what became of them.
func (t *traffic) probe(ctx context.Context) ([]verdict.Record, error) {
	if err := t.signal(ctx, "USR2"); err != nil {
		return nil, err
	}
	var records []verdict.Record
	for {
		s, err := t.expect(ctx, "")
		if err != nil {
			return nil, err
		}
		if s.line == "end" {
			return slices.Clip(records), nil
		}
		record, err := verdict.Parse(s.line)
		if err != nil {
			return nil, err
		}
		records = append(records, record)
	}
}

// splitter cuts what is written to it into lines.
type splitter struct {
	to   chan<- said
	rest []byte
}

func (s *splitter) Write(p []byte) (int, error) {
	at := time.Now()
	s.rest = append(s.rest, p...)
	for {
		line, rest, complete := bytes.Cut(s.rest, []byte("\n"))
		if !complete {
			return len(p), nil
		}
		s.to <- said{string(line), at}
		s.rest = rest
	}
}
