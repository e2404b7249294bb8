package guest

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/lab/vm"
)

// Fault injection of a debug kernel: slab is what kmalloc() and the caches ask,
// pages is what larger things do.
const (
	failSlab  = "/sys/kernel/debug/failslab"
	failPages = "/sys/kernel/debug/fail_page_alloc"
)

// faults make allocations fail in system calls of one thread, the test's own.
type faults struct {
	nth, marked int // its fail-nth and make-it-fail in /proc
}

// newFaults keeps the test on its thread. It skips where the kernel cannot do it
// and need not: a debug kernel must.
func newFaults(t *testing.T) *faults {
	t.Helper()
	if !exists(failSlab) || !exists(failPages) {
		kernel := release(t)
		if strings.HasSuffix(kernel, "-debug") {
			t.Fatalf("Linux %s is a debug kernel without fault injection, which lab/debug/debug.config gives it", kernel)
		}
		t.Skipf("Linux %s has no fault injection (CONFIG_FAILSLAB, CONFIG_FAIL_PAGE_ALLOC); make lab-debug has", kernel)
	}
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	f := &faults{nth: openProc(t, "fail-nth"), marked: openProc(t, "make-it-fail")}
	for directory, settings := range map[string]map[string]string{
		failSlab:  {"cache-filter": "N"},
		failPages: {"ignore-gfp-highmem": "Y", "min-order": "0"},
	} {
		settings["ignore-gfp-wait"] = "N"
		settings["task-filter"] = "Y"
		settings["probability"] = "0"
		settings["interval"] = "1"
		settings["space"] = "0"
		settings["verbose"] = "0" // a trace for each looks like trouble
		for name, value := range settings {
			tell(t, filepath.Join(directory, name), value)
		}
	}
	say(t, vm.FaultsBegin)
	t.Cleanup(func() {
		tell(t, failSlab+"/probability", "0")
		tell(t, failPages+"/probability", "0")
		say(t, vm.FaultsEnd)
	})
	return f
}

func openProc(t *testing.T, name string) int {
	t.Helper()
	fd, err := unix.Open("/proc/thread-self/"+name, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func tell(t *testing.T, path, value string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

// say puts a line on the console.
func say(t *testing.T, line string) {
	t.Helper()
	tell(t, "/dev/kmsg", "<4>"+line+"\n")
}

func ask(t *testing.T, path string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return n
}

// A failing makes one system call in which allocations fail. It must be a raw
// one: what else the thread does would meet the fault.
type failing func(call func() unix.Errno) unix.Errno

// most is how many allocations a system call has at most; more is a fault that
// does not come.
const most = 5000

// each calls try with the first allocation failing, then with the second and so
// on, until the call comes to its end without the one that was to fail. It
// returns how many there were.
func (f *faults) each(t *testing.T, try func(failing)) int {
	t.Helper()
	return f.some(t, 1, 1, try)
}

// some is each with every step-th allocation, from a first one on.
func (f *faults) some(t *testing.T, first, step int, try func(failing)) int {
	t.Helper()
	for n := first; n < most; n += step {
		left := 0
		try(func(call func() unix.Errno) unix.Errno {
			f.set(f.nth, n)
			errno := call()
			left = f.get(t)
			f.set(f.nth, 0)
			return errno
		})
		if left > 0 {
			return n - 1
		}
	}
	t.Fatalf("%d allocations", most)
	return 0
}

// dry calls try with no page of more than 4096 bytes left, and of the slabs no
// byte, then some bytes, then some more, until they are enough. It returns how
// often they were not.
func (f *faults) dry(t *testing.T, try func(failing)) int {
	t.Helper()
	const step, many = 128, 1_000_000
	tell(t, failPages+"/min-order", "1")
	for _, directory := range []string{failSlab, failPages} {
		tell(t, directory+"/probability", "100")
		tell(t, directory+"/times", strconv.Itoa(many))
	}
	defer func() {
		tell(t, failSlab+"/probability", "0")
		tell(t, failPages+"/probability", "0")
		tell(t, failPages+"/min-order", "0")
	}()
	for n := range most {
		tell(t, failSlab+"/times", strconv.Itoa(many))
		tell(t, failSlab+"/space", strconv.Itoa(n*step))
		try(f.always)
		if ask(t, failSlab+"/times") == many {
			return n
		}
	}
	t.Fatalf("%d bytes are not enough", most*step)
	return 0
}

// always fails what the settings say.
func (f *faults) always(call func() unix.Errno) unix.Errno {
	f.set(f.marked, 1)
	errno := call()
	f.set(f.marked, 0)
	return errno
}

// atomic makes a call in which each allocation fails that may not wait for
// memory: those of IPVS.
func (f *faults) atomic(t *testing.T) failing {
	t.Helper()
	tell(t, failSlab+"/ignore-gfp-wait", "Y")
	tell(t, failSlab+"/times", "-1")
	tell(t, failSlab+"/probability", "100")
	return f.always
}

func (f *faults) set(fd, n int) {
	var buffer [20]byte
	text := strconv.AppendInt(buffer[:0], int64(n), 10)
	_, _, errno := unix.RawSyscall6(unix.SYS_PWRITE64, uintptr(fd), uintptr(unsafe.Pointer(&text[0])), uintptr(len(text)), 0, 0, 0)
	if errno != 0 {
		panic(errno)
	}
}

// get returns how many allocations there are until one fails, 0 where it has.
func (f *faults) get(t *testing.T) int {
	var text [20]byte
	n, _, errno := unix.RawSyscall6(unix.SYS_PREAD64, uintptr(f.nth), uintptr(unsafe.Pointer(&text[0])), uintptr(len(text)), 0, 0, 0)
	if errno != 0 {
		t.Fatalf("fail-nth: %v", errno)
	}
	left, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil {
		t.Fatalf("fail-nth: %v", err)
	}
	return left
}
