// Package netnstest makes network namespaces for tests, with the ip command of
// iproute2. Such tests need root, and are skipped without it.
package netnstest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace with its loopback interface up.
type Namespace struct {
	Name string
}

var number atomic.Int64

// New makes a namespace that is gone after the test.
func New(t testing.TB) *Namespace {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs the ip command of iproute2")
	}
	ns := &Namespace{Name: fmt.Sprintf("ssyncp-test-%d-%d", os.Getpid(), number.Add(1))}
	if out, err := exec.Command("ip", "netns", "add", ns.Name).CombinedOutput(); err != nil {
		t.Skipf("network namespaces cannot be made here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "delete", ns.Name).CombinedOutput(); err != nil {
			t.Errorf("ip netns delete %s: %v: %s", ns.Name, err, out)
		}
	})
	ns.IP(t, "link set lo up")
	return ns
}

// IP runs an ip command in the namespace.
func (ns *Namespace) IP(t testing.TB, args string) {
	t.Helper()
	run(t, append([]string{"-n", ns.Name}, strings.Fields(args)...)...)
}

// Pair joins two namespaces by a veth pair, up, with an address at each end.
func Pair(t testing.TB, a *Namespace, nameA, addressA string, b *Namespace, nameB, addressB string) {
	t.Helper()
	run(t, "link", "add", nameA, "netns", a.Name, "type", "veth", "peer", "name", nameB, "netns", b.Name)
	a.IP(t, "address add "+addressA+" dev "+nameA)
	b.IP(t, "address add "+addressB+" dev "+nameB)
	a.IP(t, "link set "+nameA+" up")
	b.IP(t, "link set "+nameB+" up")
}

func run(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// Do runs f in the namespace, on a thread of its own. Sockets that f opens
// stay in it. f must not start goroutines that need it, nor end the test.
func (ns *Namespace) Do(t testing.TB, f func()) {
	t.Helper()
	failed := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine.
		runtime.LockOSThread()
		failed <- func() error {
			handle, err := os.Open(filepath.Join("/run/netns", ns.Name))
			if err != nil {
				return err
			}
			defer handle.Close()
			if err := unix.Setns(int(handle.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("setns: %w", err)
			}
			f()
			return nil
		}()
	}()
	if err := <-failed; err != nil {
		t.Fatalf("namespace %s: %v", ns.Name, err)
	}
}

// Set writes a kernel setting of the namespace, by its path under
// /proc/sys/net.
func (ns *Namespace) Set(t testing.TB, path, value string) {
	t.Helper()
	var err error
	ns.Do(t, func() {
		// Not /proc/self: that is the process's namespace, not the thread's.
		err = os.WriteFile(filepath.Join("/proc/sys/net", path), []byte(value), 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}
