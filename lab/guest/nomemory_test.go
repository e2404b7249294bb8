package guest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/image"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// A rawDevice is /dev/ssyncp without what pkg/chardev does around a system call:
// the calls are made on the caller's thread, and nothing else is.
type rawDevice int

func (d rawDevice) ioctl(request uintptr, arg unsafe.Pointer) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(d), request, uintptr(arg))
	return errno
}

func (d rawDevice) attach(request *[8]uint32) unix.Errno {
	return d.ioctl(0xc020b701, unsafe.Pointer(request))
}

func (d rawDevice) read(to []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(d), uintptr(unsafe.Pointer(&to[0])), uintptr(len(to)))
	return int(n), errno
}

func (d rawDevice) write(from []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(d), uintptr(unsafe.Pointer(&from[0])), uintptr(len(from)))
	return int(n), errno
}

// refusals returns the reason of each record of the last write that was refused.
func (d rawDevice) refusals(t *testing.T) map[int]chardev.Reason {
	t.Helper()
	var list [64][2]uint32
	request := struct {
		entries         uint64
		count, reserved uint32
	}{uint64(uintptr(unsafe.Pointer(&list[0]))), uint32(len(list)), 0}
	errno := d.ioctl(0xc010b702, unsafe.Pointer(&request))
	runtime.KeepAlive(&list)
	if errno != 0 {
		t.Fatalf("refusals: %v", errno)
	}
	refused := make(map[int]chardev.Reason)
	for _, r := range list[:request.count] {
		refused[int(r[0])] = chardev.Reason(r[1])
	}
	return refused
}

func openRaw() (rawDevice, unix.Errno) {
	path := [...]byte{'/', 'd', 'e', 'v', '/', 's', 's', 'y', 'n', 'c', 'p', 0}
	at := unix.AT_FDCWD
	fd, _, errno := unix.RawSyscall6(unix.SYS_OPENAT, uintptr(at), uintptr(unsafe.Pointer(&path[0])),
		unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0, 0, 0)
	return rawDevice(fd), errno
}

