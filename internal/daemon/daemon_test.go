package daemon_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/netnstest"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// director is a daemon in a network namespace.
type director struct {
	t       *testing.T
	ns      *netnstest.Namespace
	process *exec.Cmd
	in      io.Writer
	out     *bufio.Scanner
	ended   chan error
	log     logBuffer
}

type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start starts a daemon, of version 1 of the protocol. Later arguments beat earlier ones.
func start(t *testing.T, ns *netnstest.Namespace, args ...string) *director {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return startBy(t, ns, []string{self}, args...)
}

// startBy starts one by a command that starts it.
func startBy(t *testing.T, ns *netnstest.Namespace, by []string, args ...string) *director {
	t.Helper()
	d := &director{t: t, ns: ns, ended: make(chan error, 1)}
	before := append([]string{"netns", "exec", ns.Name}, by...)
	before = append(before, "--sync-id=7", "--wire-version=1", "--admin-socket=", "--vrrp-track-file=")
	if !slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--links=") }) {
		before = append(before, "--multicast-interface=eth0")
	}
	args = append(before, args...)
	d.process = exec.Command("ip", args...)
	d.process.Env = append(os.Environ(), childVariable+"=1")
	d.process.Stderr = &d.log
	var err error
	if d.in, err = d.process.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := d.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.out = bufio.NewScanner(out)
	d.out.Buffer(nil, 1<<22)
	if err := d.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.process.Process.Kill()
		<-d.ended
		if t.Failed() {
			t.Logf("log of the director in %s:\n%s", ns.Name, d.log.String())
		}
	})
	go func() { d.ended <- d.process.Wait(); close(d.ended) }()
	return d
}

// ask sends a request and returns the answer.
func (d *director) ask(r request) answer {
	d.t.Helper()
	line, err := json.Marshal(r)
	if err != nil {
		d.t.Fatal(err)
	}
	if _, err := d.in.Write(append(line, '\n')); err != nil {
		d.t.Fatal(err)
	}
	if !d.out.Scan() {
		d.t.Fatalf("no answer: %v", d.out.Err())
	}
	var a answer
	if err := json.Unmarshal(d.out.Bytes(), &a); err != nil {
		d.t.Fatal(err)
	}
	return a
}

func (d *director) signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.process.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

// logs waits until the log has all of the texts.
func (d *director) logs(texts ...string) {
	d.t.Helper()
	eventually(d.t, "log of "+strings.Join(texts, ", "), func() bool {
		log := d.log.String()
		return !slices.ContainsFunc(texts, func(s string) bool { return !strings.Contains(log, s) })
	})
}

// started waits for the snapshot of the start, the last step of it.
func (d *director) started() *director {
	d.t.Helper()
	d.logs("advertised what this director owns")
	return d
}

