package chardev

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// struct ssyncp_attach.
type attachArg struct {
	abiVersion uint32
	mode       uint32
	flags      uint32
	lingerMS   uint32
	watermark  uint32
	reserved   [3]uint32
}

// SSYNCP_ATTACH_OWNED and SSYNCP_ATTACH_DUE.
const (
	attachOwned = 0x01
	attachDue   = 0x02
)

// struct ssyncp_refusals. entries is the address of count Refusal.
type refusalsArg struct {
	entries  uint64
	count    uint32
	reserved uint32
}

// struct ssyncp_stats.
type statsArg struct {
	size              uint32
	abiVersion        uint32
	state             uint32
	missing           uint32
	queueLen          uint32
	connCount         uint32
	shortestTimeoutMS uint32
	reserved          uint32
	counter           [Counters]uint64
}

// Requests: _IOWR(SSYNCP_IOC_MAGIC, number, struct), but for the statistics,
// whose size is in the structure: _IO(SSYNCP_IOC_MAGIC, 3).
const (
	iocMagic    = 0xb7
	iocAttach   = 3<<30 | unsafe.Sizeof(attachArg{})<<16 | iocMagic<<8 | 1
	iocRefusals = 3<<30 | unsafe.Sizeof(refusalsArg{})<<16 | iocMagic<<8 | 2
	iocStats    = iocMagic<<8 | 3
)

func ioctl(fd, request uintptr, arg unsafe.Pointer) unix.Errno {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(arg))
		if errno != unix.EINTR {
			return errno
		}
	}
}
