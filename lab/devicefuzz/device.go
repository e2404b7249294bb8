package devicefuzz

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// The system calls as they are: pkg/chardev makes only good ones.

const (
	iocAttach   = 0xc020b701
	iocRefusals = 0xc010b702
	iocStats    = 0xb703
)

type attachArg struct {
	ABI, Mode, Flags, Linger, Watermark uint32
	Reserved                            [3]uint32
}

const (
	statsHead = 32
	statsSize = statsHead + 8*int(chardev.Counters)

	offStatsSize, offStatsABI, offStatsConns, offStatsReserved = 0, 4, 20, 28
)

// modes of a descriptor; 0: not attached.
const (
	modeCapture  = uint32(chardev.ModeCapture)
	modeSnapshot = uint32(chardev.ModeSnapshot)
	modeInject   = uint32(chardev.ModeInject)
)

func ioctl(fd int, request, arg uintptr) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, arg)
	return errno
}

// ioctlOn is ioctl with memory of the program's own.
func ioctlOn(fd int, request uintptr, arg []byte) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(&arg[0])))
	return errno
}

func readAt(fd int, buffer uintptr, count int) (int, unix.Errno) {
	n, _, errno := unix.Syscall(unix.SYS_READ, uintptr(fd), buffer, uintptr(count))
	return int(n), errno
}

func writeAt(fd int, buffer uintptr, count int) (int, unix.Errno) {
	n, _, errno := unix.Syscall(unix.SYS_WRITE, uintptr(fd), buffer, uintptr(count))
	return int(n), errno
}

// An arena is memory with nothing behind it: what reaches over its end faults.
type arena struct{ all []byte }

const arenaSize = 1 << 20

func newArena() (*arena, error) {
	all, err := unix.Mmap(-1, 0, arenaSize+unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("devicefuzz: memory: %w", err)
	}
	if err := unix.Mprotect(all[arenaSize:], unix.PROT_NONE); err != nil {
		return nil, fmt.Errorf("devicefuzz: memory: %w", err)
	}
	return &arena{all}, nil
}

// at returns n bytes at an offset.
func (a *arena) at(offset, n int) []byte { return a.all[offset : offset+n] }

// address is of the byte at an offset: the memory does not move.
func (a *arena) address(offset int) uintptr {
	return uintptr(unsafe.Pointer(&a.all[0])) + uintptr(offset)
}

// pattern is what a buffer is filled with: no value that the module writes often.
const pattern = 0xa5

func fill(p []byte) {
	for i := range p {
		p[i] = pattern
	}
}

// untouched returns the first byte that is not the pattern any more, or -1.
func untouched(p []byte) int {
	for i, b := range p {
		if b != pattern {
			return i
		}
	}
	return -1
}
