package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ssyncp/ssyncp/lab/bench/figure"
	"github.com/ssyncp/ssyncp/lab/image"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// A reception is news of peers that a director takes in while instructions are
// counted.
type reception struct {
	name        string
	connections int
	known       bool // the same news for a second time
	contestants []receiver
}

// A receiver takes in news.
type receiver struct {
	name   figure.Contestant
	module bool // needs ssyncp.ko
	start  func(*network) (stop func() error, err error)
	open   func(*network, []client) (delivery, error)
}

// A delivery is news on its way to a receiver.
type delivery struct {
	deliver func() (instructions int64, err error)
	close   func() error
}

func receptions(scale float64, only *regexp.Regexp) []reception {
	both := []receiver{
		{name: figure.Backup, start: startBackup, open: openKernelAdverts},
		{name: figure.Write, module: true, open: openRecords},
		{name: figure.Daemon, module: true, start: startDaemon, open: openAdverts},
	}
	chosen := []reception{
		{figure.ReceiveNew, 20_000, false, append([]receiver{{name: figure.Bare, open: openBare}}, both...)},
		{figure.ReceiveKnown, 20_000, true, both},
	}
	chosen = slices.DeleteFunc(chosen, func(r reception) bool { return !only.MatchString(r.name) })
	for i := range chosen {
		chosen[i].connections = scaled(chosen[i].connections, scale)
	}
	return chosen
}

// startBackup starts the in-kernel backup with a socket that holds all that is
// sent: it need not run in between, and is not to lose anything.
func startBackup(n *network) (func() error, error) {
	const socket = "67108864"
	err := errors.Join(
		os.WriteFile("/proc/sys/net/core/rmem_max", []byte(socket), 0),
		n.director.Sysctl("ipv4.vs.sync_sock_size", socket))
	if err != nil {
		return nil, err
	}
	return startKernel(n, "backup")
}

// receive lets a receiver take in a reception. What comes over a network is
// sent first when nobody listens: the difference is the receiver's.
func receive(r reception, by receiver) (m figure.Measurement, err error) {
	err = onDirector(by.module, func(n *network) (err error) {
		m, err = n.receive(r, by)
		return err
	})
	return m, err
}

func (n *network) receive(r reception, by receiver) (m figure.Measurement, err error) {
	also := func(f func() error) { err = errors.Join(err, f()) }
	if err := n.play(0, warmUp, batchSize, kind{steps: whole}); err != nil {
		return m, err
	}
	news, err := by.open(n, clients(warmUp, r.connections))
	if err != nil {
		return m, err
	}
	defer also(news.close)

	var idle int64
	if by.start != nil {
		if idle, err = news.deliver(); err != nil {
			return m, err
		}
		stop, err := by.start(n)
		if stop != nil {
			defer also(stop)
		}
		if err != nil {
			return m, err
		}
	}
	if r.known {
		if _, err := news.deliver(); err != nil {
			return m, err
		}
	}
	runtime.GC()
	time.Sleep(settle)
	took, err := news.deliver()
	if err != nil {
		return m, err
	}
	return figure.Measurement{
		Load: r.name, Contestant: by.name, Units: r.connections, Connections: r.connections, Steps: 1,
		Instructions: took - idle,
	}, n.checkEntries(warmUp + r.connections)
}

// clients are count ones from first on.
func clients(first client, count int) []client {
	list := make([]client, count)
	for i := range list {
		list[i] = first + client(i)
	}
	return list
}

// checkEntries fails where the table does not hold exactly so many entries.
func (n *network) checkEntries(want int) error {
	text, err := n.director.ReadFile("ip_vs_conn")
	if err != nil {
		return err
	}
	if got := bytes.Count(text, []byte("\n")) - 1; got != want { // a line of titles
		return fmt.Errorf("the table has %d entries, want %d: something was late or lost", got, want)
	}
	return nil
}

// counted is the instructions of a function and of whatever it set going.
func counted(f func() error) (int64, error) {
	begin, err := instructions()
	if err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	spin(tail / 2)
	end, err := instructions()
	return end - begin - tail, err
}

// openBare lets IPVS make the entries by itself.
func openBare(n *network, list []client) (delivery, error) {
	return delivery{
		deliver: func() (int64, error) {
			if _, err := n.director.Run("/sbin/insmod", image.Bare, fmt.Sprintf("first=%d", list[0]),
				fmt.Sprintf("count=%d", len(list)), "like=0"); err != nil {
				return 0, err
			}
			text, err := os.ReadFile("/sys/module/bare/parameters/nanoseconds")
			if err != nil {
				return 0, err
			}
			return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		},
		close: func() error { return program("/sbin/rmmod", "bare") },
	}, nil
}

// openRecords writes the entries to the device, as many a call as ssyncpd does.
func openRecords(n *network, list []client) (delivery, error) {
	device, err := n.attach(chardev.AttachOptions{Mode: chardev.ModeInject})
	if err != nil {
		return delivery{}, err
	}
	var records []byte
	for _, c := range list {
		conn := c.established()
		if records, err = chardev.AppendRecord(records, &conn); err != nil {
			return delivery{}, errors.Join(err, device.Close())
		}
	}
	const most = chardev.WriteMax / chardev.MinRecordSize * chardev.MinRecordSize
	return delivery{
		deliver: func() (int64, error) {
			return counted(func() error {
				for chunk := range slices.Chunk(records, most) {
					if _, err := device.Write(chunk); err != nil {
						return err
					}
				}
				return nil
			})
		},
		close: device.Close,
	}, nil
}

// attach opens the device on the director.
func (n *network) attach(o chardev.AttachOptions) (device *chardev.Device, err error) {
	err = n.director.Do(func() error {
		if device, err = chardev.Open(chardev.DefaultPath); err != nil {
			return err
		}
		if err := device.Attach(o); err != nil {
			return errors.Join(err, device.Close())
		}
		return nil
	})
	return device, err
}
