package guest

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// A program that breaks the contract gets an errno, and nothing happens.
func TestDeviceRefusesBrokenRecords(t *testing.T) {
	in := newInjection(t)
	c := in.established(natPort, ipvs.Masquerade)
	c.Flags |= ipvs.FlagInSeq
	c.In = ipvs.Sequence{Init: 1, Delta: 2}
	whole, err := chardev.AppendRecord(nil, &c)
	if err != nil {
		t.Fatal(err)
	}
	const (
		offsetLen, offsetKind, offsetOptions = 0, 2, 3
		offsetReserved, offsetCaddr          = 36, 40
	)
	tests := map[string]func([]byte) []byte{
		"one byte":              func(r []byte) []byte { return r[:1] },
		"cut in the fixed part": func(r []byte) []byte { return r[:80] },
		"cut in an option":      func(r []byte) []byte { return r[:len(r)-8] },
		"length 0":              func(r []byte) []byte { binary.NativeEndian.PutUint16(r[offsetLen:], 0); return r },
		"length of more than there is": func(r []byte) []byte {
			binary.NativeEndian.PutUint16(r[offsetLen:], uint16(len(r)+8))
			return r
		},
		"length of less than its options": func(r []byte) []byte {
			binary.NativeEndian.PutUint16(r[offsetLen:], uint16(len(r)-8))
			return r
		},
		"an event":          func(r []byte) []byte { r[offsetKind] = 2; return r },
		"an unknown kind":   func(r []byte) []byte { r[offsetKind] = 9; return r },
		"an unknown option": func(r []byte) []byte { r[offsetOptions] |= 0x80; return r },
		"a PE option that is not there": func(r []byte) []byte {
			r[offsetOptions] |= 0x02
			return r
		},
		"reserved bytes that are not zero":       func(r []byte) []byte { r[offsetReserved] = 1; return r },
		"an IPv4 address with more than 4 bytes": func(r []byte) []byte { r[offsetCaddr+4] = 1; return r },
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			before := in.Stats(t)
			if _, err := in.device.Write(damage(slices.Clone(whole))); !errors.Is(err, chardev.ErrMalformed) {
				t.Errorf("%v, want ErrMalformed", err)
			}
			after := in.Stats(t)
			if after.ConnCount != before.ConnCount {
				t.Error("a connection was created")
			}
			if d := after.Counters[chardev.CounterWriteMalformed] - before.Counters[chardev.CounterWriteMalformed]; d != 1 {
				t.Errorf("counted %d times as malformed", d)
			}
		})
	}

	t.Run("the name of a persistence engine with more behind it", func(t *testing.T) {
		template := in.template()
		template.PEName, template.PEData = "sip", []byte("call-id")
		record, err := chardev.AppendRecord(nil, &template)
		if err != nil {
			t.Fatal(err)
		}
		const offsetName, nameSize = 88, 16
		record[offsetName+nameSize-2] = 'x'
		if _, err := in.device.Write(record); !errors.Is(err, chardev.ErrMalformed) {
			t.Errorf("%v, want ErrMalformed", err)
		}
	})

	t.Run("the records before a broken one are applied, and taken", func(t *testing.T) {
		good := in.established(natPort, ipvs.Masquerade)
		batch, err := chardev.AppendRecord(nil, &good)
		if err != nil {
			t.Fatal(err)
		}
		length := len(batch)
		batch = append(batch, whole[:40]...)
		n, err := in.device.Write(batch)
		if n != length || !errors.Is(err, chardev.ErrMalformed) {
			t.Errorf("took %d bytes of %d, %v", n, length, err)
		}
		in.mustKnow(t, good.Key())
	})

	t.Run("more than WriteMax is too large", func(t *testing.T) {
		if _, err := in.device.Write(make([]byte, chardev.WriteMax+8)); !errors.Is(err, chardev.ErrTooLarge) {
			t.Errorf("%v, want ErrTooLarge", err)
		}
	})
}

