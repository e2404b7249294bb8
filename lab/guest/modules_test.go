package guest

import (
	"os/exec"
	"slices"
	"testing"
	"time"
)

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
		// A closed namespace takes a moment to end.
		eventually(t, 20*time.Second, func() bool {
			_, err := modprobe("-ra", loaded...)
			return err == nil
		}, "modules cannot be unloaded")
	})
}

func modprobe(option string, names ...string) ([]byte, error) {
	return exec.Command("/sbin/modprobe", append([]string{option}, names...)...).CombinedOutput()
}
