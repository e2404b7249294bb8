package daemon_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/contrib/keepalived"
	"github.com/ssyncp/ssyncp/internal/netnstest"
)

// host is a director with a keepalived, the real one, and a /run that the two
// share. Its services are those of a module that is played: VRRP is what is
// tested, in little time. lab/guest has the whole of it.
type host struct {
	t    *testing.T
	ns   *netnstest.Namespace
	name string // lb1 or lb2
	key  string
	run  string // its /run

	daemon     *director // nil: it does not run
	keepalived *exec.Cmd // nil: it does not run
	log        logBuffer // of keepalived
}

// hosts makes lb1 and lb2, on which nothing runs.
func hosts(t *testing.T) (lb1, lb2 *host) {
	t.Helper()
	if _, err := exec.LookPath("keepalived"); err != nil {
		t.Skip("needs keepalived: lab/install-packages guest")
	}
	nsA, nsB := pair(t)
	key := newKey(t)
	make := func(name string, ns *netnstest.Namespace) *host {
		h := &host{t: t, ns: ns, name: name, key: key}
		var err error
		if h.run, err = os.MkdirTemp("", name); err != nil {
			t.Fatal(err)
		}
		h.boot()
		t.Cleanup(func() {
			h.killKeepalived()
			os.RemoveAll(h.run)
			if t.Failed() {
				t.Logf("log of keepalived on %s:\n%s", name, h.log.String())
			}
		})
		return h
	}
	return make("lb1", nsA), make("lb2", nsB)
}

// boot makes a new /run, with what systemd-tmpfiles makes in it.
func (h *host) boot() {
	h.t.Helper()
	if err := errors.Join(os.RemoveAll(h.run), os.MkdirAll(filepath.Join(h.run, "ssyncp"), 0o755)); err != nil {
		h.t.Fatal(err)
	}
}

// startDaemon starts ssyncpd with the paths that the sample of keepalived has.
func (h *host) startDaemon(args ...string) {
	h.t.Helper()
	number := map[string]int{"lb1": 1, "lb2": 2}[h.name]
	h.daemon = start2(h.t, h.ns, number, h.key, append([]string{
		"--vrrp-fifo=" + filepath.Join(h.run, "ssyncp/vrrp.fifo"), "--vrrp-track-file=" + h.trackFile()}, args...)...)
}

func (h *host) trackFile() string { return filepath.Join(h.run, "ssyncp/synced") }

