package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// What KCSAN did, in a kernel that has it. What it found it says on the console.
const kcsan = "/sys/kernel/debug/kcsan"

// watched returns how the run ends in view of that: 0, unless nothing was
// watched all the time, which would pass for a run without a data race.
func watched() int {
	text, err := os.ReadFile(kcsan)
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		fmt.Println("kcsan:", err)
		return 1
	}
	var enabled, used, setUp, races int
	if _, err := fmt.Sscanf(string(text), "enabled: %d\nused_watchpoints: %d\nsetup_watchpoints: %d\ndata_races: %d\n",
		&enabled, &used, &setUp, &races); err != nil {
		fmt.Printf("kcsan: %v in:\n%s", err, text)
		return 1
	}
	fmt.Printf("kcsan: %d accesses watched, %d data races, in all of the kernel\n", setUp, races)
	if enabled == 0 || setUp == 0 {
		fmt.Println("kcsan: not enabled (CONFIG_KCSAN_EARLY_ENABLE)")
		return 1
	}
	return 0
}
