package daemon_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/netnstest"
	"github.com/ssyncp/ssyncp/pkg/wire"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// packet is an IPv4 packet that somebody puts on the wire.
type packet struct {
	source, destination netip.Addr
	ttl                 byte
	fragments           bool // two of them
	payload             []byte
}

// header puts an IPv4 header before a packet's content, or a fragment of it.
func (p packet) header(content []byte, offset int, more bool) []byte {
	flags := uint16(offset / 8)
	if more {
		flags |= 0x2000
	}
	h := binary.BigEndian.AppendUint16([]byte{0x45, 0}, uint16(20+len(content)))
	h = append(h, 0x53, 0x53)
	h = binary.BigEndian.AppendUint16(h, flags)
	h = append(h, p.ttl, wire.Protocol, 0, 0)
	h = append(append(h, p.source.AsSlice()...), p.destination.AsSlice()...)
	var sum uint32
	for i := 0; i < len(h); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(h[i:]))
	}
	binary.BigEndian.PutUint16(h[10:], ^uint16(sum>>16+sum))
	return append(h, content...)
}

// packets are those that are sent for it.
func (p packet) packets() [][]byte {
	if !p.fragments {
		return [][]byte{p.header(p.payload, 0, false)}
	}
	half := len(p.payload) / 16 * 8
	return [][]byte{p.header(p.payload[:half], 0, true), p.header(p.payload[half:], half, false)}
}

// injector sends packets to one host out of an interface, whoever they say that
// they are from.
type injector struct {
	t  testing.TB
	fd int
	to *unix.SockaddrLinklayer
}

// newInjector returns one that sends out of the interface of a namespace to that
// of another one.
func newInjector(t testing.TB, from *netnstest.Namespace, out string, to *netnstest.Namespace, in string) *injector {
	t.Helper()
	protocol := uint16(unix.ETH_P_IP)
	i := &injector{t: t, to: &unix.SockaddrLinklayer{
		Protocol: protocol<<8 | protocol>>8, Ifindex: inspect(t, from, out).Index, Halen: 6,
	}}
	copy(i.to.Addr[:], inspect(t, to, in).HardwareAddr)
	var err error
	from.Do(t, func() { i.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(i.fd) })
	return i
}

func (i *injector) send(p packet) {
	i.t.Helper()
	for _, content := range p.packets() {
		if err := unix.Sendto(i.fd, content, 0, i.to); err != nil {
			i.t.Fatal(err)
		}
	}
}

func inspect(t testing.TB, ns *netnstest.Namespace, name string) *net.Interface {
	t.Helper()
	var ifi *net.Interface
	var err error
	ns.Do(t, func() { ifi, err = net.InterfaceByName(name) })
	if err != nil {
		t.Fatal(err)
	}
	return ifi
}

// wiretap records the frames of version 2 that pass an interface.
type wiretap struct {
	t   *testing.T
	key frame.Key
	fd  int

	mu     sync.Mutex
	frames []overheard
	ended  chan struct{}
}

// overheard is a frame, as somebody with the key sees it.
type overheard struct {
	at      time.Time // by the kernel's clock
	from    netip.Addr
	to      netip.Addr
	packet  []byte
	payload []byte
	body    block.Body
	types   []block.Type
}

// has reports whether there is a block of a type in it.
func (o overheard) has(t block.Type) bool { return slices.Contains(o.types, t) }

// tap records until stop is called.
func tap(t *testing.T, ns *netnstest.Namespace, device string, key frame.Key) *wiretap {
	t.Helper()
	w := &wiretap{t: t, key: key, ended: make(chan struct{})}
	protocol := uint16(unix.ETH_P_ALL) // or what leaves is not seen
	address := &unix.SockaddrLinklayer{Protocol: protocol<<8 | protocol>>8, Ifindex: inspect(t, ns, device).Index}
	var err error
	ns.Do(t, func() {
		w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Bind(w.fd, address)
		}
		if err == nil {
			err = unix.SetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
		}
		if err == nil {
			err = unix.SetsockoptTimeval(w.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	go w.run()
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *wiretap) run() {
	defer close(w.ended)
	opener, err := frame.NewOpener(syncID, w.key)
	if err != nil {
		w.t.Error(err)
		return
	}
	buf, control := make([]byte, 1<<16), make([]byte, 256)
	for {
		w.mu.Lock()
		fd := w.fd
		w.mu.Unlock()
		if fd < 0 {
			return
		}
		n, length, _, _, err := unix.Recvmsg(fd, buf, control, 0)
		if err != nil || n < 20 || buf[9] != wire.Protocol {
			continue
		}
		packet := bytes.Clone(buf[:n])
		o := overheard{
			packet:  packet,
			at:      stamp(control[:length]),
			from:    netip.AddrFrom4([4]byte(buf[12:])),
			to:      netip.AddrFrom4([4]byte(buf[16:])),
			payload: packet[20:],
		}
		body, err := opener.Open(bytes.Clone(o.payload))
		if err == nil {
			o.body, err = block.Parse(body)
		}
		if err != nil {
			continue
		}
		blocks := o.body.Blocks()
		for b := (block.Block{}); blocks.Next(&b); {
			o.types = append(o.types, b.Type)
		}
		w.mu.Lock()
		w.frames = append(w.frames, o)
		w.mu.Unlock()
	}
}

// stamp returns the time that the kernel had when a packet passed.
func stamp(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Time{}
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		}
	}
	return time.Time{}
}

// overheard returns what was recorded so far, of one address and with a block of
// a type; 0 is any.
func (w *wiretap) overheard(from netip.Addr, with block.Type) []overheard {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []overheard
	for _, o := range w.frames {
		if o.from == from && (with == 0 || o.has(with)) {
			list = append(list, o)
		}
	}
	return list
}

// lastSequence returns the highest one of adverts of an address.
func (w *wiretap) lastSequence(from netip.Addr) (last uint64) {
	for _, o := range w.overheard(from, block.TypeAdvert) {
		blocks := o.body.Blocks()
		for b := (block.Block{}); blocks.Next(&b); {
			if b.Type != block.TypeAdvert {
				continue
			}
			if a, err := b.Advert(); err == nil {
				last = max(last, a.Sequence)
			}
		}
	}
	return last
}

// stop ends the recording.
func (w *wiretap) stop() {
	w.mu.Lock()
	fd := w.fd
	w.fd = -1
	w.mu.Unlock()
	if fd >= 0 {
		<-w.ended
		unix.Close(fd)
	}
}