// stop stops it, and wants exit code 0.
func (d *director) stop() {
	d.t.Helper()
	d.signal(syscall.SIGTERM)
	select {
	case err := <-d.ended:
		if err != nil {
			d.t.Errorf("exit: %v", err)
		}
	case <-time.After(10 * time.Second):
		d.t.Fatal("does not stop")
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	const limit = 30 * time.Second
	for began := time.Now(); time.Since(began) < limit; {
		if is() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not within %v: %s", limit, what)
}

// has waits until exactly these connections were written to the device, in
// this order.
func (d *director) has(want []string) {
	d.t.Helper()
	var got []string
	eventually(d.t, "connections of the peer", func() bool {
		got = d.ask(request{}).Written
		return len(got) >= len(want)
	})
	if !slices.Equal(got, want) {
		d.t.Errorf("%d connections written, want %d, or in another order", len(got), len(want))
	}
}

// pair makes two namespaces with a link between them.
func pair(t *testing.T) (a, b *netnstest.Namespace) {
	t.Helper()
	a, b = netnstest.New(t), netnstest.New(t)
	netnstest.Pair(t, a, "eth0", "192.0.2.1/24", b, "eth0", "192.0.2.2/24")
	return a, b
}

func TestConnectionsReachThePeerInBothDirections(t *testing.T) {
	t.Parallel()
	nsA, nsB := pair(t)
	a, b := start(t, nsA).started(), start(t, nsB).started()
	const n = 3000
	a.ask(request{Queue: n})
	b.ask(request{Queue: n, From: n})
	b.has(clients(0, n))
	a.has(clients(n, n))
	if writes := b.ask(request{}).Writes; writes >= n/50 {
		t.Errorf("%d writes for %d connections", writes, n)
	}
	a.stop()
	b.stop()
	// Nothing came back as an echo.
	for _, d := range []*director{a, b} {
		if log := d.log.String(); !strings.Contains(log, "encoded=3000 ") || !strings.Contains(log, "decoded=3000 ") {
			t.Errorf("counters at the stop:\n%s", log)
		}
	}
}

func TestStopSendsWhatIsQueuedAndExits0(t *testing.T) {
	t.Parallel()
	nsA, nsB := pair(t)
	a, b := start(t, nsA, "--device-period=10s").started(), start(t, nsB).started()
	a.ask(request{Queue: 120})
	a.stop()
	b.has(clients(0, 120))
	a.logs("ssyncpd stopped", "group=engine", "sent_adverts=3", "group=module")
}

func TestConnectionsOlderThanTheDaemonAreAdvertised(t *testing.T) {
	nsA, nsB := pair(t)
	b := start(t, nsB).started()
	start(t, nsA, "--test-table=500").started()
	b.has(clients(0, 500))
}

func TestLostNewsIsHealedByASnapshot(t *testing.T) {
	nsA, nsB := pair(t)
	a, b := start(t, nsA).started(), start(t, nsB).started()
	a.ask(request{Table: 500, Raise: chardev.EventLost})
	b.has(clients(0, 500))
	a.logs("news was lost")
}

func TestOneReadAPeriod(t *testing.T) {
	nsA, _ := pair(t)
	a := start(t, nsA).started()
	before := a.ask(request{}).Reads
	begin := time.Now()
	for i := range 200 { // a connection every 5 ms
		a.ask(request{Queue: 1, From: i})
		time.Sleep(5 * time.Millisecond)
	}
	reads := a.ask(request{}).Reads - before
	periods := uint64(time.Since(begin)/(100*time.Millisecond)) + 1
	if reads > periods || reads == 0 {
		t.Errorf("%d reads in %d periods", reads, periods)
	}
}

func TestAnotherClusterIsLeftAlone(t *testing.T) {
	nsA, nsB := pair(t)
	a, b := start(t, nsA).started(), start(t, nsB, "--sync-id=8").started()
	a.ask(request{Queue: 10})
	eventually(t, "a count of foreign adverts", func() bool {
		b.signal(syscall.SIGUSR1)
		return strings.Contains(b.log.String(), "foreign_sync_id=1")
	})
	b.has([]string{})
}

func TestMasterThatRunsIsSaid(t *testing.T) {
	nsA, nsB := pair(t)
	a, b := start(t, nsA).started(), start(t, nsB).started()
	a.ask(request{Raise: chardev.EventMasterRunning})
	a.logs("capture paused", "ipvsadm --stop-daemon master")
	a.ask(request{Raise: chardev.EventMasterStopped | chardev.EventLost, Table: 60})
	a.logs("capture goes on")
	b.has(clients(0, 60))
}

func TestInterfaceThatGoesDownIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	nsA, nsB := pair(t)
	a, b := start(t, nsA).started(), start(t, nsB).started()
	nsA.IP(t, "link set eth0 down")
	a.logs("synchronization interrupted", "interface eth0 is down: ip link set eth0 up")
	time.Sleep(2 * time.Second)
	nsA.IP(t, "link set eth0 up")
	a.logs("synchronization goes on")
	eventually(t, "carrier", func() bool {
		return strings.Count(a.log.String(), "advertised what this director owns") == 2
	})
	a.ask(request{Queue: 10})
	b.has(clients(0, 10))
	if n := strings.Count(a.log.String(), "is down"); n > 1 {
		t.Errorf("said %d times", n)
	}
	a.stop()
}

func TestReload(t *testing.T) {
	ns, _ := pair(t)
	file := filepath.Join(t.TempDir(), "ssyncpd.toml")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	d := start(t, ns, "--config="+file).started()

	write("[log]\nlevel = 'debug'\n[device]\nperiod = 5\n[multicast]\niface = 'eth1'\n")
	d.signal(syscall.SIGHUP)
	d.logs("configuration refused, the running one stays", "device.period = 5: a duration without a unit", "unknown key")
	if strings.Contains(d.log.String(), "configuration reloaded") {
		t.Error("a part of it was taken over")
	}

	write("[device]\nperiod = '20ms'\npath = '/dev/other'\n[log]\nlevel = 'warn'\n")
	d.signal(syscall.SIGHUP)
	d.logs("take effect at the next start", "keys=device.path")
	if strings.Contains(d.log.String(), "interrupted") {
		t.Error("the reload interrupted synchronization")
	}
	before := d.ask(request{}).Reads
	time.Sleep(time.Second)
	if n := d.ask(request{}).Reads - before; n < 30 || n > 60 {
		t.Errorf("%d reads a second with a period of 20 ms", n)
	}
}

func TestStartFailsWithWhatToDo(t *testing.T) {
	ns := netnstest.New(t)
	d := start(t, ns)
	if err := <-d.ended; err == nil || d.process.ProcessState.ExitCode() != 1 {
		t.Errorf("exit: %v", err)
	}
	if log := d.log.String(); !strings.Contains(log, "interface eth0 does not exist") {
		t.Errorf("log:\n%s", log)
	}
}
