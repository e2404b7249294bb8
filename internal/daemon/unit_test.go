package daemon_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// unitFile is what starts the daemon on a director.
const unitFile = "../../contrib/ssyncpd.service"

// unit returns the values of each setting, in their order.
func unit(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			settings[name] = append(settings[name], strings.Fields(value)...)
		}
	}
	return settings
}

func analyze(t *testing.T, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed: lab/install-packages unit")
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("systemd-analyze %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestUnitSaysWhatTheDaemonDoes(t *testing.T) {
	settings := unit(t)
	for name, want := range map[string]string{
		"Type": "notify", "User": "ssyncp", "Group": "ssyncp", "RuntimeDirectory": "ssyncp", "ExecReload": "/bin/kill -HUP $MAINPID",
		"CapabilityBoundingSet": "CAP_NET_ADMIN CAP_NET_RAW", "AmbientCapabilities": "CAP_NET_ADMIN CAP_NET_RAW", "DeviceAllow": "/dev/ssyncp rw",
	} {
		if got := strings.Join(settings[name], " "); got != want {
			t.Errorf("%s=%s, want %s", name, got, want)
		}
	}
	if settings["WatchdogSec"] == nil {
		t.Error("there is no watchdog")
	}
}

func TestUnitExposesLittle(t *testing.T) {
	out := analyze(t, "security", "--offline=true", "--no-pager", unitFile)
	m := regexp.MustCompile(`Overall exposure level for ssyncpd.service: ([0-9.]+)`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no verdict:\n%s", out)
	}
	if exposure, err := strconv.ParseFloat(m[1], 64); err != nil || exposure > 1.5 {
		t.Errorf("exposure %s, must be at most 1.5:\n%s", m[1], out)
	}
}

// systemCalls expands sets of system calls as systemd does.
func systemCalls(t *testing.T, set string) []string {
	t.Helper()
	var calls []string
	for line := range strings.Lines(analyze(t, "syscall-filter", "--no-pager", set)) {
		switch name := strings.TrimSpace(line); {
		case name == set || name == "" || strings.HasPrefix(name, "#"):
		case strings.HasPrefix(name, "@"):
			calls = append(calls, systemCalls(t, name)...)
		default:
			calls = append(calls, name)
		}
	}
	return calls
}

// What the unit takes away must not be what the daemon needs: another user, two
// capabilities, and the system calls that its filter leaves. Only the device is
// played.
func TestDaemonWorksAsTheUnitStartsIt(t *testing.T) {
	for _, tool := range []string{"setpriv", "strace"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	var allowed, denied []string
	for _, set := range unit(t)["SystemCallFilter"] {
		if deny, ok := strings.CutPrefix(set, "~"); ok || len(denied) > 0 {
			denied = append(denied, systemCalls(t, "@"+strings.TrimPrefix(deny, "@"))...)
		} else {
			allowed = append(allowed, systemCalls(t, set)...)
		}
	}
	if len(allowed) < 100 || len(denied) < 20 {
		t.Fatalf("%d system calls allowed, %d denied: the filter was not understood", len(allowed), len(denied))
	}

	nsA, nsB := pair(t)
	const nobody = "65534"
	directory := open(t, nobody)
	key := filepath.Join(directory, "key")
	give(t, newKey(t), key, nobody)
	self := filepath.Join(directory, "ssyncpd")
	give(t, "/proc/self/exe", self, nobody)
	trace := filepath.Join(directory, "trace")
	by := []string{
		"setpriv", "--reuid=" + nobody, "--regid=" + nobody, "--clear-groups", "--no-new-privs",
		"--inh-caps=-all,+net_admin,+net_raw", "--ambient-caps=-all,+net_admin,+net_raw", "--bounding-set=-all,+net_admin,+net_raw",
	}
	args := func(number int) []string {
		n := strconv.Itoa(number)
		return []string{"--wire-version=2", "--wire-key-file=" + key, "--wire-sender-id=" + n, "--wire-name=dir" + n, "--wire-join-timeout=1s",
			"--admin-socket=" + filepath.Join(directory, "admin"+n), "--metrics-listen=unix:" + filepath.Join(directory, "metrics"+n)}
	}
	a := startBy(t, nsA, append(slices.Clone(by), "strace", "-f", "-qq", "-o", trace, self), args(1)...)
	b := startBy(t, nsB, append(slices.Clone(by), self), args(2)...)
	a.with(1).synced()
	b.with(1).synced()
	a.ask(request{Queue: 50})
	b.holds(clients(0, 50))
	b.ask(request{Queue: 50, From: 100})
	a.holds(clients(100, 50))
	if text := scrape(t, filepath.Join(directory, "metrics1")); !strings.Contains(text, `ssyncp_director_state{state="synced"} 1`) {
		t.Errorf("metrics:\n%s", text)
	}
	b.stop()
	stopTraced(t, a, self)

	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\d+ +([a-z0-9_]+)\(`).FindAllStringSubmatch(string(text), -1) {
		used[m[1]] = true
	}
	for _, sure := range []string{"sendmmsg", "recvmmsg", "socket", "openat"} {
		if !used[sure] {
			t.Errorf("no %s was seen", sure)
		}
	}
	for call := range used {
		if !slices.Contains(allowed, call) || slices.Contains(denied, call) {
			t.Errorf("the unit's filter denies %s", call)
		}
	}
}

// open makes a directory that a user can work in.
func open(t *testing.T, user string) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "unit")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	own(t, directory, user)
	return directory
}

// give copies a file for a user.
func give(t *testing.T, from, to, user string) {
	t.Helper()
	source, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(target, source); err != nil {
		t.Fatal(err)
	}
	if err := target.Close(); err != nil {
		t.Fatal(err)
	}
	own(t, to, user)
}

func own(t *testing.T, path, user string) {
	t.Helper()
	id, err := strconv.Atoi(user)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, id, id); err != nil {
		t.Fatal(err)
	}
}

// stopTraced stops a daemon that runs under strace, which keeps signals from it.
func stopTraced(t *testing.T, d *director, program string) {
	t.Helper()
	children, err := os.ReadFile("/proc/" + strconv.Itoa(d.process.Process.Pid) + "/task/" + strconv.Itoa(d.process.Process.Pid) + "/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, child := range strings.Fields(string(children)) {
		if exe, err := os.Readlink("/proc/" + child + "/exe"); err != nil || exe != program {
			continue
		}
		pid, err := strconv.Atoi(child)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-d.ended; err != nil {
		t.Errorf("exit: %v", err)
	}
}
