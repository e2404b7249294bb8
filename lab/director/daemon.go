package director

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/doctor"
	"github.com/ssyncp/ssyncp/lab/image"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// A Config is what differs between one daemon and the next.
type Config struct {
	SyncID  int           // 0: 7
	Period  time.Duration // 0: 100 ms
	Version int           // of the protocol, 0: 2, with a key that all daemons of the lab have
	Links   []string      // interfaces that version 2 uses at once; empty: the sync link
	MaxPPS  int           // 0: the daemon's default
	Wire    string        // lines of the table wire that the fields above do not name
	Extra   string        // TOML tables that the fields above do not name, and none but [wire] that they do
	Under   []string      // a program to run it under, such as strace with options
}

// DefaultPeriod is the period of a Config that names none.
const DefaultPeriod = 100 * time.Millisecond

// A Daemon is an ssyncpd that runs on a director.
type Daemon struct {
	director *Director
	path     string // of its configuration
	command  *exec.Cmd
	ended    chan struct{}
	err      error // of the process; valid when ended is closed
	output
}

const (
	// Of what must happen, and may take as long in a kernel with debuggers.
	startLimit = time.Minute
	stopLimit  = 20 * time.Second

	syncedLimit = 30 * time.Second
)

// StartDaemon starts ssyncpd and waits until it captures. At the end of the test
// it is stopped in order; its log is shown where the test failed.
func (d *Director) StartDaemon(t testing.TB, c Config) *Daemon {
	t.Helper()
	path := filepath.Join(t.TempDir(), d.Name+".toml")
	for file, text := range map[string]string{path: c.Text(), KeyFile: key} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	daemon := &Daemon{director: d, path: path, ended: make(chan struct{})}
	// Of one machine, all would have the same number, and name.
	argv := append(append([]string{}, c.Under...), image.Daemon, "--config", path,
		"--wire-sender-id", strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(d.Name))), 10), "--wire-name", d.Name,
		"--admin-socket", d.adminSocket(), "--vrrp-track-file", d.TrackFile())
	daemon.command = exec.Command(argv[0], argv[1:]...)
	daemon.command.Stdout, daemon.command.Stderr = daemon, daemon
	if err := d.Start(daemon.command); err != nil {
		t.Fatalf("%s: %v", d.Name, err)
	}
	go func() {
		daemon.err = daemon.command.Wait()
		close(daemon.ended)
	}()
	t.Cleanup(func() {
		if daemon.Running() {
			daemon.Stop(t)
		}
		if t.Failed() {
			t.Logf("log of ssyncpd on %s:\n%s", d.Name, daemon.Log())
		}
	})
	daemon.await(t)
	return daemon
}

// adminSocket is where the daemon of a director takes orders.
func (d *Director) adminSocket() string { return "/run/ssyncpd-" + d.Name + ".sock" }

// PID returns the process.
func (d *Daemon) PID() int { return d.command.Process.Pid }

// Status asks the daemon how it is.
func (d *Daemon) Status(ctx context.Context) (admin.Status, error) {
	return admin.NewClient(d.director.adminSocket()).Status(ctx)
}

// ask runs a command of ssyncpd that asks the daemon.
func (d *Daemon) ask(args ...string) (string, error) {
	return d.director.Run(append([]string{image.Daemon, "--admin-socket", d.director.adminSocket()}, args...)...)
}

// Resync has the daemon ask all peers for what they own, as an operator would.
func (d *Daemon) Resync(t testing.TB) {
	t.Helper()
	if _, err := d.ask("resync"); err != nil {
		t.Fatal(err)
	}
}

// Operator runs a command of ssyncpd, as an operator would, reads its answer from
// JSON, and returns its exit code.
func (d *Daemon) Operator(t testing.TB, answer any, args ...string) int {
	t.Helper()
	out, err := d.ask(append([]string{"--json"}, args...)...)
	code := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if parsed := json.Unmarshal([]byte(out), answer); parsed != nil {
		t.Fatalf("%s: %v: %v, %v: %s", d.director.Name, args, parsed, err, out)
	}
	return code
}

// Explain returns what the daemon says of a client's connections, here and at its
// peers, as an operator reads it.
func (d *Daemon) Explain(client netip.AddrPort) string {
	out, err := d.ask("explain", client.String())
	if err != nil {
		return fmt.Sprintf("%v: %s", err, out)
	}
	return out
}

