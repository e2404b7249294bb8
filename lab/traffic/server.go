// Package traffic is what goes through the directors: echo servers, streams
// that a client keeps open and goes on using, short connections, SYN floods.
package traffic

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"

	"github.com/ssyncp/ssyncp/lab/netns"
)

// The echo protocol, the same over TCP, SCTP and UDP: a client sends lines, the
// server answers each with its own name, a space and the line. But for UDP the
// server greets with its name alone, first of all.

// A Server answers the echo protocol inside a namespace.
type Server struct {
	name   string
	closer io.Closer
	wg     sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]struct{}
}

// Serve starts a server named after its namespace. Network is "tcp" or "udp";
// it listens on every IPv4 address.
func Serve(n *netns.Namespace, network string, port uint16) (*Server, error) {
	return ServeAt(n, network, netip.AddrPortFrom(netip.IPv4Unspecified(), port))
}

// ServeAt is Serve on one address, of either family; network may be "sctp", too.
func ServeAt(n *netns.Namespace, network string, at netip.AddrPort) (*Server, error) {
	s := &Server{name: n.Name, open: make(map[net.Conn]struct{})}
	family := "4"
	if at.Addr().Is6() {
		family = "6"
	}
	err := n.Do(func() error {
		if network == "udp" {
			conn, err := net.ListenPacket("udp"+family, at.String())
			if err != nil {
				return err
			}
			s.closer = conn
			s.wg.Go(func() { s.answer(conn.(*net.UDPConn)) })
			return nil
		}
		listen := func() (net.Listener, error) { return net.Listen("tcp"+family, at.String()) }
		if network == "sctp" {
			listen = func() (net.Listener, error) { return listenSCTP(at) }
		}
		listener, err := listen()
		if err != nil {
			return err
		}
		s.closer = listener
		s.wg.Go(func() { s.accept(listener) })
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("traffic: serve in %s: %w", n.Name, err)
	}
	return s, nil
}

// Close stops the server and resets what is open.
func (s *Server) Close() error {
	err := s.closer.Close()
	s.mu.Lock()
	s.closed = true
	for conn := range s.open {
		conn.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
	return err
}

func (s *Server) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // a connection that was gone before it was taken
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			conn.Close()
			return
		}
		s.open[conn] = struct{}{}
		s.wg.Go(func() { s.echo(conn) })
		s.mu.Unlock()
	}
}

func (s *Server) echo(conn net.Conn) {
	defer func() {
		conn.Close()
		s.mu.Lock()
		delete(s.open, conn)
		s.mu.Unlock()
	}()
	if _, err := fmt.Fprintf(conn, "%s\n", s.name); err != nil {
		return
	}
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if _, err := fmt.Fprintf(conn, "%s %s\n", s.name, lines.Bytes()); err != nil {
			return
		}
	}
}

// answer answers datagrams from where they were sent to: a DR server from the
// virtual address.
func (s *Server) answer(conn *net.UDPConn) {
	if err := tellDestination(conn); err != nil {
		return
	}
	buffer, control := make([]byte, 2048), make([]byte, 128)
	for {
		n, c, _, from, err := conn.ReadMsgUDPAddrPort(buffer, control)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error from a client that is gone
		}
		reply := fmt.Appendf(nil, "%s %s", s.name, buffer[:n])
		// A client that does not take it asks again or gives up.
		_, _, _ = conn.WriteMsgUDPAddrPort(reply, sameSource(control[:c]), from)
	}
}
