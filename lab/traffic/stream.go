package traffic

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/ssyncp/ssyncp/lab/netns"
)

// Errors of an exchange beside those of the network.
var (
	// ErrGarbled: the answer is not to what was sent.
	ErrGarbled = errors.New("traffic: wrong answer")
	// ErrMoved: another real server answered.
	ErrMoved = errors.New("traffic: another server answered")
)

// patience is how long a step of the echo protocol may take.
const patience = 5 * time.Second

// A Stream is one connection of a client, TCP, SCTP or UDP, from one address and port
// to one real server. It is used by one goroutine at a time.
type Stream struct {
	ID          int
	Established time.Time // when the client knew that it was
	Server      string    // the name of the real server
	conn        net.Conn
	in          *bufio.Reader
	exchanges   int
}

// A Client opens streams in a namespace.
type Client struct {
	Namespace *netns.Namespace
	Network   string        // "tcp", "sctp" or "udp"; empty: tcp
	Source    netip.Addr    // zero: the kernel's choice
	Port      uint16        // of Source, which then is not zero; 0: the kernel's choice
	Patience  time.Duration // for each step; 0: 5 s
}

// Open opens a stream and, for UDP, makes a first exchange.
func (c Client) Open(id int, to netip.AddrPort) (*Stream, error) {
	dialer := net.Dialer{Timeout: c.patience()}
	network := c.Network
	if network == "" {
		network = "tcp"
	}
	if c.Source.IsValid() {
		source := netip.AddrPortFrom(c.Source, c.Port)
		if network == "udp" {
			dialer.LocalAddr = net.UDPAddrFromAddrPort(source)
		} else {
			dialer.LocalAddr = net.TCPAddrFromAddrPort(source)
		}
	}
	s := &Stream{ID: id}
	err := c.Namespace.Do(func() (err error) {
		if network == "sctp" {
			s.conn, err = dialSCTP(c.Source, to, c.patience())
			return err
		}
		s.conn, err = dialer.Dial(network, to.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("stream %d: %w", id, err)
	}
	s.Established = time.Now()
	s.in = bufio.NewReader(s.conn)
	if err := s.begin(network, c.patience()); err != nil {
		s.conn.Close()
		return nil, err
	}
	return s, nil
}

func (c Client) patience() time.Duration {
	if c.Patience != 0 {
		return c.Patience
	}
	return patience
}

func (s *Stream) begin(network string, limit time.Duration) error {
	if network == "udp" {
		return s.ExchangeWithin(limit)
	}
	s.conn.SetReadDeadline(time.Now().Add(limit))
	greeting, err := s.in.ReadString('\n')
	if err != nil {
		return fmt.Errorf("stream %d: greeting: %w", s.ID, err)
	}
	s.Server = strings.TrimSuffix(greeting, "\n")
	return nil
}

// Local returns the client's address and port.
func (s *Stream) Local() netip.AddrPort {
	return netip.MustParseAddrPort(s.conn.LocalAddr().String())
}

// Exchange sends a line and waits for its answer, from the same real server.
func (s *Stream) Exchange() error { return s.ExchangeWithin(patience) }

// ExchangeWithin is Exchange with a limit. A datagram is sent once.
func (s *Stream) ExchangeWithin(limit time.Duration) error {
	s.exchanges++
	line := fmt.Sprintf("stream %d exchange %d\n", s.ID, s.exchanges)
	s.conn.SetDeadline(time.Now().Add(limit))
	if _, err := s.conn.Write([]byte(line)); err != nil {
		return fmt.Errorf("stream %d: %w", s.ID, err)
	}
	answer, err := s.in.ReadString('\n')
	if err != nil {
		return fmt.Errorf("stream %d: %w", s.ID, err)
	}
	server, echoed, _ := strings.Cut(answer, " ")
	switch {
	case echoed != line:
		return fmt.Errorf("stream %d: %w: %q to %q", s.ID, ErrGarbled, answer, line)
	case s.Server != "" && s.Server != server:
		return fmt.Errorf("stream %d: %w: %s after %s", s.ID, ErrMoved, server, s.Server)
	}
	s.Server = server
	return nil
}

// Close closes the stream: a FIN over TCP.
func (s *Stream) Close() error { return s.conn.Close() }

// Reset ends a TCP stream with a RST.
func (s *Stream) Reset() error {
	if tcp, is := s.conn.(*net.TCPConn); is {
		if err := tcp.SetLinger(0); err != nil {
			return err
		}
	}
	return s.conn.Close()
}
