package guest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/lab/devicefuzz"
	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// A program that reads the device sees what the contract says, and no byte of
// what was in the kernel's memory before; nor is a byte of its own touched
// behind what was returned.
//
// The guests boot with init_on_alloc=0, and before each read the pages that the
// kernel will take next are full of ones that are not zero.
func TestReaderSeesNoOtherMemory(t *testing.T) {
	s := newSights(t)
	for round := range 3 {
		s.capture(t, round)
		s.snapshot(t)
	}
	for _, from := range []string{"capture", "snapshot"} {
		for _, sort := range []string{"IPv4", "IPv6", "template", "persistence engine", "sequence numbers"} {
			if s.seen[from+" "+sort] == 0 {
				t.Errorf("%s: no record with %s", from, sort)
			}
		}
	}
	if s.seen["capture event"] == 0 {
		t.Error("capture: no event")
	}
	s.structures(t)
}

// sights is a director with all that a reader can come to see.
type sights struct {
	*injection
	seen map[string]int
}

const (
	sipPort       = 5060
	sightsUDPPort = 5300
)

var (
	sixthVirtual = netip.MustParseAddrPort("[2001:db8::80]:53")
	sixthServer  = netip.MustParseAddrPort("[2001:db8:1::21]:53")
)

func newSights(t *testing.T) *sights {
	loadModules(t, "ip_vs_pe_sip")
	s := &sights{injection: newInjection(t), seen: make(map[string]int)}
	s.lab.AddService(t, director.Service{Method: director.NAT, Protocol: "udp"}, sightsUDPPort)
	s.AddService(t, director.Service{
		Method: director.NAT, Protocol: "udp", Virtual: sixthVirtual, Servers: []netip.AddrPort{sixthServer},
	})
	sip := netip.AddrPortFrom(topology.Virtual, sipPort).String()
	s.IPVSAdm(t, "-A", "-u", sip, "-s", "rr", "-p", "60", "--pe", "sip")
	s.IPVSAdm(t, "-a", "-u", sip, "-r", netip.AddrPortFrom(s.server, sipPort).String(), "-m")
	if err := s.IP(fmt.Sprintf("addr add %v/128 dev lo\naddr add 2001:db8:1::1/64 dev back nodad\n", sixthVirtual.Addr())); err != nil {
		t.Fatal(err)
	}
	serve(t, s.lab, "tcp", natPort)
	serve(t, s.lab, "tcp", persistentPort)
	return s
}

// happen brings a connection of every sort.
func (s *sights) happen(t *testing.T, round int) {
	t.Helper()
	client := traffic.Client{Namespace: s.lab.Client}
	for _, port := range []uint16{natPort, persistentPort} {
		open(t, client, netip.AddrPortFrom(topology.Virtual, port))
	}
	call := fmt.Sprintf("OPTIONS sip:a@b SIP/2.0\r\nCall-ID: %d-of-this-test@lab\r\nContent-Length: 0\r\n\r\n", round)
	send(t, s.lab.Client.Do, netip.AddrPort{}, netip.AddrPortFrom(topology.Virtual, sipPort), call)
	// From the director itself: the network of the tests has no IPv6.
	send(t, s.Do, netip.AddrPort{}, sixthVirtual, "x")

	// A peer had it, with numbers to adjust, and now it has packets here.
	adjusted := s.established(sightsUDPPort, ipvs.Masquerade)
	adjusted.Protocol, adjusted.State = ipvs.UDP, ipvs.UDPNormal
	adjusted.Flags |= ipvs.FlagSeqMask
	adjusted.In = ipvs.Sequence{Init: 1, Delta: 2, PreviousDelta: 3}
	adjusted.Out = adjusted.In
	injectOne(t, s.device, adjusted)
	send(t, s.lab.Client.Do, adjusted.Client, adjusted.Virtual, "x")
}

