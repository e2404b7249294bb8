package main

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/ssyncp/ssyncp/lab/failover/verdict"
)

// visitor is a client of a persistent service. It comes, asks and leaves;
// when it comes again after the failover it must meet the same real server.
// What survives, or does not, is its template.
type visitor struct {
	address string
	from    netip.Addr
}

func (v *visitor) run(due context.Context, c *crowd) (verdict.Record, bool) {
	established, server, err := v.visit(due, c)
	if err != nil {
		return verdict.Record{}, false
	}
	record := verdict.Record{Group: verdict.Persistent, Idle: true, Established: established}
	<-due.Done()
	again, stop := context.WithTimeout(context.Background(), c.deadline)
	defer stop()
	_, other, err := v.visit(again, c)
	switch {
	case err != nil && again.Err() != nil:
		record.Outcome = verdict.Hung
	case err != nil:
		record.Outcome = ending(err)
	case other != server:
		record.Outcome = verdict.Moved
	default:
		record.Outcome = verdict.Survived
	}
	return record, true
}

// visit opens a connection, makes one exchange and closes.
func (v *visitor) visit(ctx context.Context, c *crowd) (time.Duration, instance, error) {
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(v.from, 0))}
	conn, err := dialer.DialContext(ctx, "tcp4", v.address)
	if err != nil {
		return 0, 0, err
	}
	established := c.clock()
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	server, err := ask(conn, rand.Uint64())
	return established, server, err
}
