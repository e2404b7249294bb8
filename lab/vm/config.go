package vm

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ssyncp/ssyncp/lab/tsc"
)

// A Config says what a guest is. Kernel and Initrd have no defaults.
type Config struct {
	Name   string // of the guest, in errors and file names
	Kernel string // vmlinuz
	Initrd string
	Memory int    // MiB; 0: 768
	Append string // to the kernel's command line
	Disk   string // /dev/vda, "" for none; what is written to it is gone with the guest

	// Segments are the unix sockets of lab/lan switches; the guest's eth0 is
	// plugged into the first one, and so on.
	Segments []string

	// Counting makes guest time the count of instructions: one processor, one
	// instruction a nanosecond.
	Counting bool

	Directory string        // for the console's log and sockets; must exist
	Boot      time.Duration // how long booting may take; 0: two minutes
}

const (
	defaultMemory = 768
	defaultBoot   = 2 * time.Minute
)

// The kernel's command line. Warnings must reach the console, the rest may not
// slow it down. A guest that panics ends.
var kernelParameters = []string{
	"console=ttyS0", "loglevel=5", "panic=-1", "oops=panic", "random.trust_cpu=on", "mitigations=off",
	"no_timer_check", "tsc=reliable", "net.ifnames=0",
}

// arguments of QEMU. Always TCG with one thread: KVM hangs where it is nested,
// and several threads gave spurious faults around cmpxchg16b and int3.
func (c Config) arguments() []string {
	parameters := append(slices.Clone(kernelParameters), c.Append)
	if !c.Counting { // there the clock is the instruction count, and memory as it is elsewhere
		// Memory that is not initialised shall not be zero by luck.
		parameters = append(parameters, fmt.Sprintf("tsc_early_khz=%d", tsc.Once()), "init_on_alloc=0")
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-machine", "q35",
		"-accel", "tcg,thread=single", "-cpu", "max,-cx16",
		"-m", fmt.Sprint(c.Memory),
		"-kernel", c.Kernel, "-initrd", c.Initrd,
		"-append", strings.Join(parameters, " "),
		"-chardev", "file,id=console,path=" + c.console(), "-serial", "chardev:console",
		"-chardev", "socket,id=control,path=" + c.control(), "-serial", "chardev:control",
	}
	if c.Disk != "" {
		args = append(args, "-drive", "if=virtio,format=raw,snapshot=on,file="+c.Disk)
	}
	if c.Counting {
		args = append(args, "-smp", "1", "-icount", "shift=0,sleep=off")
	} else {
		args = append(args, "-smp", "2")
	}
	for i, segment := range c.Segments {
		args = append(args,
			"-netdev", fmt.Sprintf("stream,id=eth%d,server=off,addr.type=unix,addr.path=%s", i, segment),
			"-device", fmt.Sprintf("virtio-net-pci,netdev=eth%d,mac=%s,romfile=", i, hardwareAddress(c.Name, i)))
	}
	return args
}

func (c Config) console() string { return filepath.Join(c.Directory, c.Name+".console") }
func (c Config) control() string { return filepath.Join(c.Directory, c.Name+".control") }

// hardwareAddress gives each card a local address of its own that stays the
// same from run to run.
func hardwareAddress(name string, card int) string {
	var sum uint32 = 2166136261 // FNV-1a
	for _, b := range []byte(name) {
		sum = (sum ^ uint32(b)) * 16777619
	}
	return fmt.Sprintf("02:%02x:%02x:%02x:%02x:%02x", byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum), card)
}
