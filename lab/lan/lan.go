// Package lan joins guests into Ethernet segments: a learning switch in the
// host, which QEMU's stream netdevs connect to over a unix socket. No guest
// holds the segment together, so that any of them can lose its power.
package lan

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// frameMax is well over an Ethernet frame; a larger one is a broken stream.
const frameMax = 1 << 17

// queueLen is how many frames wait for a guest that is slow to take them, as
// in a real switch; what comes then is dropped and counted.
const queueLen = 4096

type address [6]byte

// A Switch is one Ethernet segment.
type Switch struct {
	listener net.Listener
	dropped  atomic.Uint64

	mu     sync.Mutex
	ports  map[*port]struct{}
	seen   map[address]*port // where an address was last seen
	closed bool
	wg     sync.WaitGroup
}

type port struct {
	conn  net.Conn
	queue chan []byte
}

// Listen makes a segment that guests reach at a unix socket.
func Listen(path string) (*Switch, error) {
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("lan: %w", err)
	}
	s := &Switch{listener: listener, ports: make(map[*port]struct{}), seen: make(map[address]*port)}
	s.wg.Add(1)
	go s.accept()
	return s, nil
}

// Path returns the socket's path.
func (s *Switch) Path() string { return s.listener.Addr().String() }

// Dropped returns how many frames met a full queue.
func (s *Switch) Dropped() uint64 { return s.dropped.Load() }

// Close unplugs everybody.
func (s *Switch) Close() error {
	err := s.listener.Close()
	s.mu.Lock()
	s.closed = true
	for p := range s.ports {
		p.conn.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
	return err
}

func (s *Switch) accept() {
	defer s.wg.Done()
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return // closed
		}
		p := &port{conn: conn, queue: make(chan []byte, queueLen)}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			conn.Close()
			return
		}
		s.ports[p] = struct{}{}
		s.wg.Add(2)
		s.mu.Unlock()
		go s.receive(p)
		go s.transmit(p)
	}
}

// receive forwards a guest's frames until it is gone.
func (s *Switch) receive(p *port) {
	defer s.wg.Done()
	defer s.unplug(p)
	in := bufio.NewReaderSize(p.conn, 1<<18)
	for {
		frame, err := readFrame(in)
		if err != nil {
			return
		}
		if len(frame) >= 14 {
			s.forward(p, frame)
		}
	}
}

func (s *Switch) unplug(p *port) {
	p.conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ports, p)
	for a, at := range s.seen {
		if at == p {
			delete(s.seen, a)
		}
	}
	close(p.queue)
}

func (s *Switch) forward(from *port, frame []byte) {
	to, source := address(frame[:6]), address(frame[6:12])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[source] = from
	if p, known := s.seen[to]; known {
		if p != from {
			s.enqueue(p, frame)
		}
		return
	}
	for p := range s.ports {
		if p != from {
			s.enqueue(p, frame)
		}
	}
}

func (s *Switch) enqueue(p *port, frame []byte) {
	select {
	case p.queue <- frame:
	default:
		s.dropped.Add(1)
	}
}

func (s *Switch) transmit(p *port) {
	defer s.wg.Done()
	out := bufio.NewWriterSize(p.conn, 1<<18)
	for frame := range p.queue {
		writeFrame(out, frame)
		if len(p.queue) == 0 && out.Flush() != nil {
			p.conn.Close() // receive unplugs it
		}
	}
}

// On the stream each frame follows its length: 32 bits, network order.

func readFrame(in *bufio.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(head[:])
	if length > frameMax {
		return nil, errors.New("lan: not a stream of frames")
	}
	frame := make([]byte, length)
	_, err := io.ReadFull(in, frame)
	return frame, err
}

// writeFrame leaves errors to the flush that follows.
func writeFrame(out *bufio.Writer, frame []byte) {
	var head [4]byte
	binary.BigEndian.PutUint32(head[:], uint32(len(frame)))
	out.Write(head[:])
	out.Write(frame)
}
