package daemon_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// floodVariable makes this test binary one that sends packets.
const floodVariable = "TEST_DAEMON_FLOOD"

// floodOrder is its standard input; it sends until that ends.
type floodOrder struct {
	Interface int
	To        [8]byte // hardware address
	Rate      int     // packets a second
	Packets   [][]byte
}

// floodReport is its standard output.
type floodReport struct {
	Sent int
	Took time.Duration
}

// flood sends the packets of an order in turn.
func flood(in io.Reader, out io.Writer) int {
	lines := bufio.NewReader(in)
	line, err := lines.ReadBytes('\n')
	var o floodOrder
	if err == nil {
		err = json.Unmarshal(line, &o)
	}
	var fd int
	if err == nil {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, lines) // its end is all that it is for
		close(ended)
	}()
	protocol := uint16(unix.ETH_P_IP)
	to := unix.RawSockaddrLinklayer{
		Family: unix.AF_PACKET, Protocol: protocol<<8 | protocol>>8, Ifindex: int32(o.Interface), Halen: 6, Addr: o.To,
	}
	type message struct {
		unix.Msghdr
		_ uint64
	}
	messages, vectors := make([]message, len(o.Packets)), make([]unix.Iovec, len(o.Packets))
	for i, p := range o.Packets {
		vectors[i].Base = &p[0]
		vectors[i].SetLen(len(p))
		messages[i].Name, messages[i].Namelen = (*byte)(unsafe.Pointer(&to)), unix.SizeofSockaddrLinklayer
		messages[i].Iov = &vectors[i]
		messages[i].SetIovlen(1)
	}
	r, begin := floodReport{}, time.Now()
	for next := 0; ; {
		select {
		case <-ended:
			r.Took = time.Since(begin)
			if err := json.NewEncoder(out).Encode(r); err != nil {
				return 1
			}
			return 0
		default:
		}
		due := int(time.Since(begin).Seconds()*float64(o.Rate)) - r.Sent
		if due < 32 {
			time.Sleep(200 * time.Microsecond)
			continue
		}
		// Who was not let run does not catch up at once.
		for due = min(due, o.Rate/100); due > 0; {
			n := min(due, len(messages)-next)
			sent, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages[next])), uintptr(n), 0, 0, 0)
			if errno != 0 && errno != unix.ENOBUFS && errno != unix.EINTR {
				fmt.Fprintln(os.Stderr, errno)
				return 1
			}
			if errno != 0 {
				continue
			}
			r.Sent += int(sent)
			due -= int(sent)
			next = (next + int(sent)) % len(messages)
		}
		runtime.KeepAlive(&to)
	}
}

// usage is what a process took.
type usage struct {
	cpu       time.Duration
	rss, peak int // bytes; the peak since it was reset
	at        time.Time
}

func usageOf(t *testing.T, pid int) usage {
	t.Helper()
	u := usage{at: time.Now()}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	const clock = time.Second / 100 // USER_HZ
	for _, field := range fields[11:13] {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		u.cpu += time.Duration(ticks) * clock
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		for name, value := range map[string]*int{"VmRSS:": &u.rss, "VmHWM:": &u.peak} {
			if rest, ok := strings.CutPrefix(line, name); ok {
				kib, err := strconv.Atoi(strings.Fields(rest)[0])
				if err != nil {
					t.Fatal(err)
				}
				*value = kib << 10
			}
		}
	}
	return u
}

// badPackets are full-size ones of every kind that is dropped, in turn.
func (s *scene) badPackets() (list []packet) {
	full := func(from []overheard) []overheard {
		var long []overheard
		for _, o := range from {
			if o.to == group && len(o.payload) > 1400 {
				long = append(long, o)
			}
		}
		if len(long) == 0 {
			s.t.Fatal("no frame of full size was overheard")
		}
		return long
	}
	good, own := full(s.tap.overheard(peerIP, block.TypeAdvert)), full(s.tap.overheard(victimIP, block.TypeAdvert))
	peer := good[0].body.Peer
	content := func(sender block.Peer) []byte {
		b := append(s.advert(sender, 1<<40, 1), make([]byte, 4)...)
		b, err := block.AppendProbe(b, 1480-frame.Sealed.Overhead()-len(b))
		if err != nil {
			s.t.Fatal(err)
		}
		return b
	}
	for i := range 96 { // recorded starts: more than are remembered
		recordedStart := block.Peer{Sender: 3 + uint32(i)%4, Start: block.StartID{1, byte(i)}}
		sealed := s.sealed(syncID, s.key, content(recordedStart))
		forged := s.sealed(syncID, s.key, content(peer))
		forged[100+i] ^= 1
		wrongKey := s.sealed(syncID, frame.NewKey([frame.KeySize]byte{1}), content(peer))
		short := append([]byte(nil), forged[:1400]...)
		foreign := s.sealed(syncID+1, s.key, content(peer))
		list = append(list,
			from(peerIP, forged),
			from(peerIP, wrongKey),
			from(peerIP, s.clear(content(peer))),
			recorded(good[i%len(good):])[0],
			packet{source: stranger, destination: group, ttl: 255, payload: own[i%len(own)].payload},
			from(stranger, sealed),
			from(stranger, foreign),
			from(stranger, short),
			from(stranger, make([]byte, 1480)),
			packet{source: peerIP, destination: group, ttl: 64, payload: forged},
			from(victimIP, forged),
			packet{source: peerIP, destination: group, ttl: 255, fragments: true, payload: forged},
		)
	}
	return list
}

