package devicefuzz

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// A descriptor is shared by all workers; only who closes it has it alone.
type descriptor struct {
	sync.RWMutex
	fd    int // -1: closed
	place int // of Config.Places; abroad: another namespace
	mode  atomic.Uint32
	sure  atomic.Bool // its mode is known: nobody else attaches it
}

// abroad is the place of what belongs to a namespace of its own.
const abroad = -1

// A worker makes one system call after the other.
type worker struct {
	*generator
	run   *run
	arena *arena
	seen  map[int][]uint64 // counters of each place, as they were last

	count  map[string]int // calls, by what came of them
	amount map[string]int // of what the calls carried
}

func newWorker(r *run, number int) (*worker, error) {
	a, err := newArena()
	if err != nil {
		return nil, err
	}
	return &worker{
		generator: &generator{
			Rand: rand.New(rand.NewPCG(r.Seed, uint64(number))), services: r.Services, clients: r.Clients,
		},
		run: r, arena: a, seen: make(map[int][]uint64), count: make(map[string]int), amount: make(map[string]int),
	}, nil
}

func (w *worker) tally(call string, errno unix.Errno) {
	what := "done"
	if errno != 0 {
		what = unix.ErrnoName(errno)
	}
	w.count[call+" "+what]++
}

// expect counts a call, and reports an errno that the contract does not have for
// it.
func (w *worker) expect(call string, errno unix.Errno, allowed ...unix.Errno) {
	w.tally(call, errno)
	w.must(call, errno, allowed...)
}

// must is expect for a call that is counted already.
func (w *worker) must(call string, errno unix.Errno, allowed ...unix.Errno) {
	for _, a := range allowed {
		if errno == a {
			return
		}
	}
	w.run.find("%s: %v (%s), want one of %v", call, errno, unix.ErrnoName(errno), allowed)
}

// alone is on with one call.
func (w *worker) alone(d *descriptor, call func(*descriptor)) {
	d.RLock()
	defer d.RUnlock()
	if d.fd >= 0 {
		call(d)
	}
}

// on makes some calls with a descriptor that others may use as well.
func (w *worker) on(d *descriptor) {
	d.RLock()
	defer d.RUnlock()
	if d.fd < 0 {
		return
	}
	for _, call := range []struct {
		chance int
		do     func(*descriptor)
	}{
		{6, w.attach}, {20, w.read}, {26, w.write}, {8, w.refusals}, {8, w.stats}, {4, w.poll}, {4, w.oddities},
		{3, w.race}, {3, w.pass},
	} {
		if w.IntN(82) < call.chance {
			call.do(d)
		}
	}
}

// attach asks for a mode, with fields that are right or not.
func (w *worker) attach(d *descriptor) {
	a := attachArg{ABI: chardev.ABIVersion, Mode: 1 + w.Uint32N(3)}
	wrong := false
	switch w.IntN(10) {
	case 0:
		a.ABI = w.Uint32N(4)
	case 1:
		a.Mode = w.Uint32()
	case 2:
		a.Flags = w.Uint32N(8)
	case 3:
		a.Reserved[w.IntN(3)] = w.Uint32N(2)
	case 4:
		a = attachArg{w.Uint32(), w.Uint32(), w.Uint32(), w.Uint32(), w.Uint32(), [3]uint32{}}
	}
	if a.Mode == modeCapture || w.IntN(8) == 0 {
		a.Linger = []uint32{0, 0, 1, 50, w.Uint32()}[w.IntN(5)]
		a.Watermark = []uint32{0, 1, 64, w.Uint32()}[w.IntN(4)]
	}
	address, raw, have := w.memory(32 + 8)
	if have < 32+8 {
		if errno := ioctl(d.fd, iocAttach, address); have < 32 {
			w.expect("attach, not there", errno, unix.EFAULT)
		}
		return
	}
	fill(raw)
	binary.NativeEndian.PutUint32(raw, a.ABI)
	for i, v := range []uint32{a.Mode, a.Flags, a.Linger, a.Watermark, a.Reserved[0], a.Reserved[1], a.Reserved[2]} {
		binary.NativeEndian.PutUint32(raw[4+4*i:], v)
	}
	before := append([]byte(nil), raw...)

	errno := ioctl(d.fd, iocAttach, address)
	switch {
	case a.ABI != chardev.ABIVersion:
		w.expect("attach", errno, unix.EPROTONOSUPPORT)
		wrong = true
	case a.Flags&^3 != 0, a.Flags == 2, a.Flags != 0 && a.Mode != modeSnapshot, a.Reserved != [3]uint32{},
		a.Mode != modeCapture && (a.Linger != 0 || a.Watermark != 0):
		w.expect("attach", errno, unix.EINVAL)
		wrong = true
	case a.Mode == 0 || a.Mode > modeInject:
		w.expect("attach", errno, unix.EINVAL, unix.EISCONN)
		wrong = true
	case a.Mode == modeCapture:
		w.expect("attach", errno, 0, unix.EISCONN, unix.EBUSY, unix.ENOMEM)
	default:
		w.expect("attach", errno, 0, unix.EISCONN, unix.ENOMEM)
	}
	if errno == 0 && !wrong && !d.mode.CompareAndSwap(0, a.Mode) && d.sure.Load() {
		w.run.find("attach: descriptor attached twice: %d, then %d", d.mode.Load(), a.Mode)
	}
	if version := binary.NativeEndian.Uint32(raw); version != chardev.ABIVersion {
		w.run.find("attach: says ABI version %d", version)
	}
	if string(raw[4:]) != string(before[4:]) {
		w.run.find("attach: changed what is not its own: %x, was %x", raw, before)
	}
}

