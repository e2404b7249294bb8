package guest

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/lab/netns"
	"github.com/ssyncp/ssyncp/lab/topology"
)

// As much of FTP (RFC 959) as it takes for ip_vs_ftp to see a session: PASV,
// PORT, RETR, where the file's name is its size, NOOP and QUIT.

const (
	ftpPort     = 21
	ftpDataPort = 20
	ftpChunk    = 4096
	ftpPause    = 20 * time.Millisecond // between two chunks
)

// ftpByte is what a file holds.
func ftpByte(offset int) byte { return byte(offset % 251) }

// An ftpServer is a server of files that exist only while they are sent.
type ftpServer struct {
	namespace *netns.Namespace
	address   netip.Addr
}

// serveFTP starts a server on an address, until the end of the test.
func serveFTP(t testing.TB, n *netns.Namespace, address netip.Addr) {
	t.Helper()
	s := ftpServer{namespace: n, address: address}
	listener, err := s.listen(ftpPort)
	if err != nil {
		t.Fatal(err)
	}
	var (
		all      sync.WaitGroup
		mu       sync.Mutex
		sessions []net.Conn
	)
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			sessions = append(sessions, conn)
			mu.Unlock()
			all.Go(func() {
				defer conn.Close()
				// A session that ends early shows at its client.
				_ = s.session(conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for _, conn := range sessions {
			conn.Close()
		}
		mu.Unlock()
		all.Wait()
	})
}

func (s ftpServer) listen(port uint16) (listener net.Listener, err error) {
	err = s.namespace.Do(func() error {
		listener, err = net.Listen("tcp4", netip.AddrPortFrom(s.address, port).String())
		return err
	})
	return listener, err
}

// dial connects to a client from the data port.
func (s ftpServer) dial(to netip.AddrPort) (conn net.Conn, err error) {
	dialer := net.Dialer{
		Timeout:   crowdPatience,
		LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(s.address, ftpDataPort)),
		Control: func(_, _ string, raw syscall.RawConn) error {
			var failed error
			err := raw.Control(func(fd uintptr) {
				failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
			})
			return errors.Join(err, failed)
		},
	}
	err = s.namespace.Do(func() error {
		conn, err = dialer.Dial("tcp4", to.String())
		return err
	})
	return conn, err
}