// startKeepalived starts it with the sample.
func (h *host) startKeepalived() {
	h.t.Helper()
	text, err := keepalived.Sample(map[string]string{
		"CLIENTS": "eth0", "SERVERS": "eth0", "ADDRESS": "192.0.2.80", "GATEWAY": "192.0.2.81",
	})
	if err != nil {
		h.t.Fatal(err)
	}
	file := filepath.Join(h.t.TempDir(), "keepalived.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	const script = `mount --bind "$1" /run && exec keepalived --dont-fork --log-console --log-detail --vrrp --use-file "$2" --config-id "$3" --pid /run/k.pid --vrrp_pid /run/v.pid`
	h.keepalived = exec.Command("ip", "netns", "exec", h.ns.Name, "unshare", "--mount", "sh", "-c", script, "sh", h.run, file, h.name)
	h.keepalived.Stdout, h.keepalived.Stderr = &h.log, &h.log
	h.keepalived.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := h.keepalived.Start(); err != nil {
		h.t.Fatal(err)
	}
}

// killKeepalived leaves it no time to say anything.
func (h *host) killKeepalived() {
	if h.keepalived == nil {
		return
	}
	unix.Kill(-h.keepalived.Process.Pid, unix.SIGKILL)
	h.keepalived.Wait()
	h.keepalived = nil
}

// killDaemon does the same, and what systemd does behind it.
func (h *host) killDaemon() {
	h.t.Helper()
	h.daemon.signal(syscall.SIGKILL)
	<-h.daemon.ended
	h.daemon = nil
	if err := os.Remove(h.trackFile()); err != nil {
		h.t.Error(err)
	}
}

// state is what keepalived said last of its instance: MASTER, BACKUP or FAULT.
func (h *host) state() string {
	_, last, _ := cutLast(h.log.String(), "(VI_1) Entering ")
	word, _, _ := strings.Cut(last, " ")
	return word
}

func cutLast(s, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(s, separator); i >= 0 {
		return s[:i], s[i+len(separator):], true
	}
	return s, "", false
}

// becomes waits until keepalived says so.
func (h *host) becomes(state string) {
	h.t.Helper()
	for range 2000 {
		if h.state() == state {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	h.t.Fatalf("%s is %s and not %s", h.name, h.state(), state)
}

// adverts is what two masters of the same moment need until one of them is none.
const adverts = 2 * time.Second

// stays expects that a state lasts for longer than keepalived waits for anything.
func (h *host) stays(state string) {
	h.t.Helper()
	for range 500 {
		if now := h.state(); now != state {
			h.t.Fatalf("%s is %s, and should be %s still", h.name, now, state)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (h *host) neverFaulty() {
	h.t.Helper()
	if strings.Contains(h.log.String(), "FAULT") {
		h.t.Errorf("%s: there was a FAULT", h.name)
	}
}

// lb1 has the higher priority. It is rebooted, and is master again as soon as it
// is synced, and no earlier.
func TestKeepalivedPreemptsWhenTheDirectorIsSynced(t *testing.T) {
	t.Parallel() // keepalived takes its time
	lb1, lb2 := hosts(t)
	for _, h := range []*host{lb1, lb2} {
		h.startDaemon()
		h.startKeepalived()
	}
	lb1.becomes("MASTER")
	lb2.becomes("BACKUP")
	trackFile(t, lb2.trackFile(), "1\n")

	lb1.killKeepalived()
	lb1.daemon.signal(syscall.SIGKILL)
	<-lb1.daemon.ended
	lb2.becomes("MASTER")

	lb1.boot()
	lb1.startKeepalived() // before ssyncpd
	lb1.becomes("BACKUP")
	lb1.stays("BACKUP")
	lb1.startDaemon("--links=eth0,group=224.0.0.99", "--wire-join-timeout=5m") // nobody is there
	trackFile(t, lb1.trackFile(), "0\n")
	lb1.stays("BACKUP")
	lb1.daemon.stop()
	lb1.startDaemon()
	trackFile(t, lb1.trackFile(), "1\n")
	lb1.becomes("MASTER")
	lb2.becomes("BACKUP")
	lb1.daemon.logs("instance=VI_1 role=master")
	lb2.daemon.logs("instance=VI_1 role=backup before=master")
	lb1.neverFaulty()
	lb2.neverFaulty()
}

func TestKeepalivedWhereNobodyIsSynced(t *testing.T) {
	t.Parallel() // keepalived takes its time
	t.Run("the first of all", func(t *testing.T) {
		t.Parallel()
		lb1, _ := hosts(t)
		lb1.startKeepalived()
		lb1.startDaemon()
		lb1.becomes("MASTER")
		trackFile(t, lb1.trackFile(), "1\n")
		lb1.stays("MASTER")
	})
	t.Run("both boot at once", func(t *testing.T) {
		t.Parallel()
		lb1, lb2 := hosts(t)
		for _, h := range []*host{lb1, lb2} {
			h.startKeepalived()
			h.startDaemon()
		}
		lb1.becomes("MASTER")
		time.Sleep(adverts)
		lb1.stays("MASTER")
		lb2.stays("BACKUP")
	})
	t.Run("without ssyncpd", func(t *testing.T) {
		t.Parallel()
		lb1, lb2 := hosts(t)
		lb1.startKeepalived()
		lb2.startKeepalived()
		lb1.becomes("MASTER")
		time.Sleep(adverts)
		lb1.stays("MASTER")
		lb2.stays("BACKUP")
		lb1.neverFaulty()
	})
}

func TestDaemonThatIsKilledGivesPriorityAway(t *testing.T) {
	t.Parallel() // keepalived takes its time
	lb1, lb2 := hosts(t)
	for _, h := range []*host{lb1, lb2} {
		h.startDaemon()
		h.startKeepalived()
	}
	lb1.becomes("MASTER")
	for _, h := range []*host{lb1, lb2} {
		trackFile(t, h.trackFile(), "1\n")
	}
	lb1.killDaemon()
	lb2.becomes("MASTER")
	lb1.becomes("BACKUP")
	lb1.startDaemon()
	lb1.becomes("MASTER")
	lb2.becomes("BACKUP")
	// Both are without: one of them is master all the same.
	lb1.killDaemon()
	lb2.killDaemon()
	lb1.becomes("MASTER")
	lb2.becomes("BACKUP")
	lb1.neverFaulty()
	lb2.neverFaulty()
}

// What begins on a master that stops is told to the backup for as long as it comes
// to the master.
func TestMasterThatStopsTellsUntilItIsMasterNoMore(t *testing.T) {
	t.Parallel() // keepalived takes its time
	const some = 10
	lb1, lb2 := hosts(t)
	for _, h := range []*host{lb1, lb2} {
		h.startDaemon()
		h.startKeepalived()
	}
	for _, h := range []*host{lb1, lb2} {
		trackFile(t, h.trackFile(), "1\n")
	}
	lb1.becomes("MASTER")
	lb1.daemon.logs("instance=VI_1 role=master")
	lb2.becomes("BACKUP")

	lb1.daemon.signal(syscall.SIGTERM)
	trackFile(t, lb1.trackFile(), "")
	lb1.daemon.logs("until this director is master no more")
	lb1.daemon.ask(request{Queue: some})
	lb2.daemon.holds(clients(0, some))
	if state := lb2.state(); state != "BACKUP" {
		t.Fatalf("lb2 is %s already: nothing was tested", state)
	}
	lb2.becomes("MASTER")
	select {
	case err := <-lb1.daemon.ended:
		if err != nil {
			t.Errorf("exit: %v", err)
		}
	case <-time.After(adverts):
		t.Error("it is master no more, and does not stop")
	}
	if log := lb1.daemon.log.String(); !strings.Contains(log, "instance=VI_1 role=backup before=master") || strings.Contains(log, "is master still") {
		t.Error("it stopped before that")
	}
}

// A director is not synced with half a table, and is master all the same when
// the one that gave it is gone.
func TestMasterDiesWhileItGivesASnapshot(t *testing.T) {
	t.Parallel()
	const table = 5000
	lb1, lb2 := hosts(t)
	lb2.startDaemon("--multicast-max-pps=20") // half a minute for that table
	lb2.startKeepalived()
	lb2.becomes("MASTER")
	trackFile(t, lb2.trackFile(), "1\n")
	lb2.daemon.ask(request{Table: table})

	lb1.startDaemon()
	lb1.startKeepalived()
	eventually(t, "a part of the table", func() bool { return len(lb1.daemon.ask(request{}).Written) >= table/20 })
	lb1.becomes("BACKUP")
	trackFile(t, lb1.trackFile(), "0\n")
	lb2.killKeepalived()
	lb2.daemon.signal(syscall.SIGKILL)
	lb1.becomes("MASTER")
	trackFile(t, lb1.trackFile(), "1\n")
	if n := len(lb1.daemon.ask(request{}).Written); n >= table {
		t.Errorf("the whole table came, %d of %d: nothing was tested", n, table)
	}
	lb1.neverFaulty()
}

// keepalived that made the FIFO takes it away with it.
func TestRolesOfAKeepalivedThatIsRestarted(t *testing.T) {
	t.Parallel() // keepalived takes its time
	lb1, _ := hosts(t)
	lb1.startKeepalived()
	lb1.becomes("BACKUP")
	lb1.startDaemon()
	lb1.daemon.logs("instance=VI_1 role=master")
	if err := lb1.keepalived.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	lb1.keepalived.Wait()
	lb1.keepalived = nil
	lb1.daemon.logs("instance=VI_1 role=stop before=master")
	lb1.startKeepalived()
	eventually(t, "another master", func() bool {
		return strings.Count(lb1.daemon.log.String(), "instance=VI_1 role=master") == 2
	})
}