// A place for the bytes of a call: good memory, most of the time. have is how
// many of n bytes are there.
func (w *worker) memory(n int) (address uintptr, good []byte, have int) {
	switch w.IntN(16) {
	case 0: // not there at all; the last one is the kernel's, where even 0 bytes are refused
		return []uintptr{0, 8, 1 << 46, ^uintptr(4095)}[w.IntN(3+min(n, 1))], nil, 0
	case 1: // only the beginning is there
		have = w.IntN(min(n, arenaSize) + 1)
		offset := arenaSize - have
		return w.arena.address(offset), w.arena.at(offset, have), have
	}
	offset := w.IntN(16)
	n = min(n, arenaSize-offset)
	return w.arena.address(offset), w.arena.at(offset, n), n
}

var readSizes = []int{0, 1, chardev.ReadMin - 1, chardev.ReadMin, chardev.ReadMin + 1, 4096, 4097, 16384, 65536, arenaSize / 2}

func (w *worker) read(d *descriptor) {
	size := readSizes[w.IntN(len(readSizes))]
	address, good, have := w.memory(size)
	fill(good)
	before := d.mode.Load()
	n, errno := readAt(d.fd, address, size)
	w.tally("read", errno)
	w.checkRead(d, before, size, have, n, errno)
	if errno != 0 {
		return
	}
	if n > have {
		w.run.find("read: %d bytes, into %d", n, have)
		return
	}
	connections, err := ReadRecords(good[:n])
	if err != nil {
		w.run.find("read of %d bytes: %v", size, err)
	}
	if have == size {
		if i := untouched(good[n:]); i >= 0 {
			w.run.find("read: returned %d bytes and wrote byte %d", n, n+i)
		}
	}
	w.amount["connections read"] += connections
	w.remember(good[:n])
}

func (w *worker) checkRead(d *descriptor, before uint32, size, have, n int, errno unix.Errno) {
	if errno == unix.EFAULT && have < size {
		return
	}
	mode := d.mode.Load()
	if !d.sure.Load() || mode != before {
		w.must("read, mode not known", errno, 0, unix.ENOTCONN, unix.EBADF, unix.EINVAL, unix.EAGAIN)
		return
	}
	switch {
	case mode == 0:
		// It may be about to be attached: the mode is noted behind that.
		w.must("read, not attached", errno, unix.ENOTCONN, unix.EBADF, unix.EINVAL, unix.EAGAIN, 0)
	case mode == modeInject:
		w.must("read of an injector", errno, unix.EBADF)
	case size < chardev.ReadMin:
		w.must("read of too little", errno, unix.EINVAL)
	case mode == modeSnapshot:
		w.must("read of a snapshot", errno, 0)
	case mode == modeCapture:
		w.must("read of news", errno, 0, unix.EAGAIN)
		if errno == 0 && n == 0 {
			w.run.find("read of news: 0")
		}
	}
}

