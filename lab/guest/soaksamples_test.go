package guest

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/footprint"
	"github.com/ssyncp/ssyncp/lab/netns"
)

// A sample is what the directors held at a moment when all was well.
type sample struct {
	at          time.Duration
	connections [soakDirectors]int
	memory      [soakDirectors]footprint.Memory // of the daemons
	age         [soakDirectors]time.Duration    // of the daemons
	module      footprint.Objects               // that ssyncp.ko has
	entries     footprint.Objects               // of IPVS: connections that were not freed
	kernel      int                             // what all of it cannot get back, in bytes
	drops       map[string]uint64               // since the sample before
}

func (s *soak) sample(t *testing.T) {
	t.Helper()
	now := sample{at: time.Since(s.began), drops: s.drops}
	s.drops = make(map[string]uint64)
	var err error
	keep := func(n int, failed error) int {
		if err == nil {
			err = failed
		}
		return n
	}
	for i, d := range s.Directors {
		now.connections[i] = int(d.Stats(t).ConnCount)
		m, failed := footprint.Of(s.daemons[i].PID())
		keep(0, failed)
		now.memory[i], now.age[i] = m, time.Since(s.started[i])
	}
	held := func(o footprint.Objects, failed error) footprint.Objects {
		keep(0, failed)
		return o
	}
	now.module = held(footprint.OfModule("ssyncp"))
	now.entries = held(footprint.In("ip_vs_conn"))
	now.kernel = keep(footprint.Unreclaimable())
	if err != nil {
		t.Fatal(err)
	}
	s.samples = append(s.samples, now)
	t.Logf("sample: %v", now)
}

// A tally remembers what a director had counted when it was asked last.
type tally struct {
	daemon    *director.Daemon // a new one begins with 0
	namespace *netns.Namespace // as does the module in another namespace
	counted   map[string]uint64
}

// count adds up what was dropped since it was last asked, by reason. It fails where
// a daemon does not answer, which in a guest that has to wait may be by chance.
func (s *soak) count(t *testing.T) error {
	t.Helper()
	for i, d := range s.Directors {
		counted := make(map[string]uint64)
		status, err := s.status(t, i)
		if err != nil {
			return err
		}
		for _, group := range status.Troubles {
			for name, n := range status.Counters[group] {
				counted[group+"."+name] = n
			}
		}
		stats := d.Stats(t)
		for counter, n := range stats.All() {
			if name := counter.String(); strings.HasPrefix(name, "dropped_") || strings.HasPrefix(name, "refused_") {
				counted["module."+name] = n
			}
		}
		last := &s.tallies[i]
		for name, n := range counted {
			begins := last.daemon != s.daemons[i]
			if strings.HasPrefix(name, "module.") {
				begins = last.namespace != d.Namespace
			}
			if !begins {
				n -= last.counted[name]
			}
			if n > 0 {
				s.drops[name] += n
			}
		}
		*last = tally{s.daemons[i], d.Namespace, counted}
	}
	return nil
}

// report prints the samples.
func (s *soak) report(t *testing.T) {
	t.Helper()
	var b strings.Builder
	b.WriteString("samples: connections of each director; resident memory of each daemon, and what of it is of no file; what the module has of slab caches; entries of IPVS in memory; what the kernel cannot reclaim\n")
	fmt.Fprintf(&b, "%8s %20s %30s %16s %8s %9s  %s\n", "time", "connections", "resident MiB", "module", "entries", "kernel", "dropped since")
	all := make(map[string]uint64)
	for _, n := range s.samples {
		fmt.Fprintln(&b, n)
		for name, count := range n.drops {
			all[name] += count
		}
	}
	fmt.Fprintf(&b, "dropped in all: %s", reasons(all))
	t.Log(b.String())
}

const mebi = 1 << 20

// String is a line of the table.
func (n sample) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%8v", n.at.Round(time.Second))
	for _, c := range n.connections {
		fmt.Fprintf(&b, " %6d", c)
	}
	for _, m := range n.memory {
		fmt.Fprintf(&b, " %4.1f/%4.1f", float64(m.Resident)/mebi, float64(m.Anonymous)/mebi)
	}
	fmt.Fprintf(&b, " %3d %9d B  %8d %5.1f MiB  %s", n.module.Count, n.module.Bytes, n.entries.Count, float64(n.kernel)/mebi, reasons(n.drops))
	return b.String()
}

func reasons(drops map[string]uint64) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(drops)) {
		list = append(list, fmt.Sprintf("%s=%d", name, drops[name]))
	}
	return strings.Join(list, " ")
}

// How much more, or less, there may be at the end than when daemons were warm.
const (
	residentMore = 10 // percent
	slabMore     = 5
	// Go collects no garbage before there are 4 MiB, or two minutes are over:
	// the heap of a daemon that is a minute old is not as large as it will be.
	residentYoung = 40
	kernelMore    = 10
)

// judge compares the end with what was when a daemon was that old, and the kernel
// with what it had as long after the start.
func (s *soak) judge(t *testing.T, warm time.Duration, more int) {
	t.Helper()
	last := s.samples[len(s.samples)-1]
	for i, d := range s.Directors {
		then := slices.IndexFunc(s.samples, func(n sample) bool {
			return n.age[i] >= warm && n.at-n.age[i] > last.at-last.age[i]-time.Second // of the daemon that runs
		})
		if then < 0 || s.samples[then].at == last.at {
			t.Errorf("the daemon of %s is %v old at the end: too young to judge", d.Name, last.age[i])
			continue
		}
		within(t, "resident memory of ssyncpd on "+d.Name, s.samples[then].memory[i].Resident, last.memory[i].Resident, more)
	}
	first := s.samples[slices.IndexFunc(s.samples, func(n sample) bool { return n.at >= warm })]
	within(t, "slab of the module", first.module.Bytes, last.module.Bytes, slabMore)
	known := 0
	for _, n := range last.connections {
		known += n
	}
	within(t, "entries of IPVS in memory, and in its tables", known, last.entries.Count, slabMore)
	// The module's large allocations are in this alone.
	within(t, "what the kernel cannot reclaim", first.kernel, last.kernel, kernelMore)
}

func within(t *testing.T, what string, first, last, percent int) {
	t.Helper()
	change := 100 * float64(last-first) / float64(first)
	t.Logf("%s: %d, was %d: %+.1f %%", what, last, first, change)
	if math.Abs(change) > float64(percent) {
		t.Errorf("%s: not within %d %%", what, percent)
	}
}
