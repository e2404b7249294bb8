package director

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/image"
)

// LoadModule loads ssyncp.ko with parameters such as "queue_len=64", until the
// end of the test. A test calls it first: its devices, daemons and namespaces
// must be gone when the module goes.
func LoadModule(t testing.TB, parameters ...string) {
	t.Helper()
	module(t, append([]string{"/sbin/insmod", image.Module}, parameters...)...)
	t.Cleanup(func() {
		// A test may have unloaded it itself.
		if ModuleLoaded(t) {
			UnloadModule(t)
		}
	})
}

// unloadLimit is more than a stopped daemon's queue lingers, and than a busy
// machine takes to end many namespaces.
const unloadLimit = 60 * time.Second

// UnloadModule unloads ssyncp.ko. It waits until nothing uses it any more: a
// closed namespace takes a moment to end, a queue may linger.
func UnloadModule(t testing.TB) {
	t.Helper()
	var out []byte
	var err error
	for began := time.Now(); time.Since(began) < unloadLimit; time.Sleep(50 * time.Millisecond) {
		if out, err = exec.Command("/sbin/rmmod", "ssyncp").CombinedOutput(); err == nil {
			return
		}
	}
	t.Fatalf("rmmod ssyncp, after %v: %v\n%s", unloadLimit, err, out)
}

// ModuleLoaded reports whether ssyncp.ko is loaded.
func ModuleLoaded(t testing.TB) bool {
	t.Helper()
	return strings.Contains("\n"+module(t, "/sbin/lsmod"), "\nssyncp ")
}

func module(t testing.TB, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}