func (w *worker) write(d *descriptor) {
	batch := w.batch([]int{1, 4, 64, 512}[w.IntN(4)])
	size := len(batch)
	switch w.IntN(40) {
	case 0:
		size = 0
	case 1:
		size = chardev.WriteMax + 1 + w.IntN(4096)
	case 2:
		size = chardev.WriteMax
	}
	address, good, have := w.memory(size)
	if copied := copy(good, batch); copied < len(good) {
		clear(good[copied:])
	}
	before := d.mode.Load()
	n, errno := writeAt(d.fd, address, size)
	mode := d.mode.Load()
	w.tally("write", errno)
	switch {
	case have < size && (errno == unix.EFAULT || size > chardev.WriteMax && errno == unix.EMSGSIZE):
		return
	case mode == 0 || !d.sure.Load() || mode != before:
		w.must("write, mode not known", errno, 0, unix.ENOTCONN, unix.EBADF, unix.EINVAL, unix.EMSGSIZE)
	case mode == modeSnapshot:
		w.must("write to a snapshot", errno, unix.EBADF)
		return
	case size > chardev.WriteMax:
		w.must("write of too much", errno, unix.EMSGSIZE)
		return
	case have < size:
		w.must("write of what is not there", errno, unix.EFAULT)
		return
	}
	if errno != 0 && errno != unix.EINVAL {
		return
	}
	want, records := 0, 0
	for _, r := range Framing(good[:size]) {
		want += len(r)
		records++
	}
	if errno == unix.EINVAL && (want != 0 || size == 0) || errno == 0 && n != want {
		w.run.find("write: took %d (%v) of %d bytes, the framing says %d\n%x", n, errno, size, want, good[:size])
	}
	if errno == 0 {
		w.amount["records taken"] += records
	}
}

const refusalSize = 8

func (w *worker) refusals(d *descriptor) {
	const room = chardev.WriteMax / connSize
	count, reserved := []uint32{0, 1, 7, room, 1 << 31, 1<<32 - 1}[w.IntN(6)], uint32(0)
	if w.IntN(8) == 0 {
		reserved = 1
	}
	list, good, have := w.memory((room + 16) * refusalSize)
	fill(good)
	request := make([]byte, 16)
	binary.NativeEndian.PutUint64(request, uint64(list))
	binary.NativeEndian.PutUint32(request[8:], count)
	binary.NativeEndian.PutUint32(request[12:], reserved)
	errno := ioctlOn(d.fd, iocRefusals, request)
	allowed := []unix.Errno{0, unix.ENOTCONN, unix.EBADF}
	if reserved != 0 {
		allowed = []unix.Errno{unix.EINVAL, unix.ENOTCONN, unix.EBADF}
	}
	if have < (room+16)*refusalSize {
		allowed = append(allowed, unix.EFAULT)
	}
	w.expect("refusals", errno, allowed...)
	if errno != 0 || have == 0 {
		return
	}
	total := binary.NativeEndian.Uint32(request[8:])
	if total > room {
		w.run.find("refusals: %d of a batch of at most %d records", total, room)
		return
	}
	n := int(min(total, count))
	if n*refusalSize > have {
		w.run.find("refusals: %d into %d bytes", n, have)
		return
	}
	if err := checkRefusals(good[:n*refusalSize], room); err != nil {
		w.run.find("refusals: %v", err)
	}
	if i := untouched(good[n*refusalSize:]); i >= 0 {
		w.run.find("refusals: %d of them, and wrote byte %d behind", n, i)
	}
}

// checkRefusals looks at a list that must be of ascending records.
func checkRefusals(list []byte, records int) error {
	last := -1
	for ; len(list) > 0; list = list[refusalSize:] {
		index, reason := int(binary.NativeEndian.Uint32(list)), binary.NativeEndian.Uint32(list[4:])
		if index <= last || index >= records || reason >= uint32(chardev.Reasons) {
			return fmt.Errorf("record %d for reason %d, behind record %d, of %d", index, reason, last, records)
		}
		last = index
	}
	return nil
}

func (w *worker) stats(d *descriptor) {
	size := []int{0, 1, statsHead - 1, statsHead, statsHead + 1, statsHead + 8, statsSize - 1, statsSize, statsSize + 64}[w.IntN(9)]
	said := uint32(size)
	if w.IntN(8) == 0 {
		size, said = statsSize+64, 1<<32-1
	}
	address, good, have := w.memory(size + 8)
	fill(good)
	if have >= 4 {
		binary.NativeEndian.PutUint32(good, said)
	}
	errno := ioctl(d.fd, iocStats, address)
	if have < size+8 {
		w.expect("stats, in part there", errno, 0, unix.EINVAL, unix.EFAULT)
		return
	}
	if size < statsHead {
		w.expect("stats, of too little", errno, unix.EINVAL)
		return
	}
	w.expect("stats", errno, 0)
	if errno != 0 {
		return
	}
	n := min(int(binary.NativeEndian.Uint32(good[offStatsSize:])), len(good))
	if n != min(size, statsSize) || binary.NativeEndian.Uint32(good[offStatsABI:]) != chardev.ABIVersion ||
		binary.NativeEndian.Uint32(good[offStatsReserved:]) != 0 {
		w.run.find("stats of %d bytes: %x", size, good[:statsHead])
	}
	if i := untouched(good[n:]); i >= 0 {
		w.run.find("stats: %d bytes, and wrote byte %d", n, n+i)
	}
	if d.place == abroad {
		return
	}
	if bound := w.run.Places[d.place].MaxConns; bound != 0 {
		if has := int(binary.NativeEndian.Uint32(good[offStatsConns:])); has > bound {
			w.run.find("%d connections in %s, want at most %d", has, w.run.Places[d.place].Name, bound)
		}
	}
	w.counters(d.place, good[statsHead:n])
}

