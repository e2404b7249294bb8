package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
)

// serve is all real servers, each in its own network namespace, until it is
// told to stop. They share a process because switching between processes is
// what costs most in an emulated guest; what tells them apart is their
// identity, and the kernel keeps their connections apart.
func serve(ctx context.Context, args []string) error {
	var servers list
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.Var(&servers, "server", "a real server: `NAMESPACE=tcp:PORT[,udp:PORT...]`, can be repeated")
	if err := flags.Parse(args); err != nil {
		return err
	}
	failed := make(chan error)
	for _, server := range servers {
		namespace, sockets, ok := strings.Cut(server, "=")
		if !ok {
			return fmt.Errorf("%q is not NAMESPACE=tcp:PORT", server)
		}
		err := inNamespace(namespace, func() error {
			return listen(strings.Split(sockets, ","), instance(rand.Uint64()), failed)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", namespace, err)
		}
	}
	fmt.Println("ready")
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// listen opens the sockets of one real server in the namespace that the thread
// is in; what is accepted from them later is of that namespace too.
func listen(sockets []string, id instance, failed chan<- error) error {
	for _, socket := range sockets {
		protocol, port, _ := strings.Cut(socket, ":")
		switch protocol {
		case "tcp":
			l, err := net.Listen("tcp4", ":"+port)
			if err != nil {
				return err
			}
			go func() { failed <- acceptAll(l, id) }()
		case "udp":
			address, err := net.ResolveUDPAddr("udp4", ":"+port)
			if err != nil {
				return err
			}
			conn, err := net.ListenUDP("udp4", address)
			if err != nil {
				return err
			}
			go func() { failed <- answerDatagrams(conn, id) }()
		default:
			return fmt.Errorf("%q is neither tcp:PORT nor udp:PORT", socket)
		}
	}
	return nil
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
