package director

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/lab/image"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// interposerCalls is where interposer.ko says how many packets it saw.
const interposerCalls = "/sys/module/interposer/parameters/calls"

// LoadInterposer lets somebody else take the place that ssyncp.ko has, or had,
// in IPVS, until the end of the test at the latest.
func LoadInterposer(t testing.TB) {
	t.Helper()
	module(t, "/sbin/insmod", image.Interposer)
	t.Cleanup(func() {
		if _, err := os.Stat(interposerCalls); err == nil {
			UnloadInterposer(t)
		}
		// The module notices when its device is closed.
		if device, err := os.Open(chardev.DefaultPath); err == nil {
			device.Close()
		}
	})
}

// UnloadInterposer makes it go again.
func UnloadInterposer(t testing.TB) {
	t.Helper()
	module(t, "/sbin/rmmod", "interposer")
}

// InterposerCalls returns how many packets it saw.
func InterposerCalls(t testing.TB) int {
	t.Helper()
	text, err := os.ReadFile(interposerCalls)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// ModuleStays fails the test where ssyncp.ko can be unloaded.
func ModuleStays(t testing.TB) {
	t.Helper()
	if out, err := exec.Command("/sbin/rmmod", "ssyncp").CombinedOutput(); err == nil {
		t.Fatalf("the module was unloaded although it is in use: %s", out)
	}
}