// send sends a datagram.
func send(t *testing.T, inside func(func() error) error, from, to netip.AddrPort, text string) {
	t.Helper()
	err := inside(func() error {
		var local *net.UDPAddr
		if from.IsValid() {
			local = net.UDPAddrFromAddrPort(from)
		}
		conn, err := net.DialUDP("udp", local, net.UDPAddrFromAddrPort(to))
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write([]byte(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// raw opens the device, with the pages dirty that attaching takes.
func (s *sights) raw(t *testing.T, mode uint32) int {
	t.Helper()
	dirtyPages(t)
	var fd int
	err := s.Do(func() (err error) {
		fd, err = unix.Open(chardev.DefaultPath, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	request := pattern(32 + 8)
	clear(request[:32])
	binary.NativeEndian.PutUint32(request, chardev.ABIVersion)
	binary.NativeEndian.PutUint32(request[4:], mode)
	before := bytes.Clone(request)
	if errno := rawIoctl(fd, 0xc020b701, request); errno != 0 {
		t.Fatalf("attach: %v", errno)
	}
	if !bytes.Equal(request, before) {
		t.Errorf("attach returned %x, was %x", request, before)
	}
	return fd
}

func rawIoctl(fd int, request uintptr, arg []byte) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(&arg[0])))
	return errno
}

func (s *sights) capture(t *testing.T, round int) {
	t.Helper()
	fd := s.raw(t, uint32(chardev.ModeCapture))
	defer unix.Close(fd)
	s.IPVSAdm(t, "--start-daemon", "master", "--mcast-interface", director.SyncLink)
	s.readAll(t, "capture", fd)
	s.IPVSAdm(t, "--stop-daemon", "master")
	s.happen(t, round)
	s.readAll(t, "capture", fd)
}

func (s *sights) snapshot(t *testing.T) {
	t.Helper()
	fd := s.raw(t, uint32(chardev.ModeSnapshot))
	defer unix.Close(fd)
	s.readAll(t, "snapshot", fd)
}

// readAll reads with buffers of several sizes until there is no more.
func (s *sights) readAll(t *testing.T, from string, fd int) {
	t.Helper()
	for i := 0; ; i++ {
		buffer := pattern([]int{chardev.ReadMin, 4096, 5000, 65536}[i%4])
		n, err := unix.Read(fd, buffer)
		if err == unix.EAGAIN || err == nil && n == 0 {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", from, err)
		}
		if _, err := devicefuzz.ReadRecords(buffer[:n]); err != nil {
			t.Errorf("%s: %v", from, err)
		}
		mustBeUntouched(t, from, buffer[n:])
		s.sort(from, buffer[:n])
	}
}

func (s *sights) sort(from string, read []byte) {
	batch := chardev.NewBatch(len(read))
	batch.Load(read)
	if batch.Events() != 0 {
		s.seen[from+" event"]++
	}
	for c := new(ipvs.Conn); batch.Next(c); {
		family := "IPv4"
		if c.Client.Addr().Is6() {
			family = "IPv6"
		}
		for sort, is := range map[string]bool{
			family: true, "template": c.Template(), "persistence engine": c.PEName != "",
			"sequence numbers": c.Flags&ipvs.FlagSeqMask != 0,
		} {
			if is {
				s.seen[from+" "+sort]++
			}
		}
	}
}

// structures: of the ioctls, what is not the module's to write it leaves.
func (s *sights) structures(t *testing.T) {
	t.Helper()
	fd := s.raw(t, uint32(chardev.ModeInject))
	defer unix.Close(fd)
	whole := 32 + 8*int(chardev.Counters)
	for _, size := range []int{32, 33, 40, whole - 1, whole, whole + 8} {
		stats := pattern(whole + 64)
		binary.NativeEndian.PutUint32(stats, uint32(size))
		if errno := rawIoctl(fd, 0xb703, stats); errno != 0 {
			t.Fatalf("stats: %v", errno)
		}
		mustBeUntouched(t, "stats", stats[min(size, whole):])
		if !bytes.Equal(stats[28:32], make([]byte, 4)) {
			t.Errorf("stats: reserved: %x", stats[28:32])
		}
		for i := 32; i+8 <= min(size, whole); i += 8 {
			if n := binary.NativeEndian.Uint64(stats[i:]); n > 1<<32 {
				t.Errorf("stats: counter %v is %#x", chardev.Counter((i-32)/8), n)
			}
		}
	}

	var batch []byte
	const refused = 3
	for range refused {
		c := s.established(unknownPort, ipvs.Masquerade)
		var err error
		if batch, err = chardev.AppendRecord(batch, &c); err != nil {
			t.Fatal(err)
		}
	}
	dirtyPages(t)
	if _, err := unix.Write(fd, batch); err != nil {
		t.Fatal(err)
	}
	for _, room := range []int{0, 1, refused, 100} {
		list := pattern(128 * 8)
		request := pattern(16 + 8)
		binary.NativeEndian.PutUint64(request, uint64(uintptr(unsafe.Pointer(&list[0]))))
		binary.NativeEndian.PutUint32(request[8:], uint32(room))
		binary.NativeEndian.PutUint32(request[12:], 0)
		before := bytes.Clone(request)
		binary.NativeEndian.PutUint32(before[8:], refused)
		if errno := rawIoctl(fd, 0xc010b702, request); errno != 0 {
			t.Fatalf("refusals: %v", errno)
		}
		runtime.KeepAlive(list)
		if !bytes.Equal(request, before) {
			t.Errorf("refusals returned %x, want %x", request, before)
		}
		n := min(room, refused)
		mustBeUntouched(t, "refusals", list[8*n:])
		for i := range n {
			index, reason := binary.NativeEndian.Uint32(list[8*i:]), binary.NativeEndian.Uint32(list[8*i+4:])
			if index != uint32(i) || chardev.Reason(reason) != chardev.RefusedNoDest {
				t.Errorf("refusal %d: record %d for %d", i, index, reason)
			}
		}
	}
}

const patternByte = 0x5a

func pattern(n int) []byte { return bytes.Repeat([]byte{patternByte}, n) }

func mustBeUntouched(t *testing.T, what string, rest []byte) {
	t.Helper()
	for i, b := range rest {
		if b != patternByte {
			t.Errorf("%s: byte %d behind what it returned is %#x", what, i, b)
			return
		}
	}
}

// dirtyPages leaves pages behind, on each CPU, that are full of ones.
func dirtyPages(t *testing.T) {
	t.Helper()
	const size = 8 << 20
	done := make(chan error)
	for cpu := range runtime.NumCPU() {
		go func() {
			runtime.LockOSThread() // and never unlocked: the thread ends
			var set unix.CPUSet
			set.Set(cpu)
			err := unix.SchedSetaffinity(0, &set)
			if err == nil {
				var pages []byte
				if pages, err = unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE); err == nil {
					for i := range pages {
						pages[i] = 0xff
					}
					err = unix.Munmap(pages)
				}
			}
			done <- err
		}()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}
