package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ssyncp/ssyncp/lab/failover/verdict"
)

// clients runs all clients; see the package comment for how it is driven.
func clients(ctx context.Context, args []string) error {
	streams := services{}
	flags := flag.NewFlagSet("clients", flag.ContinueOnError)
	flags.Var(streams, "streams", "long TCP streams: `GROUP=ADDRESS:PORT`, can be repeated")
	rate := flags.Float64("rate", 110, "streams opened per second and group")
	pause := flags.Duration("pause", 4*time.Second, "between two exchanges of a busy stream")
	idle := flags.Int("idle", 4, "every n-th stream is idle after one exchange")
	udp := flags.String("udp", "", "`address:port` of the UDP service")
	udpRate := flags.Float64("udp-rate", 20, "UDP flows opened per second")
	persistent := flags.String("persistent", "", "`address:port` of the persistent service")
	persistentRate := flags.Float64("persistent-rate", 10, "persistent clients per second")
	persistentFrom := flags.String("persistent-from", "", "`prefix` of their addresses, one each")
	probes := flags.Float64("probes", 500, "exchanges begun per second after the failover")
	deadline := flags.Duration("deadline", 15*time.Second, "of an exchange after the failover")
	if err := flags.Parse(args); err != nil {
		return err
	}

	epoch := time.Now()
	c := newCrowd(func() time.Duration { return time.Since(epoch) }, *deadline)
	for group, address := range streams {
		c.open(*rate, func(n int) client {
			return &tcpStream{group: group, address: address, idle: n%*idle == 0, pause: *pause}
		})
	}
	if *udp != "" {
		c.open(*udpRate, func(n int) client {
			return &udpFlow{address: *udp, idle: n%*idle == 0, pause: *pause}
		})
	}
	if *persistent != "" {
		from, err := netip.ParsePrefix(*persistentFrom)
		if err != nil {
			return fmt.Errorf("persistent-from: %w", err)
		}
		next := from.Masked().Addr()
		c.open(*persistentRate, func(int) client {
			if next = next.Next(); !from.Contains(next) {
				return nil
			}
			return &visitor{address: *persistent, from: next}
		})
	}

	orders := make(chan os.Signal, 2)
	signal.Notify(orders, syscall.SIGUSR1, syscall.SIGHUP, syscall.SIGUSR2)
	fmt.Println("ready")
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case order := <-orders:
			switch order {
			case syscall.SIGUSR1:
				fmt.Printf("clock %d\n", c.clock().Nanoseconds())
			case syscall.SIGHUP:
				c.close()
			case syscall.SIGUSR2:
				return report(c.probe(*probes))
			}
		}
	}
}

func report(records []verdict.Record) error {
	w := bufio.NewWriter(os.Stdout)
	for _, r := range records {
		fmt.Fprintln(w, r)
	}
	fmt.Fprintln(w, "end")
	return w.Flush()
}
