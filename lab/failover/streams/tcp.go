package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/ssyncp/ssyncp/lab/failover/verdict"
)

// tcpStream is one long TCP connection. It is established when connect()
// returns, that is when the client has the SYN+ACK.
type tcpStream struct {
	group   verdict.Group
	address string
	idle    bool
	pause   time.Duration
}

func (s *tcpStream) run(due context.Context, c *crowd) (verdict.Record, bool) {
	var dialer net.Dialer
	dialer.KeepAlive = -1 // an idle stream is silent
	conn, err := dialer.DialContext(due, "tcp4", s.address)
	if err != nil {
		return verdict.Record{}, false
	}
	record := verdict.Record{Group: s.group, Idle: s.idle, Established: c.clock()}
	defer conn.Close()
	// Also for an exchange that is under way then: it has to end before the
	// fresh one can begin.
	stop := context.AfterFunc(due, func() { _ = conn.SetDeadline(time.Now().Add(c.deadline)) })
	defer stop()

	if err := s.talk(due, conn); err != nil {
		record.Outcome = ending(err)
	} else {
		record.Outcome = verdict.Survived
	}
	return record, true
}

// talk exchanges until due and once more after it, always with one server.
func (s *tcpStream) talk(due context.Context, conn net.Conn) error {
	server, err := ask(conn, rand.Uint64())
	for last := false; err == nil && !last; {
		if s.idle {
			<-due.Done()
			last = true
		} else {
			// Spread, so that the streams do not fall into step.
			last = !wait(due, s.pause/2+rand.N(s.pause))
		}
		var other instance
		if other, err = ask(conn, rand.Uint64()); err == nil && other != server {
			return fmt.Errorf("server %x became %x within a connection", server, other)
		}
	}
	return err
}