// Under a flood of what it drops, a director takes at most a core, keeps its
// memory, and hears its peers.
func TestFloodOfBadFrames(t *testing.T) {
	const (
		rate     = 50_000
		rounds   = 3
		each     = 1000 // connections of a round
		inTime   = time.Second
		growth   = 16 << 20
		wantRate = rate / 4 // what a busy machine must reach for the test to say anything
	)
	if raceDetector {
		t.Skip("what it costs is measured without the race detector: make flood")
	}
	s := newScene(t)
	for from, d := range map[int]*director{30_000: s.peer, 40_000: s.victim} {
		d.ask(request{Queue: 3000, From: from})
	}
	s.victim.holds(clients(30_000, 3000))
	s.peer.holds(clients(40_000, 3000))
	order := floodOrder{Interface: inspect(t, s.nsB, "eth0").Index, To: s.attacker.to.Addr, Rate: rate}
	for _, p := range s.badPackets() {
		order.Packets = append(order.Packets, p.packets()...)
	}
	s.tap.stop()
	pid := s.victim.process.Process.Pid
	counted, taken := s.victim.counters(), s.victim.ask(request{Brief: true}).Taken
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
	stop := s.flood(order)
	before := usageOf(t, pid)
	time.Sleep(time.Second)
	good := uint64(0)
	var times []time.Duration
	for i := range rounds {
		begin := time.Now()
		s.peer.ask(request{Queue: each, From: 50_000 + i*each, Brief: true})
		good += each
		eventually(t, "good connections", func() bool { return s.victim.ask(request{Brief: true}).Taken >= taken+good })
		times = append(times, time.Since(begin))
		time.Sleep(inTime / 4)
	}
	time.Sleep(time.Until(before.at.Add(4 * time.Second)))
	after := usageOf(t, pid)
	report := stop()
	s.fresh()
	good++

	moved := map[string]int{}
	looked := 0 // packets that the daemon took from the socket
	for name, n := range s.victim.counters() {
		if n -= counted[name]; n == 0 {
			continue
		}
		group, _, _ := strings.Cut(name, " ")
		switch {
		case name == "receive_dropped overrun":
			moved[name] = n
		case group == "receive_dropped", name == "received datagrams":
			looked += n
			fallthrough
		case group == "cluster_refused", group == "peering_trouble":
			moved[name] = n
		}
	}
	wall, cpu := after.at.Sub(before.at), after.cpu-before.cpu
	sentRate := float64(report.Sent) / report.Took.Seconds()
	perFrame := time.Duration(float64(cpu) / (float64(looked) * wall.Seconds() / report.Took.Seconds()))
	t.Logf("%d packets sent in %v, %.0f a second, %d of them looked at: %.2f cores, %v a packet; memory %d KiB, at most %d KiB more; %d connections in %v",
		report.Sent, report.Took.Round(time.Millisecond), sentRate, looked, cpu.Seconds()/wall.Seconds(), perFrame,
		before.rss>>10, (after.peak-before.rss)>>10, each, times)
	t.Logf("counted %v", moved)
	if sentRate < wantRate {
		t.Skipf("this machine is too busy to send more than %.0f packets a second", sentRate)
	}
	if cpu > wall {
		t.Errorf("it took %.2f cores", cpu.Seconds()/wall.Seconds())
	}
	if limit := time.Second / rate; perFrame > limit {
		t.Errorf("it took %v for a packet: %d a second are more than a core", perFrame, rate)
	}
	if grown := after.peak - before.rss; grown > growth {
		t.Errorf("its memory grew by %d KiB", grown>>10)
	}
	late := 0
	for _, took := range times {
		if took > inTime {
			late++
		}
	}
	if late > rounds/2 {
		t.Errorf("%d good connections took %v", each, times)
	}
	for _, name := range []string{
		"cluster_refused seal", "cluster_refused key", "cluster_refused not_sealed", "cluster_refused foreign_sync_id", "cluster_refused size",
		"cluster_refused other_version", "peering_trouble replayed", "peering_trouble own", "peering_trouble unproven_advert",
		"receive_dropped ttl", "receive_dropped own", "receive_dropped fragment",
	} {
		if moved[name] == 0 {
			t.Errorf("nothing was counted as %s", name)
		}
	}
	if n := s.victim.ask(request{Brief: true}).Taken - taken; n != good {
		t.Errorf("%d connections were written, %d were told", n, good)
	}
}

// flood starts to send in a process of its own.
func (s *scene) flood(order floodOrder) (stop func() floodReport) {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	process := exec.Command("ip", "netns", "exec", s.nsB.Name, self)
	process.Env = append(os.Environ(), floodVariable+"=1")
	process.Stderr = os.Stderr
	in, err := process.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := process.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := false
	s.t.Cleanup(func() {
		if !ended {
			process.Process.Kill()
			process.Wait()
		}
	})
	if err := json.NewEncoder(in).Encode(order); err != nil {
		s.t.Fatal(err)
	}
	return func() (r floodReport) {
		s.t.Helper()
		in.Close()
		err := json.NewDecoder(out).Decode(&r)
		ended = true
		if failed := process.Wait(); failed != nil || err != nil {
			s.t.Fatalf("the sender of bad frames: %v, %v", failed, err)
		}
		return r
	}
}
