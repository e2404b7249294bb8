package main

import (
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/failover/verdict"
)

const (
	soon     = 20 * time.Millisecond
	deadline = 200 * time.Millisecond
)

// outcome runs one client, lets something happen once it is in touch, probes,
// and returns its record.
func outcome(t *testing.T, one client, happens func()) verdict.Record {
	t.Helper()
	epoch := time.Now()
	c := newCrowd(func() time.Duration { return time.Since(epoch) }, deadline)
	c.start(one)
	time.Sleep(5 * soon)
	happens()
	records := c.probe(1000)
	if len(records) != 1 {
		t.Fatalf("%d records", len(records))
	}
	return records[0]
}

func nothing() {}

// server is a real server, and the connections that it has taken.
type server struct {
	address string
	conns   chan net.Conn
}

func tcpServer(t *testing.T, answer func(net.Conn)) server {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := server{address: l.Addr().String(), conns: make(chan net.Conn, 8)}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.conns <- conn
			go answer(conn)
		}
	}()
	return s
}

func answering(id instance) func(net.Conn) {
	return func(conn net.Conn) { answerStream(conn, id) }
}

func TestATCPStream(t *testing.T) {
	once := func(conn net.Conn) {
		var buffer [answerLen]byte
		if _, err := io.ReadFull(conn, buffer[:questionLen]); err != nil {
			return
		}
		putAnswer(buffer[:], buffer[:questionLen], 7)
		_, _ = conn.Write(buffer[:])
	}
	for _, test := range []struct {
		name    string
		answer  func(net.Conn)
		happens func(server)
		want    verdict.Outcome
	}{
		{"survives while its server answers", answering(7), func(server) {}, verdict.Survived},
		{"is reset when its server resets it", answering(7), func(s server) {
			conn := (<-s.conns).(*net.TCPConn)
			_ = conn.SetLinger(0)
			conn.Close()
		}, verdict.Reset},
		{"is hung when nobody answers any more", once, func(server) {}, verdict.Hung},
	} {
		for _, idle := range []bool{true, false} {
			t.Run(test.name, func(t *testing.T) {
				s := tcpServer(t, test.answer)
				record := outcome(t, &tcpStream{group: verdict.DR, address: s.address, idle: idle, pause: soon},
					func() { test.happens(s) })
				if record.Outcome != test.want || record.Idle != idle || record.Group != verdict.DR {
					t.Errorf("%+v, want %s", record, test.want)
				}
				if record.Established <= 0 || record.Established > 5*soon {
					t.Errorf("established after %v", record.Established)
				}
			})
		}
	}
}

func TestAStreamWithoutContactIsNotReported(t *testing.T) {
	c := newCrowd(func() time.Duration { return 0 }, deadline)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c.start(&tcpStream{group: verdict.DR, address: l.Addr().String(), pause: soon})
	if records := c.probe(1000); len(records) != 0 {
		t.Errorf("%v", records)
	}
}

func TestAVisitorHasToMeetTheSameServer(t *testing.T) {
	for _, test := range []struct {
		name string
		ids  []instance // of the first and of the second visit
		want verdict.Outcome
	}{
		{"same instance", []instance{1, 1}, verdict.Survived},
		{"another instance", []instance{1, 2}, verdict.Moved},
	} {
		t.Run(test.name, func(t *testing.T) {
			ids := make(chan instance, len(test.ids))
			for _, id := range test.ids {
				ids <- id
			}
			s := tcpServer(t, func(conn net.Conn) { answerStream(conn, <-ids) })
			record := outcome(t, &visitor{address: s.address, from: netip.MustParseAddr("127.0.0.1")}, nothing)
			if record.Outcome != test.want || record.Group != verdict.Persistent {
				t.Errorf("%+v, want %s", record, test.want)
			}
		})
	}
}

func TestAUDPFlow(t *testing.T) {
	for _, test := range []struct {
		name  string
		later instance // who answers after the failover, 0: nobody
		want  verdict.Outcome
	}{
		{"survives with the same server", 1, verdict.Survived},
		{"has moved when another one answers", 2, verdict.Moved},
		{"is hung when nobody answers", 0, verdict.Hung},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			go func() {
				var buffer [answerLen]byte
				for id := instance(1); id != 0; id = test.later {
					_, from, err := conn.ReadFromUDPAddrPort(buffer[:])
					if err != nil {
						return
					}
					putAnswer(buffer[:], buffer[:questionLen], id)
					_, _ = conn.WriteToUDPAddrPort(buffer[:], from)
				}
			}()
			record := outcome(t, &udpFlow{address: conn.LocalAddr().String(), idle: true, pause: soon}, nothing)
			if record.Outcome != test.want || record.Group != verdict.UDP {
				t.Errorf("%+v, want %s", record, test.want)
			}
		})
	}
}

func TestTheCrowdOpensAtItsRate(t *testing.T) {
	s := tcpServer(t, answering(1))
	go func() {
		for range s.conns {
		}
	}()
	c := newCrowd(func() time.Duration { return 1 }, deadline)
	opened := make(chan int, 1000)
	ctx, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer stop()
	began := time.Now()
	c.open(100, func(n int) client {
		opened <- n
		return &tcpStream{group: verdict.NAT, address: s.address, idle: true}
	})
	<-ctx.Done()
	records := c.probe(1000)
	// A busy machine wakes late and takes longer: never more than is due.
	due := int(time.Since(began).Seconds()*100) + 2
	if got := len(opened); got < 15 || got > due {
		t.Errorf("opened %d in %v at 100 a second", got, time.Since(began))
	}
	if len(records) < 15 {
		t.Errorf("%d records", len(records))
	}
}
