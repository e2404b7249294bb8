package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"syscall"
	"time"

	"github.com/ssyncp/ssyncp/lab/failover/verdict"
)

// retry is when a datagram is given up for lost.
const retry = time.Second

// udpFlow is datagrams between one client port and the service. It is
// established with its first answer, and survives if the same real server
// answers after the failover.
type udpFlow struct {
	address string
	idle    bool
	pause   time.Duration
}

func (f *udpFlow) run(due context.Context, c *crowd) (verdict.Record, bool) {
	conn, err := net.Dial("udp4", f.address)
	if err != nil {
		return verdict.Record{}, false
	}
	defer conn.Close()
	server, err := insist(due, conn)
	if err != nil {
		return verdict.Record{}, false
	}
	record := verdict.Record{Group: verdict.UDP, Idle: f.idle, Established: c.clock()}
	for !f.idle && wait(due, f.pause/2+rand.N(f.pause)) {
		// Datagrams may be lost, all the more while nobody forwards them.
		_, _ = insist(due, conn)
	}
	<-due.Done()

	probing, stop := context.WithTimeout(context.Background(), c.deadline)
	defer stop()
	other, err := insist(probing, conn)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		record.Outcome = verdict.Reset
	case err != nil:
		record.Outcome = verdict.Hung
	case other != server:
		record.Outcome = verdict.Moved
	default:
		record.Outcome = verdict.Survived
	}
	return record, true
}

// insist asks one question until it is answered or ctx ends; a late answer to
// an earlier try is as good.
func insist(ctx context.Context, conn net.Conn) (instance, error) {
	nonce := rand.Uint64()
	for {
		again := time.Now().Add(retry)
		server, err := askDatagram(conn, nonce, again)
		if err == nil || !wait(ctx, time.Until(again)) {
			return server, err
		}
	}
}

// askDatagram makes one exchange, or fails at the deadline.
func askDatagram(conn net.Conn, nonce uint64, deadline time.Time) (instance, error) {
	var buffer [answerLen]byte
	putQuestion(buffer[:], nonce)
	if _, err := conn.Write(buffer[:questionLen]); err != nil {
		return 0, err
	}
	if err := conn.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	for {
		n, err := conn.Read(buffer[:])
		if err != nil {
			return 0, err
		}
		if n != answerLen {
			continue
		}
		// An answer to the question before is not this one's.
		if server, err := parseAnswer(buffer[:], nonce); err == nil {
			return server, nil
		}
	}
}
