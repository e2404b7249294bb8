package command

import (
	"os"
	"runtime/debug"
)

// heapGrowth is by how many percent a daemon's heap may grow before it is
// collected. Go's own 100 makes the memory of a daemon that hardly allocates
// creep towards twice what it uses, for as long as an hour.
const heapGrowth = 25

// keepSmall has the daemon's heap collected at heapGrowth, unless who starts it
// has said otherwise by GOGC.
func keepSmall() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
}
