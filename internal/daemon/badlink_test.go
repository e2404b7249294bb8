package daemon_test

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/netnstest"
	"github.com/ssyncp/ssyncp/pkg/wire"
)

// badLink is a link between two namespaces, eth0 of each, that a test carries
// frames over, or does not: not every host's kernel has netem.
type badLink struct {
	a, b *netnstest.Namespace
	bad  atomic.Bool // it loses, repeats and reorders
	cut  atomic.Bool
	gone atomic.Bool // the test is over
	// What happened to frames.
	lost, repeated, late atomic.Int64
}

// How bad it is: shares of a hundred frames, and by how much some are late.
const (
	losesOf   = 20
	repeatsOf = 15
	delaysOf  = 20
	lateness  = 250 * time.Millisecond // two frames that come behind it overtake it

	lookEvery = 5 * time.Millisecond // for frames whose time has come
)

// newBadLink makes one that is good so far.
func newBadLink(t *testing.T) *badLink {
	t.Helper()
	l := &badLink{a: netnstest.New(t), b: netnstest.New(t)}
	between := netnstest.New(t)
	netnstest.Pair(t, l.a, "eth0", "192.0.2.1/24", between, "end0", "198.51.100.1/32")
	netnstest.Pair(t, l.b, "eth0", "192.0.2.2/24", between, "end1", "198.51.100.2/32")
	ends := [2]int{openEnd(t, between, "end0"), openEnd(t, between, "end1")}
	var all sync.WaitGroup
	for i := range ends {
		all.Go(func() { l.carry(ends[i], ends[1-i]) })
	}
	t.Cleanup(func() {
		l.gone.Store(true)
		all.Wait()
		for _, fd := range ends {
			unix.Close(fd)
		}
	})
	return l
}

// openEnd returns a socket with what comes in over an interface.
func openEnd(t *testing.T, ns *netnstest.Namespace, device string) (fd int) {
	t.Helper()
	protocol := uint16(unix.ETH_P_ALL)
	address := &unix.SockaddrLinklayer{Protocol: protocol<<8 | protocol>>8, Ifindex: inspect(t, ns, device).Index}
	var err error
	ns.Do(t, func() {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return
		}
		for _, set := range []func() error{
			func() error { return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1) },
			func() error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20) },
			func() error {
				return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: lookEvery.Microseconds()})
			},
			func() error { return unix.Bind(fd, address) },
		} {
			if err == nil {
				err = set()
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// carry carries frames from one end to the other.
func (l *badLink) carry(from, to int) {
	type delayed struct {
		at    time.Time
		frame []byte
	}
	var waiting []delayed
	buf := make([]byte, 1<<16)
	for !l.gone.Load() {
		for len(waiting) > 0 && time.Now().After(waiting[0].at) {
			l.send(to, waiting[0].frame)
			waiting = waiting[1:]
		}
		n, err := unix.Read(from, buf)
		if err != nil || l.cut.Load() {
			continue
		}
		frame := buf[:n]
		if !l.bad.Load() || !ofDirectors(frame) {
			l.send(to, frame)
			continue
		}
		switch chance := rand.N(100); {
		case chance < losesOf:
			l.lost.Add(1)
		case chance < losesOf+repeatsOf:
			l.repeated.Add(1)
			l.send(to, frame)
			l.send(to, frame)
		case chance < losesOf+repeatsOf+delaysOf:
			l.late.Add(1)
			waiting = append(waiting, delayed{time.Now().Add(lateness), bytes.Clone(frame)})
		default:
			l.send(to, frame)
		}
	}
}

// send sends what fits: an interface that is down takes nothing.
func (l *badLink) send(to int, frame []byte) { _, _ = unix.Write(to, frame) }

// ofDirectors reports whether a frame of Ethernet is one that directors tell each
// other something in.
func ofDirectors(frame []byte) bool {
	return len(frame) > 14+20 && frame[12] == 8 && frame[13] == 0 && frame[14+9] == wire.Protocol
}
