// Command streams is the traffic of the failover test, run inside guests:
// `streams serve` is all real servers, `streams clients` all clients.
//
// An exchange is a nonce of 8 bytes, answered with the nonce and the identity
// of the server instance, 16 bytes; over TCP and UDP alike.
//
// The clients open streams at steady rates until they are told that the
// director is dead. When they are told that the other one took over, they
// demand one fresh exchange of each stream. The host speaks to them by signals,
// because that is what its control channel has:
//
//	SIGUSR1   print "clock NANOSECONDS", the clock that all times refer to
//	SIGHUP    open no more
//	SIGUSR2   the failover is over: probe every stream, print one record
//	          each (package verdict), then "end", and exit
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

const usage = "usage: streams serve --server NAMESPACE=tcp:PORT,... | streams clients [flags]"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "streams:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("no command; %s", usage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	switch args[0] {
	case "serve":
		return serve(ctx, args[1:])
	case "clients":
		return clients(ctx, args[1:])
	}
	return fmt.Errorf("unknown command %q; %s", args[0], usage)
}
