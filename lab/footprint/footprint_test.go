package footprint

import (
	"errors"
	"os"
	"testing"
)

const traces = `     12 memdup_user+0x25/0x80 age=10/20/30 pid=1-80 cpus=0-1
        __kmalloc_node_track_caller+0x4a/0x150
        memdup_user+0x25/0x80
        entry_SYSCALL_64_after_hwframe+0x6e/0xd8

      3 kvmalloc_node+0x4f/0xe0 age=2263 pid=99 cpus=1
        __kmalloc_node+0x4a/0x150
        kvmalloc_node+0x4f/0xe0
        ssyncp_queue_alloc+0x7a/0x220 [ssyncp]
        ssyncp_ioctl+0x1c1/0x300 [ssyncp]

      1 ssyncp_open+0x21/0x70 [ssyncp] age=100 pid=99
        ssyncp_open+0x21/0x70 [ssyncp]

`

func TestAllocationsAreReadAsTheKernelPrintsThem(t *testing.T) {
	for _, test := range []struct {
		name, text string
		all, ours  int
	}{
		{"stacks", traces, 16, 4},
		{"without stacks", "     12 memdup_user+0x25/0x80 age=1 pid=1\n\n      2 ssyncp_open+0x21/0x70 [ssyncp] age=1\n\n", 14, 2},
		{"an empty cache", "No data\n", 0, 0},
	} {
		allocations, err := parse([]byte(test.text))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		all, ours := 0, 0
		for _, a := range allocations {
			all += a.count
			if a.by("ssyncp") {
				ours += a.count
			}
		}
		if all != test.all || ours != test.ours {
			t.Errorf("%s: %d objects, %d of the module, want %d and %d", test.name, all, ours, test.all, test.ours)
		}
	}
	if got, err := parse([]byte("ssyncp_open+0x21/0x70 [ssyncp]\n")); err == nil {
		t.Errorf("a line without a number gave %+v", got)
	}
}

func TestResidentMemoryOfThisProcess(t *testing.T) {
	if m, err := Of(os.Getpid()); err != nil || m.Anonymous <= 0 || m.Resident <= m.Anonymous || m.Resident > 1<<32 {
		t.Errorf("%+v, %v", m, err)
	}
	if n, err := Unreclaimable(); err != nil || n <= 0 {
		t.Errorf("the kernel: %d bytes, %v", n, err)
	}
	if _, err := kilobytes([]byte("VmPeak: 3 kB\n"), "VmRSS"); err == nil {
		t.Error("what is not there was read")
	}
}

func TestACacheWhoseUsersAreNotNoted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("root alone may look")
	}
	if _, err := In("no_such_cache"); !errors.Is(err, ErrNotNoted) {
		t.Errorf("err = %v", err)
	}
}