// raw opens the device in the director's namespace.
func (in *injection) raw(t *testing.T) rawDevice {
	t.Helper()
	var device rawDevice
	err := in.Do(func() error {
		var errno unix.Errno
		if device, errno = openRaw(); errno != 0 {
			return errno
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return device
}

func attachRequest(mode chardev.Mode) *[8]uint32 {
	return &[8]uint32{chardev.ABIVersion, uint32(mode)}
}

// Without memory the module does not load; where it loads it has all that it
// needs of IPVS. A load is hundreds of allocations, most of them the kernel's
// own: one of several is tried, others in another run.
func TestLoadWithoutMemory(t *testing.T) {
	f := newFaults(t)
	file, err := os.Open(image.Module)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd, noParameters := file.Fd(), new(byte)
	const step = 8
	first, refused := 1+rand.IntN(step), 0
	n := f.some(t, first, step, func(fail failing) {
		errno := fail(func() unix.Errno {
			_, _, errno := unix.RawSyscall(unix.SYS_FINIT_MODULE, fd, uintptr(unsafe.Pointer(noParameters)), 0)
			return errno
		})
		switch errno {
		case 0:
			device, err := chardev.Open(chardev.DefaultPath)
			if err != nil {
				t.Fatal(err)
			}
			var stats chardev.Stats
			err = device.Stats(&stats)
			device.Close()
			if err != nil || stats.Missing != 0 {
				t.Errorf("loaded, but %v is missing (%v)", stats.Missing, err)
			}
			director.UnloadModule(t)
		case unix.ENOMEM:
			refused++
		default:
			t.Fatalf("init_module: %v, want ENOMEM", errno)
		}
	})
	t.Logf("some %d allocations; from number %d on each %dth was tried, %d of these were needed", n, first, step, refused)
	if refused == 0 {
		t.Error("no allocation failed: this is no test")
	}
}

// Without memory the device does not open; nothing of it stays, and the next
// one opens.
func TestOpenWithoutMemory(t *testing.T) {
	f := newFaults(t)
	director.LoadModule(t)
	users := func() int { return ask(t, "/sys/module/ssyncp/refcnt") }
	before := users()
	refused := 0
	n := f.each(t, func(fail failing) {
		var device rawDevice
		errno := fail(func() (errno unix.Errno) {
			device, errno = openRaw()
			return errno
		})
		switch errno {
		case 0:
			unix.Close(int(device))
		case unix.ENOMEM:
			refused++
		default:
			t.Errorf("open: %v, want ENOMEM", errno)
		}
	})
	t.Logf("%d allocations, %d of them needed", n, refused)
	if refused == 0 {
		t.Error("no allocation failed: this is no test")
	}
	eventually(t, 10*time.Second, func() bool { return users() == before }, "the module is still held")
	if device, errno := openRaw(); errno != 0 {
		t.Errorf("with memory again: %v", errno)
	} else {
		unix.Close(int(device))
	}
}

// Without memory a descriptor is not attached, and nothing else has happened:
// the same descriptor is attached by the same call when there is some again, and
// does what it is for.
func TestAttachWithoutMemory(t *testing.T) {
	in := newInjection(t)
	in.lab.AddService(t, director.Service{Method: director.NAT, Protocol: "udp"}, sightsUDPPort)
	for range 20 {
		injectOne(t, in.device, in.established(natPort, ipvs.Masquerade))
	}
	does := map[chardev.Mode]func(*testing.T, rawDevice){
		chardev.ModeCapture:  in.captures,
		chardev.ModeSnapshot: in.snapshots,
		chardev.ModeInject:   in.injects,
	}
	for _, mode := range []chardev.Mode{chardev.ModeCapture, chardev.ModeSnapshot, chardev.ModeInject} {
		for _, how := range []struct {
			name string
			of   func(*faults, *testing.T, func(failing)) int
		}{
			{"each allocation", (*faults).each},
			{"all from one on", (*faults).dry},
		} {
			t.Run(fmt.Sprintf("%v, %s", mode, how.name), func(t *testing.T) {
				f := newFaults(t)
				before := in.Stats(t)
				refused := 0
				n := how.of(f, t, func(fail failing) {
					device := in.raw(t)
					defer unix.Close(int(device))
					request := attachRequest(mode)
					errno := fail(func() unix.Errno { return device.attach(request) })
					switch errno {
					case 0:
					case unix.ENOMEM:
						refused++
						if got := in.Stats(t); got.State != before.State || got.Missing != before.Missing {
							t.Errorf("state %v, missing %v: attached in part", got.State, got.Missing)
						}
						if _, errno := device.read(make([]byte, chardev.ReadMin)); errno != unix.ENOTCONN {
							t.Errorf("read: %v, want ENOTCONN", errno)
						}
						if errno := device.attach(request); errno != 0 {
							t.Fatalf("with memory again: %v", errno)
						}
					default:
						t.Fatalf("attach: %v, want ENOMEM", errno)
					}
					if got := in.Stats(t); got.Missing != before.Missing {
						t.Fatalf("attached, but %v is missing", got.Missing)
					}
					does[mode](t, device)
				})
				t.Logf("%d times without, %d of them needed it", n, refused)
				if refused == 0 {
					t.Error("no allocation failed: this is no test")
				}
				if got := in.Stats(t); got.State != before.State {
					t.Errorf("state %v, was %v: something stays attached", got.State, before.State)
				}
			})
		}
	}
}

// captures: a new connection of this director is news.
func (in *injection) captures(t *testing.T, device rawDevice) {
	t.Helper()
	from := in.established(sightsUDPPort, ipvs.Masquerade).Client
	send(t, in.lab.Client.Do, from, netip.AddrPortFrom(topology.Virtual, sightsUDPPort), "x")
	var news []ipvs.Conn
	var errno unix.Errno
	for began := time.Now(); len(news) == 0 && time.Since(began) < 10*time.Second; time.Sleep(time.Millisecond) {
		if news, errno = device.records(t); errno != unix.EAGAIN {
			t.Fatalf("read: %v", errno)
		}
	}
	if len(news) != 1 || news[0].Client != from {
		t.Errorf("news: %v, want the connection of %v", news, from)
	}
}

func (in *injection) snapshots(t *testing.T, device rawDevice) {
	t.Helper()
	found, errno := device.records(t)
	if errno != 0 {
		t.Fatalf("read: %v", errno)
	}
	if want := int(in.Stats(t).ConnCount); len(found) != want {
		t.Errorf("%d connections, want %d", len(found), want)
	}
}

func (in *injection) injects(t *testing.T, device rawDevice) {
	t.Helper()
	c := in.established(natPort, ipvs.Masquerade)
	records := appendRecords(t, c)
	if n, errno := device.write(records); n != len(records) || errno != 0 {
		t.Fatalf("wrote %d of %d bytes: %v", n, len(records), errno)
	}
	if refused := device.refusals(t); len(refused) != 0 {
		t.Errorf("refused: %v", refused)
	}
}

func appendRecords(t *testing.T, conns ...ipvs.Conn) (records []byte) {
	t.Helper()
	for i := range conns {
		var err error
		if records, err = chardev.AppendRecord(records, &conns[i]); err != nil {
			t.Fatal(err)
		}
	}
	return records
}

// records reads to the end, which is an errno or 0. An event fails the test.
func (d rawDevice) records(t *testing.T) (found []ipvs.Conn, errno unix.Errno) {
	t.Helper()
	buffer := make([]byte, chardev.DefaultBatchSize)
	batch := chardev.NewBatch(len(buffer))
	for {
		n, errno := d.read(buffer)
		if n <= 0 || errno != 0 {
			return found, errno
		}
		batch.Load(buffer[:n])
		for c := new(ipvs.Conn); batch.Next(c); {
			found = append(found, c.Clone())
		}
		if err := batch.Err(); err != nil {
			t.Fatal(err)
		}
		if batch.Events() != 0 {
			t.Fatalf("events: %v", batch.Events())
		}
	}
}

// What has no memory to take it is refused for that, and counted; the others of
// the batch are applied. Nothing is half applied, and the same record is taken
// when there is memory.
func TestWriteWithoutMemory(t *testing.T) {
	loadModules(t, "ip_vs_pe_sip")
	in := newInjection(t)
	device := in.raw(t)
	t.Cleanup(func() { unix.Close(int(device)) })
	if errno := device.attach(attachRequest(chardev.ModeInject)); errno != 0 {
		t.Fatal(errno)
	}

	t.Run("no connection gets any", func(t *testing.T) {
		f := newFaults(t)
		b := in.newBatch(t)
		if refused := b.write(t, device, f.atomic(t)); len(refused) != b.needing() {
			t.Errorf("%d records were refused, want all %d that need a connection", len(refused), b.needing())
		}
	})

	t.Run("each allocation of a batch", func(t *testing.T) {
		f := newFaults(t)
		refused := make(map[string]int)
		// Which allocation of a call is which depends on what the slabs have.
		for range 3 {
			n := f.each(t, func(fail failing) {
				b := in.newBatch(t)
				for _, i := range b.write(t, device, fail) {
					refused[b.entries[i].name]++
				}
			})
			t.Logf("%d allocations; refused so far: %v", n, refused)
		}
		for _, e := range in.newBatch(t).entries {
			if !e.update && refused[e.name] == 0 {
				t.Errorf("%s: no allocation of it failed: this is no test", e.name)
			}
		}
	})
}

// A batch has one record of each sort.
type batch struct {
	in      *injection
	entries []entry
}

type entry struct {
	name   string
	conn   ipvs.Conn
	before *ipvs.Conn // what the table has of it; nil: nothing
	update bool       // of that one: no new one
}

func (in *injection) newBatch(t *testing.T) *batch {
	t.Helper()
	known := func() (c, before ipvs.Conn) {
		c = in.established(natPort, ipvs.Masquerade)
		injectOne(t, in.device, c)
		return c, in.mustKnow(t, c.Key())
	}
	updated, beforeUpdate := known()
	updated.State, updated.Flags, updated.Timeout = ipvs.TCPFinWait, updated.Flags|ipvs.FlagInactive, 2*time.Minute
	moved, beforeMove := known()
	moved.Dest = netip.AddrPortFrom(in.lab.Servers[1].Address, natPort)
	engine := in.template()
	engine.PEName, engine.PEData = "sip", fmt.Appendf(nil, "call-%d", in.next)
	return &batch{in, []entry{
		{name: "a connection", conn: in.established(natPort, ipvs.Masquerade)},
		{name: "an update", conn: updated, before: &beforeUpdate, update: true},
		{name: "a template", conn: in.template()},
		{name: "another real server", conn: moved, before: &beforeMove},
		{name: "a persistence engine", conn: engine},
	}}
}

// needing is how many need a connection.
func (b *batch) needing() (n int) {
	for _, e := range b.entries {
		if !e.update {
			n++
		}
	}
	return n
}

// write writes the batch while allocations fail, looks at what came of each
// record, and writes those again that were refused, which it returns.
func (b *batch) write(t *testing.T, device rawDevice, fail failing) (refused []int) {
	t.Helper()
	var conns []ipvs.Conn
	for _, e := range b.entries {
		conns = append(conns, e.conn)
	}
	records := appendRecords(t, conns...)
	before, engines := b.in.Stats(t), ask(t, "/sys/module/ip_vs_pe_sip/refcnt")
	activeBefore, inactiveBefore := b.in.serverConns(t, natPort)
	var n int
	errno := fail(func() (errno unix.Errno) {
		n, errno = device.write(records)
		return errno
	})
	if n != len(records) || errno != 0 {
		t.Fatalf("wrote %d of %d bytes: %v", n, len(records), errno)
	}
	for i, reason := range device.refusals(t) {
		if reason != chardev.RefusedNoMemory {
			t.Errorf("%s: refused: %v, want %v", b.entries[i].name, reason, chardev.RefusedNoMemory)
		}
		refused = append(refused, i)
	}

	after := b.in.Stats(t)
	grown := func(c chardev.Counter) int { return int(after.Counters[c] - before.Counters[c]) }
	if got := int(after.Refused(chardev.RefusedNoMemory) - before.Refused(chardev.RefusedNoMemory)); got != len(refused) {
		t.Errorf("%d records were refused, %d counted", len(refused), got)
	}
	created := b.needing() - len(refused)
	if got := grown(chardev.CounterCreated); got != created {
		t.Errorf("%d were created, want %d", got, created)
	}
	if got, want := grown(chardev.CounterUpdated), len(b.entries)-b.needing(); got != want {
		t.Errorf("%d were updated, want %d", got, want)
	}
	b.mustBe(t, refused)
	b.mustHoldEngines(t, engines, refused)
	if len(refused) == b.needing() {
		// The update became inactive; of the others the server has nothing.
		if active, inactive := b.in.serverConns(t, natPort); active != activeBefore-1 || inactive != inactiveBefore+1 {
			t.Errorf("the real servers have %d active and %d inactive connections, had %d and %d", active, inactive, activeBefore, inactiveBefore)
		}
	}

	var again []ipvs.Conn
	for _, i := range refused {
		again = append(again, b.entries[i].conn)
	}
	if len(again) > 0 {
		if still := inject(t, b.in.device, again...); len(still) != 0 {
			t.Errorf("with memory again: refused: %v", still)
		}
		b.mustBe(t, nil)
	}
	return refused
}

// mustBe: what was refused is in the table as before, the others as they say.
func (b *batch) mustBe(t *testing.T, refused []int) {
	t.Helper()
	table := snapshot(t, b.in.Director, false)
	for i, e := range b.entries {
		var found []ipvs.Conn
		for _, c := range table {
			if c.Key() == e.conn.Key() {
				found = append(found, c)
			}
		}
		switch {
		case slices.Contains(refused, i) && e.before == nil:
			if len(found) != 0 {
				t.Errorf("%s: refused, but the table has %v", e.name, &found[0])
			}
		case slices.Contains(refused, i):
			if len(found) != 1 || !asWritten(found[0], *e.before) || found[0].Marks != e.before.Marks {
				t.Errorf("%s: refused, but the table has %v\nit had %v", e.name, found, e.before)
			}
		default:
			// One that was replaced may still be there.
			if !slices.ContainsFunc(found, func(c ipvs.Conn) bool { return asWritten(c, e.conn) }) {
				t.Errorf("%s: the table has %v\nwritten was %v", e.name, found, &e.conn)
			}
		}
	}
}

func asWritten(a, b ipvs.Conn) bool {
	return a.State == b.State && a.Dest == b.Dest && a.Timeout == b.Timeout && a.Method() == b.Method()
}

// mustHoldEngines: a template holds the module of its engine, and what was not
// made does not.
func (b *batch) mustHoldEngines(t *testing.T, before int, refused []int) {
	t.Helper()
	want := before
	for i, e := range b.entries {
		if e.conn.PEName != "" && !slices.Contains(refused, i) {
			want++
		}
	}
	if got := ask(t, "/sys/module/ip_vs_pe_sip/refcnt"); got != want {
		t.Errorf("ip_vs_pe_sip is held %d times, want %d", got, want)
	}
}

// Reading takes no memory, nor does asking: what was captured is not lost where
// there is none.
func TestReadTakesNoMemory(t *testing.T) {
	in := newInjection(t)
	in.lab.AddService(t, director.Service{Method: director.NAT, Protocol: "udp"}, sightsUDPPort)
	f := newFaults(t)
	devices := make(map[chardev.Mode]rawDevice)
	for _, mode := range []chardev.Mode{chardev.ModeCapture, chardev.ModeSnapshot, chardev.ModeInject} {
		device := in.raw(t)
		t.Cleanup(func() { unix.Close(int(device)) })
		if errno := device.attach(attachRequest(mode)); errno != 0 {
			t.Fatal(errno)
		}
		devices[mode] = device
	}
	send(t, in.lab.Client.Do, netip.AddrPort{}, netip.AddrPortFrom(topology.Virtual, sightsUDPPort), "x")
	eventually(t, 10*time.Second, func() bool { return counter(t, in.Director, chardev.CounterQueued) > 0 }, "no news")

	buffer := make([]byte, chardev.ReadMin)
	stats := make([]byte, 32+8*int(chardev.Counters))
	binary.NativeEndian.PutUint32(stats, uint32(len(stats)))
	refusals := make([]byte, 16)
	reads := func(mode chardev.Mode) func() unix.Errno {
		return func() unix.Errno {
			n, errno := devices[mode].read(buffer)
			if errno == 0 && n <= 0 {
				return unix.ENODATA
			}
			return errno
		}
	}
	for name, call := range map[string]func() unix.Errno{
		"the news":        reads(chardev.ModeCapture),
		"a snapshot":      reads(chardev.ModeSnapshot),
		"the statistics":  func() unix.Errno { return devices[chardev.ModeInject].ioctl(0xb703, unsafe.Pointer(&stats[0])) },
		"what is refused": func() unix.Errno { return devices[chardev.ModeInject].ioctl(0xc010b702, unsafe.Pointer(&refusals[0])) },
	} {
		n := f.each(t, func(fail failing) {
			if errno := fail(call); errno != 0 {
				t.Errorf("%s: %v", name, errno)
			}
		})
		if n != 0 {
			t.Errorf("%s: %d allocations, want none", name, n)
		}
	}
}
