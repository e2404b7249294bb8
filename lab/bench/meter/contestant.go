package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ssyncp/ssyncp/lab/bench/figure"
	"github.com/ssyncp/ssyncp/lab/image"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// A contestant starts on a director, and stops. Where there is a stop it is
// called, whatever the error.
type contestant struct {
	name   figure.Contestant
	module bool // needs ssyncp.ko
	start  func(*network) (stop func() error, err error)
	only   func(load) bool // nil: it takes part under every load of IPVS
}

// takesPart reports whether it is measured under a load.
func (c contestant) takesPart(l load) bool {
	if c.only == nil {
		return !l.firewall
	}
	return c.only(l)
}

func everyLoad(load) bool   { return true }
func firewalls(l load) bool { return l.firewall }

var contestants = []contestant{
	{name: figure.None, start: startNothing, only: everyLoad},
	{name: figure.Loaded, module: true, start: startNothing, only: func(l load) bool { return l.perPacket }},
	{name: figure.Master, start: startMaster},
	{name: figure.MasterEvery, start: startMasterEvery},
	{name: figure.Read, module: true, start: startReader},
	{name: figure.Daemon, module: true, start: startDaemon},
	{name: figure.Conntrackd, start: startConntrackd, only: firewalls},
	{name: figure.Entries, module: true, start: startEntries, only: firewalls},
}

func startNothing(*network) (func() error, error) { return func() error { return nil }, nil }

// startMaster starts the in-kernel master as its administrators do, with
// net.ipv4.vs.sync_threshold as it is: 3 50.
func startMaster(n *network) (func() error, error) { return startKernel(n, "master") }

// startMasterEvery tells from the first packet on, and every one.
func startMasterEvery(n *network) (func() error, error) {
	if err := n.director.Sysctl("ipv4.vs.sync_threshold", "0 1"); err != nil {
		return nil, err
	}
	return startMaster(n)
}

// startKernel starts a daemon of the kernel: master or backup.
func startKernel(n *network, role string) (func() error, error) {
	_, err := n.director.Run("/sbin/ipvsadm", "--start-daemon", role, "--mcast-interface", peers, "--syncid", fmt.Sprint(syncID))
	if err != nil {
		return nil, err
	}
	return func() error {
		_, err := n.director.Run("/sbin/ipvsadm", "--stop-daemon", role)
		return err
	}, nil
}

// syncID of all contestants: the one in daemonConfig.
const syncID = 7

// startReader starts this program's own reader.
func startReader(n *network) (func() error, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.Command(self, readCommand)
	command.Stderr = os.Stderr
	says, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := n.director.Start(command); err != nil {
		return nil, err
	}
	stop := func() error { return end(command, syscall.SIGKILL) }
	if _, err := bufio.NewReader(says).ReadString('\n'); err != nil {
		return stop, fmt.Errorf("the reader does not attach: %w", err)
	}
	return stop, nil
}

const daemonConfig = `sync_id = 7
wire.version = 1
[device]
period = "100ms"
[multicast]
interface = "` + peers + `"
`

// startDaemon starts ssyncpd.
func startDaemon(n *network) (func() error, error) { return startDaemonWith(n, daemonConfig) }

func startDaemonWith(n *network, config string) (func() error, error) {
	directory, err := os.MkdirTemp("", "meter-")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(directory, "ssyncpd.toml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, err
	}
	command := exec.Command(image.Daemon, "--config", path)
	var log bytes.Buffer
	command.Stderr = &log
	if err := n.director.Start(command); err != nil {
		return nil, err
	}
	stop := func() error {
		if err := end(command, syscall.SIGTERM); err != nil {
			return fmt.Errorf("ssyncpd: %w\n%s", err, log.Bytes())
		}
		return os.RemoveAll(directory)
	}
	return stop, within(10*time.Second, "ssyncpd does not capture", func() (bool, error) {
		stats, err := n.stats()
		return stats.State&chardev.StateCapturing != 0, err
	})
}

// unloadModule waits for the queue that a reader left behind for the next one.
func (n *network) unloadModule() error {
	err := within(60*time.Second, "the queue lingers", func() (bool, error) {
		stats, err := n.stats()
		return stats.State&chardev.StateLingering == 0, err
	})
	if err != nil {
		return err
	}
	return program("/sbin/rmmod", "ssyncp")
}

// within waits until something is so.
func within(limit time.Duration, not string, so func() (bool, error)) error {
	for began := time.Now(); time.Since(began) < limit; time.Sleep(50 * time.Millisecond) {
		if is, err := so(); is || err != nil {
			return err
		}
	}
	return fmt.Errorf("%s after %v", not, limit)
}

// end ends a program by a signal and waits for it.
func end(command *exec.Cmd, signal syscall.Signal) error {
	if err := command.Process.Signal(signal); err != nil {
		return err
	}
	err := command.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == signal {
		return nil
	}
	return err
}

// stats are the module's for the director.
func (n *network) stats() (stats chardev.Stats, err error) {
	err = n.director.Do(func() error {
		device, err := chardev.Open(chardev.DefaultPath)
		if err != nil {
			return err
		}
		defer device.Close()
		return device.Stats(&stats)
	})
	return stats, err
}