// The raw system calls: what no well-behaved program does.
func TestDeviceRefusesMisuse(t *testing.T) {
	in := newInjection(t)
	raw := func(t *testing.T) int {
		t.Helper()
		var fd int
		err := in.Do(func() (err error) {
			fd, err = unix.Open(chardev.DefaultPath, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	type attach struct {
		abi, mode, flags, linger, watermark uint32
		reserved                            [3]uint32
	}
	const iocAttach, iocRefusals, iocStats = 0xc020b701, 0xc010b702, 0xb703
	ioctl := func(fd int, request uintptr, arg unsafe.Pointer) unix.Errno {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
		return errno
	}
	buffer := make([]byte, chardev.ReadMin)

	t.Run("attach", func(t *testing.T) {
		for name, test := range map[string]struct {
			request attach
			want    unix.Errno
		}{
			"no mode":                   {attach{abi: 1}, unix.EINVAL},
			"an unknown mode":           {attach{abi: 1, mode: 4}, unix.EINVAL},
			"an unknown flag":           {attach{abi: 1, mode: 2, flags: 2}, unix.EINVAL},
			"owned, but no snapshot":    {attach{abi: 1, mode: 1, flags: 1}, unix.EINVAL},
			"linger, but no capture":    {attach{abi: 1, mode: 3, linger: 1}, unix.EINVAL},
			"watermark, but no capture": {attach{abi: 1, mode: 2, watermark: 1}, unix.EINVAL},
			"reserved":                  {attach{abi: 1, mode: 1, reserved: [3]uint32{0, 0, 1}}, unix.EINVAL},
			"another ABI":               {attach{abi: 99, mode: 1}, unix.EPROTONOSUPPORT},
		} {
			fd := raw(t)
			request := test.request
			if errno := ioctl(fd, iocAttach, unsafe.Pointer(&request)); errno != test.want {
				t.Errorf("%s: %v, want %v", name, errno, test.want)
			}
			if request.abi != chardev.ABIVersion {
				t.Errorf("%s: the module says its ABI is %d", name, request.abi)
			}
		}
	})

	t.Run("nothing goes before attach", func(t *testing.T) {
		fd := raw(t)
		if _, err := unix.Read(fd, buffer); err != unix.ENOTCONN {
			t.Errorf("read: %v", err)
		}
		if _, err := unix.Write(fd, buffer); err != unix.ENOTCONN {
			t.Errorf("write: %v", err)
		}
		var refusals [2]uint64
		if errno := ioctl(fd, iocRefusals, unsafe.Pointer(&refusals)); errno != unix.ENOTCONN {
			t.Errorf("refusals: %v", errno)
		}
	})

	t.Run("attached for one mode", func(t *testing.T) {
		snapshot, inject := raw(t), raw(t)
		for fd, mode := range map[int]uint32{snapshot: 2, inject: 3} {
			if errno := ioctl(fd, iocAttach, unsafe.Pointer(&attach{abi: 1, mode: mode})); errno != 0 {
				t.Fatal(errno)
			}
			if errno := ioctl(fd, iocAttach, unsafe.Pointer(&attach{abi: 1, mode: mode})); errno != unix.EISCONN {
				t.Errorf("attach again: %v", errno)
			}
		}
		if _, err := unix.Write(snapshot, buffer); err != unix.EBADF {
			t.Errorf("write to a snapshot: %v", err)
		}
		if _, err := unix.Read(inject, buffer); err != unix.EBADF {
			t.Errorf("read of an injector: %v", err)
		}
		if _, err := unix.Read(snapshot, buffer[:chardev.ReadMin-1]); err != unix.EINVAL {
			t.Errorf("read of too little: %v", err)
		}
	})

	t.Run("memory that is not there", func(t *testing.T) {
		fd := raw(t)
		for name, errno := range map[string]unix.Errno{
			"attach": ioctl(fd, iocAttach, nil),
			"stats":  ioctl(fd, iocStats, nil),
		} {
			if errno != unix.EFAULT {
				t.Errorf("%s: %v", name, errno)
			}
		}
		if errno := ioctl(fd, iocAttach, unsafe.Pointer(&attach{abi: 1, mode: 3})); errno != 0 {
			t.Fatal(errno)
		}
		if _, _, errno := unix.Syscall(unix.SYS_WRITE, uintptr(fd), 8, 88); errno != unix.EFAULT {
			t.Errorf("write: %v", errno)
		}
	})

	t.Run("a reader whose buffer faults loses nothing silently", func(t *testing.T) {
		fd := raw(t)
		if errno := ioctl(fd, iocAttach, unsafe.Pointer(&attach{abi: 1, mode: 1})); errno != 0 {
			t.Fatal(errno)
		}
		read := func() unix.Errno {
			_, _, errno := unix.Syscall(unix.SYS_READ, uintptr(fd), 8, 4096)
			return errno
		}
		if errno := read(); errno != unix.EAGAIN {
			t.Errorf("nothing to read: %v, want EAGAIN", errno)
		}
		serve(t, in.lab, "tcp", natPort)
		open(t, traffic.Client{Namespace: in.lab.Client}, netip.AddrPortFrom(topology.Virtual, natPort))
		if errno := read(); errno != unix.EFAULT {
			t.Errorf("a connection to read: %v, want EFAULT", errno)
		}
		if faults := counter(t, in.Director, chardev.CounterDroppedFault); faults != 1 {
			t.Errorf("counted %d times", faults)
		}
		n, err := unix.Read(fd, buffer)
		if err != nil {
			t.Fatal(err)
		}
		batch := chardev.NewBatch(len(buffer))
		batch.Load(buffer[:n])
		if batch.Next(new(ipvs.Conn)) || batch.Events() != chardev.EventLost {
			t.Errorf("events %v, want lost", batch.Events())
		}
	})

	t.Run("an unknown ioctl", func(t *testing.T) {
		if errno := ioctl(raw(t), 0xb7ff, nil); errno != unix.ENOTTY {
			t.Errorf("%v, want ENOTTY", errno)
		}
	})

	t.Run("without CAP_NET_ADMIN", func(t *testing.T) {
		// The node is root's; the capability is looked at beyond that.
		err := in.Do(func() error {
			header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var data [2]unix.CapUserData
			if err := unix.Capget(&header, &data[0]); err != nil {
				return err
			}
			restore := data
			data[0].Effective &^= 1 << unix.CAP_NET_ADMIN
			if err := unix.Capset(&header, &data[0]); err != nil {
				return err
			}
			defer unix.Capset(&header, &restore[0])
			fd, err := unix.Open(chardev.DefaultPath, unix.O_RDWR|unix.O_CLOEXEC, 0)
			if err == nil {
				unix.Close(fd)
			}
			return err
		})
		if !errors.Is(err, os.ErrPermission) {
			t.Errorf("%v, want a refusal", err)
		}
	})
}
