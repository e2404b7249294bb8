package guest

import (
	"os/exec"
	"slices"
	"testing"
	"time"
)

// A closed namespace takes a while to end, with all of its connections, and
// many of them where the kernel is slow.
const modulesLimit = time.Minute

// loadModules loads modules of the kernel, each after those that need it, until
// the end of the test. A test calls it before it makes namespaces: some give
// each new one a device.
func loadModules(t testing.TB, names ...string) {
	t.Helper()
	if out, err := modprobe("-a", names...); err != nil {
		t.Fatalf("modprobe %v: %v\n%s", names, err, out)
	}
	// What is built in has no state, and stays.
	loaded := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return !exists("/sys/module/" + name + "/initstate")
	})
	if len(loaded) == 0 {
		return
	}
	t.Cleanup(func() {
		var out []byte
		var err error
		for began := time.Now(); time.Since(began) < modulesLimit; time.Sleep(50 * time.Millisecond) {
			if out, err = modprobe("-ra", loaded...); err == nil {
				return
			}
		}
		t.Errorf("modprobe -r, after %v: %v\n%s", modulesLimit, err, out)
	})
}

func modprobe(option string, names ...string) ([]byte, error) {
	return exec.Command("/sbin/modprobe", append([]string{option}, names...)...).CombinedOutput()
}
