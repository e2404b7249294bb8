package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
)

// serve is one real server: it answers until it is told to stop.
func serve(ctx context.Context, args []string) error {
	var listen, udp list
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.Var(&listen, "listen", "`address:port` of a TCP service, can be repeated")
	flags.Var(&udp, "udp", "`address:port` of a UDP service, can be repeated")
	if err := flags.Parse(args); err != nil {
		return err
	}
	id := instance(rand.Uint64())
	ended := make(chan error, len(listen)+len(udp))
	for _, address := range listen {
		l, err := net.Listen("tcp4", address)
		if err != nil {
			return err
		}
		defer l.Close()
		go func() { ended <- acceptAll(l, id) }()
	}
	for _, address := range udp {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
		if err != nil {
			return err
		}
		defer conn.Close()
		go func() { ended <- answerDatagrams(conn, id) }()
	}
	fmt.Println("ready")
	select {
	case <-ctx.Done():
		return nil
	case err := <-ended:
		return err
	}
}

func acceptAll(l net.Listener, id instance) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go answerStream(conn, id)
	}
}

// answerStream serves one connection until its client is done with it. Why it
// ended is for the client to report.
func answerStream(conn net.Conn, id instance) {
	defer conn.Close()
	var buffer [answerLen]byte
	for {
		if _, err := io.ReadFull(conn, buffer[:questionLen]); err != nil {
			return
		}
		putAnswer(buffer[:], buffer[:questionLen], id)
		if _, err := conn.Write(buffer[:]); err != nil {
			return
		}
	}
}

func answerDatagrams(conn *net.UDPConn, id instance) error {
	var buffer [answerLen]byte
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buffer[:])
		if err != nil {
			return err
		}
		if n != questionLen {
			return errors.New("a datagram that is no question")
		}
		putAnswer(buffer[:], buffer[:questionLen], id)
		// A lost answer is asked for again.
		_, _ = conn.WriteToUDPAddrPort(buffer[:], from)
	}
}
