package director

import (
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Counts are a daemon's counters that are not zero, as "group.name".
type Counts map[string]uint64

// Counters has the daemon log its counters and returns them.
func (d *Daemon) Counters(t testing.TB) Counts {
	t.Helper()
	before := len(d.Log())
	d.Signal(t, syscall.SIGUSR1)
	for began := time.Now(); time.Since(began) < startLimit; time.Sleep(10 * time.Millisecond) {
		// The module's come last.
		if log := d.Log()[before:]; strings.Contains(log, "group=module") && strings.HasSuffix(log, "\n") {
			return parseCounts(log)
		}
	}
	t.Fatalf("%s: ssyncpd does not say what it counted\n%s", d.director.Name, d.Log())
	return nil
}

func parseCounts(log string) Counts {
	counts := make(Counts)
	for line := range strings.Lines(log) {
		_, line, is := strings.Cut(line, " msg=counters group=")
		if !is {
			continue
		}
		group, rest, _ := strings.Cut(line, " ")
		for _, field := range strings.Fields(rest) {
			name, text, _ := strings.Cut(field, "=")
			if n, err := strconv.ParseUint(text, 10, 64); err == nil {
				counts[group+"."+name] = n
			}
		}
	}
	return counts
}

var stateChange = regexp.MustCompile(`msg="state changed" .*\bto=("[^"]*"|\S+)`)

// State returns what a daemon of version 2 said last of its completeness:
// "synced", "synced (alone)", "degraded"; "joining" before it said anything.
func (d *Daemon) State() string {
	found := stateChange.FindAllStringSubmatch(d.Log(), -1)
	if found == nil {
		return "joining"
	}
	return strings.Trim(found[len(found)-1][1], `"`)
}
