package lan

import (
	"bufio"
	"net"
	"path/filepath"
	"testing"
	"time"
)

var (
	alpha     = []byte{2, 0, 0, 0, 0, 1}
	beta      = []byte{2, 0, 0, 0, 0, 2}
	broadcast = []byte{255, 255, 255, 255, 255, 255}
)

func frameOf(to, from []byte, payload string) []byte {
	frame := append(append([]byte{}, to...), from...)
	return append(append(frame, 0x08, 0x00), payload...)
}

type plug struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// plugIn returns when the switch has the port.
func plugIn(t *testing.T, s *Switch) plug {
	t.Helper()
	before := portsOf(s)
	conn, err := net.Dial("unix", s.Path())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	awaitPorts(t, s, before+1)
	return plug{t, conn, bufio.NewReader(conn)}
}

func portsOf(s *Switch) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ports)
}

func awaitPorts(t *testing.T, s *Switch, want int) {
	t.Helper()
	for range 2000 {
		if portsOf(s) == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the switch has %d ports, want %d", portsOf(s), want)
}

func (p plug) send(frame []byte) {
	p.t.Helper()
	out := bufio.NewWriter(p.conn)
	writeFrame(out, frame)
	if err := out.Flush(); err != nil {
		p.t.Fatal(err)
	}
}

func (p plug) expect(frame []byte) {
	p.t.Helper()
	p.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	got, err := readFrame(p.in)
	if err != nil {
		p.t.Fatal(err)
	}
	if string(got) != string(frame) {
		p.t.Fatalf("received %q, want %q", got, frame)
	}
}

func listen(t *testing.T) *Switch {
	t.Helper()
	s, err := Listen(filepath.Join(t.TempDir(), "segment"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestSwitchFloodsUntilItHasLearnt(t *testing.T) {
	s := listen(t)
	a, b, c := plugIn(t, s), plugIn(t, s), plugIn(t, s)

	// A broadcast from each: all are plugged in and known when they arrive.
	for _, from := range []struct {
		plug   plug
		others []plug
		source []byte
	}{{a, []plug{b, c}, alpha}, {b, []plug{a, c}, beta}} {
		hello := frameOf(broadcast, from.source, "hello")
		from.plug.send(hello)
		for _, other := range from.others {
			other.expect(hello)
		}
	}

	// To b alone: what c sees next is the broadcast that follows.
	direct, everybody := frameOf(beta, alpha, "to b"), frameOf(broadcast, alpha, "to all")
	a.send(direct)
	a.send(everybody)
	b.expect(direct)
	b.expect(everybody)
	c.expect(everybody)
}

func TestSwitchForgetsWhoIsUnplugged(t *testing.T) {
	s := listen(t)
	a, b := plugIn(t, s), plugIn(t, s)
	hello := frameOf(broadcast, beta, "hello")
	b.send(hello)
	a.expect(hello)

	b.conn.Close()
	awaitPorts(t, s, 1)
	c := plugIn(t, s)
	again := frameOf(beta, alpha, "where are you")
	a.send(again)
	c.expect(again)
}
