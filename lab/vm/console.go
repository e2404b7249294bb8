package vm

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// trouble is how a kernel says that something is wrong with it.
var trouble = regexp.MustCompile(strings.Join([]string{
	`WARNING:`, `\bBUG\b`, `Oops`, `KASAN`, `UBSAN`, `kmemleak`, `ODEBUG`,
	`possible circular`, `possible recursive`, `inconsistent lock state`, `suspicious RCU`,
	`rcu: INFO`, `sleeping function called`, `scheduling while atomic`, `Call Trace`,
	`general protection`, `[Uu]nable to handle`, `double fault`, `hung_task`, `blocked for more than`,
	`soft lockup`, `hard LOCKUP`, `refcount_t:`, `list_(add|del) corruption`, `[Kk]ernel panic`,
	`unregister_netdevice: waiting`, `Out of memory`, `page allocation failure`,
	`cut here`, `segfault`,
}, "|"))

// A TroubleError is what a guest's kernel had to say.
type TroubleError struct {
	Guest string
	Log   string   // file with the whole console
	Lines []string // the first trouble and what follows it
}

func (e *TroubleError) Error() string {
	return fmt.Sprintf("vm: %s: trouble on the console (%s):\n%s", e.Guest, e.Log, strings.Join(e.Lines, "\n"))
}

// Check looks for trouble on the console, all of it since the start: nil, or a
// *TroubleError.
func (g *Guest) Check() error {
	text, err := os.ReadFile(g.config.console())
	if err != nil {
		return fmt.Errorf("vm: %s: %w", g.config.Name, err)
	}
	if lines := findTrouble(string(text)); lines != nil {
		return &TroubleError{Guest: g.config.Name, Log: g.config.console(), Lines: lines}
	}
	return nil
}

// shown is how many lines of a console are shown from the first trouble on.
const shown = 80

func findTrouble(console string) []string {
	lines := withoutForeignRaces(strings.Split(console, "\n"))
	lines = withoutAskedFaults(lines)
	for i, line := range lines {
		if trouble.MatchString(line) {
			return lines[i:min(len(lines), i+shown)]
		}
	}
	return nil
}

// A report of KCSAN stands between two lines of these.
const (
	raceFrame = "=================================================================="
	raceTitle = "BUG: KCSAN: "
)

// withoutForeignRaces leaves out the data races that KCSAN reports where none
// of the two accesses came from our module: no frame of either stack is in it.
// Every kernel has such races, IPVS as well.
func withoutForeignRaces(lines []string) []string {
	var kept []string
	for len(lines) > 0 {
		n := raceLength(lines)
		if n == 0 {
			kept, lines = append(kept, lines[0]), lines[1:]
			continue
		}
		if report := lines[:n]; strings.Contains(strings.Join(report, "\n"), "[ssyncp]") {
			kept = append(kept, report...)
		}
		lines = lines[n:]
	}
	return kept
}

// raceLength returns how many lines the report is that the lines begin with, 0
// where they begin with something else.
func raceLength(lines []string) int {
	if len(lines) < 2 || !strings.HasSuffix(lines[0], raceFrame) || !strings.Contains(lines[1], raceTitle) {
		return 0
	}
	for i, line := range lines[2:] {
		if strings.HasSuffix(line, raceFrame) {
			return i + 3
		}
	}
	return 0
}

// Between these two lines a test makes allocations fail, and the kernel may
// say, with a trace, that there is no memory for vmalloc(), or for kmemleak to
// tell what is in a module's memory and what is not.
const (
	FaultsBegin = "ssyncp: allocations fail from here on"
	FaultsEnd   = "ssyncp: allocations succeed again"
)

const (
	vmallocTitle = "vmalloc error: "
	traceEnd     = "</TASK>"
	noScanArea   = "kmemleak: Cannot allocate a scan area, scanning the full object"
)

// withoutAskedFaults leaves out what the kernel says of memory that a test did
// not let it have.
func withoutAskedFaults(lines []string) []string {
	var kept []string
	asked, within := false, false
	for _, line := range lines {
		switch {
		case strings.Contains(line, FaultsBegin):
			asked = true
		case strings.Contains(line, FaultsEnd):
			asked, within = false, false
		case asked && strings.Contains(line, vmallocTitle):
			within = true
		}
		if !within && !(asked && strings.Contains(line, noScanArea)) {
			kept = append(kept, line)
		}
		if strings.Contains(line, traceEnd) {
			within = false
		}
	}
	return kept
}
