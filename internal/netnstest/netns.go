// Package netnstest makes network namespaces for tests, with the ip command of
// iproute2. Such tests need root, and are skipped without it.
package netnstest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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

// Pair joins two namespaces by a veth pair, with an address at each end, and
// waits until it carries packets.
func Pair(t testing.TB, a *Namespace, nameA, addressA string, b *Namespace, nameB, addressB string) {
	t.Helper()
	// With an index of its own: where both ends have the same one, the kernel
	// takes the device for one without a lower device, and its carrier for
	// less urgent.
	index := strconv.FormatInt(1000+number.Add(1), 10)
	run(t, "link", "add", nameA, "index", index, "netns", a.Name, "type", "veth", "peer", "name", nameB, "netns", b.Name)
	a.IP(t, "address add "+addressA+" dev "+nameA)
	b.IP(t, "address add "+addressB+" dev "+nameB)
	a.IP(t, "link set "+nameA+" up")
	b.IP(t, "link set "+nameB+" up")
	a.running(t, nameA)
	b.running(t, nameB)
}

// running waits for an interface. The kernel takes note of a carrier up to a
// second late, and drops what is sent before.
func (ns *Namespace) running(t testing.TB, name string) {
	t.Helper()
	for range 500 {
		var ifi *net.Interface
		var err error
		ns.Do(t, func() { ifi, err = net.InterfaceByName(name) })
		if err != nil {
			t.Fatal(err)
		}
		if ifi.Flags&net.FlagRunning != 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("interface %s has no carrier", name)
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
