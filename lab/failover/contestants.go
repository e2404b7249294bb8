package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/ssyncp/ssyncp/lab/image"
	"github.com/ssyncp/ssyncp/lab/vm"
)

// A contestant is a way of keeping director B informed.
type contestant struct {
	name  string // on the command line
	title string // in tables
	about string
	ours  bool // needs the module and the daemon
	start func(ctx context.Context, a, b *vm.Guest) error
	check func(ctx context.Context, b *vm.Guest) error // after the failover
}

const syncID = 7

var contestants = []contestant{
	{
		name:  "ssyncp",
		title: "ssyncp",
		about: "ssyncp.ko and ssyncpd on both directors, default configuration",
		ours:  true,
		start: startSSYNCP,
		check: ssyncpdRuns,
	},
	{
		name:  "none",
		title: "no sync",
		about: "director B knows nothing of the connections",
		start: func(context.Context, *vm.Guest, *vm.Guest) error { return nil },
		check: func(context.Context, *vm.Guest) error { return nil },
	},
	{
		name:  "kernel",
		title: "in-kernel sync",
		about: "the sync daemon of IPVS, default sync_threshold 3 50: a connection is told with its third packet",
		start: startKernelSync,
		check: func(context.Context, *vm.Guest) error { return nil },
	},
}

func contestantNamed(name string) (contestant, error) {
	for _, c := range contestants {
		if c.name == name {
			return c, nil
		}
	}
	return contestant{}, fmt.Errorf("no contestant %q: they are ssyncp, none and kernel", name)
}

// groupJoined is 224.0.0.81 in the notation of /proc/net/igmp.
const groupJoined = "510000E0"

func startKernelSync(ctx context.Context, a, b *vm.Guest) error {
	const start = "ipvsadm --start-daemon %s --mcast-interface %s --syncid %d"
	backup := newScript()
	backup.say(start, "backup", syncCard, syncID)
	backup.await(groupJoined, "/proc/net/igmp")
	if err := backup.run(ctx, b, "start the backup daemon"); err != nil {
		return err
	}
	master := newScript()
	master.say(start, "master", syncCard, syncID)
	return master.run(ctx, a, "start the master daemon")
}

// configuration leaves everything at its default that has one, but for who a
// director is: guests are machines without an identity.
func configuration(number int) string {
	return fmt.Sprintf("sync_id = %d\nwire.sender_id = %d\n[multicast]\ninterface = %q\n", syncID, number, syncCard)
}

// key is what `ssyncpd keygen` would make, on both.
const key = "ssyncp-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

func startSSYNCP(ctx context.Context, a, b *vm.Guest) error {
	const path = "/etc/ssyncp/ssyncpd.toml"
	for i, director := range []*vm.Guest{b, a} {
		s := newScript()
		s.say("insmod %s", image.Module)
		s.say("mkdir -p /etc/ssyncp; cat >%s <<'END'\n%sEND", path, configuration(i+1))
		s.say("(umask 077; echo %s >/etc/ssyncp/key)", key)
		s.say("%s --config %s </dev/null >/run/ssyncpd.log 2>&1 &", image.Daemon, path)
		s.say("echo $! >/run/ssyncpd.pid")
		s.await("device is open", "/run/ssyncpd.log")
		if i == 1 {
			s.await("peer is there", "/run/ssyncpd.log")
		}
		if err := s.run(ctx, director, "start ssyncpd"); err != nil {
			return errors.Join(err, ssyncpdRuns(ctx, director))
		}
	}
	return nil
}

// ssyncpdRuns fails with the daemon's log where it has ended.
func ssyncpdRuns(ctx context.Context, director *vm.Guest) error {
	s := newScript()
	s.say("kill -0 $(cat /run/ssyncpd.pid) || { cat /run/ssyncpd.log; exit 1; }")
	return s.run(ctx, director, "see whether ssyncpd runs")
}
