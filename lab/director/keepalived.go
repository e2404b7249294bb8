package director

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/contrib/keepalived"
)

// A Keepalived runs on a director. It has the sample of contrib/keepalived, is
// started as that says, and has a /run that is not the other directors'.
type Keepalived struct {
	director *Director
	command  *exec.Cmd
	ended    chan struct{}
	output
}

// run is what a director has instead of /run, where everything else is one
// machine's.
func (d *Director) run() string { return "/run/of-" + d.Name }

// TrackFile is where the director's daemon says that it is synced.
func (d *Director) TrackFile() string { return filepath.Join(d.run(), "ssyncp/synced") }

// FIFO is where keepalived tells its roles.
func (d *Director) FIFO() string { return filepath.Join(d.run(), "ssyncp/vrrp.fifo") }

// ClearRun makes a new /run for the director, as a boot does.
func (d *Director) ClearRun(t testing.TB) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(d.run()), os.MkdirAll(filepath.Dir(d.TrackFile()), 0o755)); err != nil {
		t.Fatal(err)
	}
}

// StartKeepalived starts it as a host of a name that the sample has, with other
// definitions. At the end of the test it is killed; its log is shown where the
// test failed.
func (d *Director) StartKeepalived(t testing.TB, host string, definitions map[string]string) *Keepalived {
	t.Helper()
	text, err := keepalived.Sample(definitions)
	if err != nil {
		t.Fatal(err)
	}
	arguments, err := keepalived.Arguments()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keepalived.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	const script = `mount --bind "$1" /run && exec /sbin/keepalived --dont-fork --log-console --log-detail --use-file "$2" --config-id "$3" --pid /run/k.pid --vrrp_pid /run/v.pid --checkers_pid /run/c.pid $4`
	k := &Keepalived{director: d, ended: make(chan struct{})}
	k.command = exec.Command("/bin/busybox", "unshare", "-m", "sh", "-c", script, "sh", d.run(), file, host, strings.Join(arguments, " "))
	k.command.Stdout, k.command.Stderr = k, k
	k.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.Start(k.command); err != nil {
		t.Fatalf("%s: keepalived: %v", d.Name, err)
	}
	go func() {
		k.command.Wait()
		close(k.ended)
	}()
	t.Cleanup(func() {
		k.Kill()
		if t.Failed() {
			t.Logf("log of keepalived on %s:\n%s", d.Name, k.Log())
		}
	})
	return k
}

// Kill ends it and its children without a chance to say anything.
func (k *Keepalived) Kill() {
	if k.Running() {
		syscall.Kill(-k.command.Process.Pid, syscall.SIGKILL)
		<-k.ended
	}
}

// Running reports whether it does.
func (k *Keepalived) Running() bool {
	select {
	case <-k.ended:
		return false
	default:
		return true
	}
}

// Stop stops it in order: it gives its addresses away.
func (k *Keepalived) Stop(t testing.TB) {
	t.Helper()
	if err := k.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("%s: keepalived: %v", k.director.Name, err)
	}
	select {
	case <-k.ended:
	case <-time.After(stopLimit):
		k.Kill()
		t.Errorf("%s: keepalived did not stop within %v\n%s", k.director.Name, stopLimit, k.Log())
	}
}

// State is what it said last of its instance: MASTER, BACKUP, FAULT, or nothing.
func (k *Keepalived) State() string {
	const entering = "(VI_1) Entering "
	log := k.Log()
	i := strings.LastIndex(log, entering)
	if i < 0 {
		return ""
	}
	state, _, _ := strings.Cut(log[i+len(entering):], " ")
	return state
}

// electionLimit is a dozen times of what an election takes.
const electionLimit = 60 * time.Second

// Becomes waits for a state.
func (k *Keepalived) Becomes(t testing.TB, state string) {
	t.Helper()
	for began := time.Now(); time.Since(began) < electionLimit; time.Sleep(20 * time.Millisecond) {
		if k.State() == state {
			return
		}
	}
	t.Fatalf("%s: VRRP is %q after %v, want %s", k.director.Name, k.State(), electionLimit, state)
}

// Stays expects that a state lasts for a time.
func (k *Keepalived) Stays(t testing.TB, state string, limit time.Duration) {
	t.Helper()
	for began := time.Now(); time.Since(began) < limit; time.Sleep(20 * time.Millisecond) {
		if now := k.State(); now != state {
			t.Fatalf("%s: VRRP is %s after %v, and should be %s still", k.director.Name, now, time.Since(began), state)
		}
	}
}