// counters of one place may only grow.
func (w *worker) counters(place int, raw []byte) {
	seen := w.seen[place]
	if seen == nil {
		seen = make([]uint64, chardev.Counters)
		w.seen[place] = seen
	}
	for i := range len(raw) / 8 {
		now := binary.NativeEndian.Uint64(raw[8*i:])
		if now < seen[i] {
			w.run.find("counter %v: %d, was %d", chardev.Counter(i), now, seen[i])
		}
		seen[i] = now
	}
}

func (w *worker) poll(d *descriptor) {
	before := d.mode.Load()
	list := []unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLIN | unix.POLLOUT}}
	_, err := unix.Poll(list, 0)
	if err != nil && err != unix.EINTR {
		w.run.find("poll: %v", err)
	}
	w.count["poll"]++
	got := list[0].Revents
	if err != nil || !d.sure.Load() || before == 0 || d.mode.Load() != before {
		return
	}
	always := map[uint32]int16{modeCapture: unix.POLLOUT, modeSnapshot: unix.POLLIN, modeInject: unix.POLLOUT}[before]
	if got != always && !(before == modeCapture && got == unix.POLLIN|unix.POLLOUT) {
		w.run.find("poll in mode %d: %#x", before, got)
	}
}

// oddities are calls that the device has nothing to do with.
func (w *worker) oddities(d *descriptor) {
	switch w.IntN(7) {
	case 0:
		request := uintptr(w.Uint32())
		if w.IntN(2) == 0 {
			request = 0xb700 | uintptr(4+w.IntN(252))
		}
		switch request {
		case iocAttach, iocRefusals, iocStats:
			return
		}
		if request>>8&0xff != 0xb7 {
			return // the VFS has ioctls of its own
		}
		w.expect("unknown ioctl", ioctl(d.fd, request, 8), unix.ENOTTY)
	case 1:
		_, err := unix.Seek(d.fd, 8, 0)
		w.expect("lseek", errnoOf(err), unix.ESPIPE)
	case 2:
		_, err := unix.Pread(d.fd, make([]byte, 4096), 8)
		w.expect("pread", errnoOf(err), unix.ESPIPE)
	case 3:
		_, err := unix.Mmap(d.fd, 0, 4096, unix.PROT_READ, unix.MAP_SHARED)
		w.expect("mmap", errnoOf(err), unix.ENODEV)
	case 4:
		w.expect("fsync", errnoOf(unix.Fsync(d.fd)), unix.EINVAL)
	case 5:
		n, err := unix.Readv(d.fd, [][]byte{make([]byte, chardev.ReadMin), nil, make([]byte, 100), make([]byte, 8192)})
		w.expect("readv", errnoOf(err), 0, unix.ENOTCONN, unix.EBADF, unix.EAGAIN, unix.EINVAL)
		if n > 2*chardev.ReadMin+8192 {
			w.run.find("readv: %d bytes", n)
		}
	case 6:
		batch := w.batch(4)
		cut := w.IntN(len(batch) + 1)
		_, err := unix.Writev(d.fd, [][]byte{batch[:cut], batch[cut:]})
		w.expect("writev", errnoOf(err), 0, unix.ENOTCONN, unix.EBADF, unix.EINVAL, unix.EMSGSIZE)
	}
}

// race closes a descriptor under calls that use it.
func (w *worker) race(d *descriptor) {
	fd, err := unix.FcntlInt(uintptr(d.fd), unix.F_DUPFD_CLOEXEC, 512)
	if err != nil {
		w.run.find("dup: %v", err)
		return
	}
	batch := w.batch(16)
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			buffer := make([]byte, 65536)
			if i == 0 {
				_, _ = unix.Read(fd, buffer)
			} else {
				_, _ = unix.Write(fd, batch)
			}
		})
	}
	time.Sleep(time.Duration(w.IntN(200)) * time.Microsecond)
	unix.Close(fd)
	wg.Wait()
	w.count["closed under a call"]++
}

func errnoOf(err error) unix.Errno {
	if err == nil {
		return 0
	}
	if errno, is := err.(unix.Errno); is {
		return errno
	}
	return unix.EIO
}