// Doctor has ssyncpd look at the director, with the configuration of the daemon,
// which need not run any more.
func (d *Daemon) Doctor(t testing.TB) doctor.Report {
	t.Helper()
	// That there are findings is an error.
	out, err := d.director.Run(image.Daemon, "doctor", "--json", "--config", d.path, "--wire-name", d.director.Name, "--wire-sender-id", "1",
		"--admin-socket", d.director.adminSocket())
	var report doctor.Report
	if json.Unmarshal([]byte(out), &report) != nil {
		t.Fatalf("%s: ssyncpd doctor: %v\n%s", d.director.Name, err, out)
	}
	if failed := report.Failures+report.Warnings > 0; failed != (err != nil) {
		t.Errorf("%s: ssyncpd doctor finds %d failures and %d warnings, and ends with %v", d.director.Name, report.Failures, report.Warnings, err)
	}
	return report
}

// Text returns the configuration file.
func (c Config) Text() string {
	if c.SyncID == 0 {
		c.SyncID = 7
	}
	if c.Period == 0 {
		c.Period = DefaultPeriod
	}
	if c.Version == 0 {
		c.Version = 2
	}
	wire := fmt.Sprintf("[wire]\nversion = %d\nkey_file = %q\n", c.Version, KeyFile)
	wire += c.Wire
	if strings.Contains(c.Extra, "[wire]") {
		wire = ""
	}
	links := ""
	if len(c.Links) == 0 {
		links = fmt.Sprintf("interface = %q\n", SyncLink)
	}
	if c.MaxPPS != 0 {
		links += fmt.Sprintf("max_pps = %d\n", c.MaxPPS)
	}
	for _, link := range c.Links {
		links += fmt.Sprintf("[[links]]\ninterface = %q\n", link)
	}
	return fmt.Sprintf("sync_id = %d\n[device]\nperiod = %q\n[multicast]\n%s%s%s\n",
		c.SyncID, c.Period.String(), links, wire, c.Extra)
}

// KeyFile has the key that daemons of the lab share.
const KeyFile = "/run/ssyncp-key"

const key = "ssyncp-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"

// Key returns it.
func Key() frame.Key {
	k, err := frame.ParseKeyFile([]byte(key))
	if err != nil {
		panic(err)
	}
	return k
}

// Knows waits until the daemon takes what that many peers tell: until then, what
// they told waits for a snapshot.
func (d *Daemon) Knows(t testing.TB, peers int) {
	t.Helper()
	for began := time.Now(); time.Since(began) < syncedLimit; time.Sleep(20 * time.Millisecond) {
		if strings.Count(d.Log(), "peer is there") >= peers {
			return
		}
	}
	t.Fatalf("%s: ssyncpd does not know %d peers after %v\n%s", d.director.Name, peers, syncedLimit, d.Log())
}

// Synced waits until the daemon says that it has what its peers have.
func (d *Daemon) Synced(t testing.TB) {
	t.Helper()
	for began := time.Now(); time.Since(began) < syncedLimit; time.Sleep(20 * time.Millisecond) {
		if strings.Contains(d.Log(), "to=synced") {
			return
		}
	}
	t.Fatalf("%s: ssyncpd is not synced after %v\n%s", d.director.Name, syncedLimit, d.Log())
}

func (d *Daemon) await(t testing.TB) {
	t.Helper()
	for began := time.Now(); time.Since(began) < startLimit; time.Sleep(20 * time.Millisecond) {
		stats := d.director.Stats(t)
		if stats.State&chardev.StateCapturing != 0 {
			return
		}
		if !d.Running() {
			t.Fatalf("%s: ssyncpd ended: %v\n%s", d.director.Name, d.err, d.Log())
		}
	}
	t.Fatalf("%s: ssyncpd does not capture after %v\n%s", d.director.Name, startLimit, d.Log())
}

// Running reports whether it has not ended.
func (d *Daemon) Running() bool {
	select {
	case <-d.ended:
		return false
	default:
		return true
	}
}

// Signal sends a signal.
func (d *Daemon) Signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := d.command.Process.Signal(s); err != nil {
		t.Fatalf("%s: ssyncpd: %v: %v", d.director.Name, s, err)
	}
}

// Reload puts a text in the place of the daemon's configuration and tells it so.
func (d *Daemon) Reload(t testing.TB, text string) {
	t.Helper()
	if err := os.WriteFile(d.path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d.Signal(t, syscall.SIGHUP)
}

// Kill ends the daemon without a chance to say anything.
func (d *Daemon) Kill(t testing.TB) {
	t.Helper()
	d.Signal(t, syscall.SIGKILL)
	<-d.ended
}

// Stop stops the daemon in order; it must then exit with 0.
func (d *Daemon) Stop(t testing.TB) {
	t.Helper()
	d.Signal(t, syscall.SIGTERM)
	select {
	case <-d.ended:
		if d.err != nil {
			t.Errorf("%s: ssyncpd, stopped: %v\n%s", d.director.Name, d.err, d.Log())
		}
	case <-time.After(stopLimit):
		d.Kill(t)
		t.Errorf("%s: ssyncpd did not stop within %v\n%s", d.director.Name, stopLimit, d.Log())
	}
}