func (s ftpServer) session(control net.Conn) error {
	reply := func(format string, args ...any) error {
		_, err := fmt.Fprintf(control, format+"\r\n", args...)
		return err
	}
	if err := reply("220 ready"); err != nil {
		return err
	}
	var openData func() (net.Conn, error)
	for lines := bufio.NewScanner(control); lines.Scan(); {
		var err error
		command, argument, _ := strings.Cut(lines.Text(), " ")
		switch command {
		case "PASV":
			listener, err := s.listen(0)
			if err != nil {
				return err
			}
			defer listener.Close()
			openData = listener.Accept
			err = reply("227 Entering Passive Mode (%s).", ftpAddress(listener.Addr()))
			if err != nil {
				return err
			}
		case "PORT":
			to, err := parseFTPAddress(argument)
			if err != nil {
				return err
			}
			openData = func() (net.Conn, error) { return s.dial(to) }
			if err := reply("200 PORT command successful"); err != nil {
				return err
			}
		case "RETR":
			err = s.send(argument, openData, reply)
		case "NOOP":
			err = reply("200 %s", s.namespace.Name)
		case "QUIT":
			return reply("221 bye")
		default:
			err = reply("500 %s", command)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// send sends a file of a size, slowly.
func (s ftpServer) send(size string, openData func() (net.Conn, error), reply func(string, ...any) error) error {
	left, err := strconv.Atoi(size)
	if err != nil {
		return reply("501 not a size: %s", size)
	}
	data, err := openData()
	if err != nil {
		return reply("425 %v", err)
	}
	defer data.Close()
	if err := reply("150 here it comes"); err != nil {
		return err
	}
	for offset := 0; left > 0; {
		chunk := make([]byte, min(left, ftpChunk))
		for i := range chunk {
			chunk[i] = ftpByte(offset + i)
		}
		if _, err := data.Write(chunk); err != nil {
			return reply("426 %v", err)
		}
		offset += len(chunk)
		left -= len(chunk)
		time.Sleep(ftpPause)
	}
	data.Close()
	return reply("226 Transfer complete")
}

// ftpAddress writes an address and a port as h1,h2,h3,h4,p1,p2.
func ftpAddress(a net.Addr) string {
	at := netip.MustParseAddrPort(a.String())
	ip := at.Addr().As4()
	return fmt.Sprintf("%d,%d,%d,%d,%d,%d", ip[0], ip[1], ip[2], ip[3], at.Port()>>8, at.Port()&0xff)
}

var ftpAddressPattern = regexp.MustCompile(`\d+(,\d+){5}`)

func parseFTPAddress(text string) (netip.AddrPort, error) {
	var b [6]byte
	for i, field := range strings.Split(ftpAddressPattern.FindString(text), ",") {
		n, err := strconv.ParseUint(field, 10, 8)
		if err != nil {
			return netip.AddrPort{}, fmt.Errorf("no address in %q: %w", text, err)
		}
		b[i] = byte(n)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), uint16(b[4])<<8|uint16(b[5])), nil
}

// An ftpClient is the client's end of a session.
type ftpClient struct {
	namespace *netns.Namespace
	control   net.Conn
	in        *bufio.Reader
}

// dialFTP begins a session, until the end of the test.
func dialFTP(t testing.TB, n *netns.Namespace, to netip.AddrPort) *ftpClient {
	t.Helper()
	c := &ftpClient{namespace: n}
	conn, err := c.dial(to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c.control, c.in = conn, bufio.NewReader(conn)
	c.expect(t, "220 ready")
	return c
}

func (c *ftpClient) dial(to netip.AddrPort) (conn net.Conn, err error) {
	dialer := net.Dialer{Timeout: crowdPatience}
	err = c.namespace.Do(func() error {
		conn, err = dialer.Dial("tcp4", to.String())
		return err
	})
	return conn, err
}

func (c *ftpClient) say(t testing.TB, line string) {
	t.Helper()
	c.control.SetWriteDeadline(time.Now().Add(crowdPatience))
	if _, err := fmt.Fprintf(c.control, "%s\r\n", line); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
}

// hear reads the next reply.
func (c *ftpClient) hear(t testing.TB) string {
	t.Helper()
	c.control.SetReadDeadline(time.Now().Add(crowdPatience))
	line, err := c.in.ReadString('\n')
	if err != nil {
		t.Fatalf("control connection: after %q: %v", line, err)
	}
	return strings.TrimRight(line, "\r\n")
}

// expect reads the next reply, which must be this one to the byte.
func (c *ftpClient) expect(t testing.TB, want string) {
	t.Helper()
	if got := c.hear(t); got != want {
		t.Fatalf("control connection: reply %q, want %q", got, want)
	}
}

// A dataOpener opens the client's end of the data connection.
type dataOpener func() (net.Conn, error)

// passive has the server listen, as PASV does. The answer must name the
// virtual address.
func (c *ftpClient) passive(t testing.TB, virtual netip.Addr) dataOpener {
	t.Helper()
	c.say(t, "PASV")
	answer := c.hear(t)
	to, err := parseFTPAddress(answer)
	if err != nil || !strings.HasPrefix(answer, "227 ") {
		t.Fatalf("PASV: %q: %v", answer, err)
	}
	if to.Addr() != virtual {
		t.Fatalf("PASV: %q: ip_vs_ftp has not put %v there", answer, virtual)
	}
	return func() (net.Conn, error) { return c.dial(to) }
}

// active has the server connect to us, as PORT does.
func (c *ftpClient) active(t testing.TB, _ netip.Addr) dataOpener {
	t.Helper()
	var listener net.Listener
	err := c.namespace.Do(func() (err error) {
		address, _ := netip.AddrFromSlice(c.control.LocalAddr().(*net.TCPAddr).IP.To4())
		listener, err = net.Listen("tcp4", netip.AddrPortFrom(address, 0).String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	c.say(t, "PORT "+ftpAddress(listener.Addr()))
	c.expect(t, "200 PORT command successful")
	return func() (net.Conn, error) {
		listener.(*net.TCPListener).SetDeadline(time.Now().Add(crowdPatience))
		return listener.Accept()
	}
}

// retrieve has a file of a size sent over a data connection that is opened for it;
// something happens in between.
func (c *ftpClient) retrieve(t testing.TB, open func(*ftpClient, testing.TB, netip.Addr) dataOpener, size int, between func()) {
	t.Helper()
	openData := open(c, t, topology.Virtual)
	c.say(t, fmt.Sprintf("RETR %d", size))
	data, err := openData()
	if err != nil {
		t.Fatalf("data connection: %v", err)
	}
	defer data.Close()
	c.expect(t, "150 here it comes")
	readFile(t, data, 0, ftpChunk)
	between()
	readFile(t, data, ftpChunk, size)
	c.expect(t, "226 Transfer complete")
}

// readFile reads a part of a file of which some was read already. It may take
// its time, but has to go on.
func readFile(t testing.TB, data net.Conn, from, to int) {
	t.Helper()
	chunk := make([]byte, ftpChunk)
	for from < to {
		data.SetReadDeadline(time.Now().Add(crowdPatience))
		n, err := data.Read(chunk[:min(ftpChunk, to-from)])
		if err != nil {
			t.Fatalf("data connection: %d bytes of %d: %v", from, to, err)
		}
		for i, b := range chunk[:n] {
			if b != ftpByte(from+i) {
				t.Fatalf("data connection: byte %d is %#x, want %#x", from+i, b, ftpByte(from+i))
			}
		}
		from += n
	}
}
