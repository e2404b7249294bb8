package daemon_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/admin"
)

// trackFile waits until a track file says a text; none is no file.
func trackFile(t *testing.T, path, want string) {
	t.Helper()
	eventually(t, "track file "+strings.TrimSpace(want), func() bool {
		got, err := os.ReadFile(path)
		return (err == nil || os.IsNotExist(err)) && string(got) == want
	})
}

func TestTrackFileSaysWhetherADirectorIsSynced(t *testing.T) {
	nsA, nsB := pair(t)
	key := newKey(t)
	pathA, pathB := filepath.Join(t.TempDir(), "synced"), filepath.Join(t.TempDir(), "synced")
	a := start2(t, nsA, 1, key, "--wire-join-timeout=3s", "--vrrp-track-file="+pathA)
	trackFile(t, pathA, "0\n")
	trackFile(t, pathA, "1\n") // alone
	b := start2(t, nsB, 2, key, "--vrrp-track-file="+pathB)
	trackFile(t, pathB, "1\n")
	b.with(1).synced()

	// One that is killed leaves its file behind for whoever supervises it. The
	// next one begins with 0.
	b.signal(syscall.SIGKILL)
	<-b.ended
	trackFile(t, pathB, "1\n")
	b = start2(t, nsB, 2, key, "--wire-join-timeout=5m", "--links=eth0,group=224.0.0.99", "--vrrp-track-file="+pathB)
	trackFile(t, pathB, "0\n")
	b.stop()
	a.stop()
	for _, path := range []string{pathA, pathB} {
		if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

// systemd starts ssyncpd before keepalived, which makes the services: until then
// the director is degraded, and must not count as synced.
func TestTrackFileOfADirectorWithoutServices(t *testing.T) {
	nsA, nsB := pair(t)
	key := newKey(t)
	path := filepath.Join(t.TempDir(), "synced")
	a := start2(t, nsA, 1, key, "--"+tableFlag+"=100")
	a.synced()
	b := start2(t, nsB, 2, key, "--vrrp-track-file="+path, "--"+noServiceFlag)
	b.with(1).logs("to=degraded")
	for range 300 { // several looks of the daemon at its state
		if got, err := os.ReadFile(path); err != nil || string(got) != "0\n" {
			t.Fatalf("the track file says %q, %v", got, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if strings.Contains(b.log.String(), "synced=true") {
		t.Fatal("the track file said 1 before")
	}
}

// What never was news goes to the peer when a director becomes master, and comes
// from it when it becomes backup, whichever way it is told.
func TestRolesMoveWhatWasMissed(t *testing.T) {
	for _, way := range []string{"FIFO", "command"} {
		t.Run(way, func(t *testing.T) {
			nsA, nsB := pair(t)
			key := newKey(t)
			directory, err := os.MkdirTemp("", "role")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(directory) })
			socket, fifo := filepath.Join(directory, "s"), filepath.Join(directory, "fifo")
			a := start2(t, nsA, 1, key, "--admin-socket="+socket, "--vrrp-fifo="+fifo)
			b := start2(t, nsB, 2, key)
			a.with(1).synced()
			b.with(1).synced()
			client := admin.NewClient(socket)
			tell := func(instance, role string) {
				t.Helper()
				if way == "command" {
					if err := client.Role(t.Context(), instance, role); err != nil {
						t.Error(err)
					}
					return
				}
				keepalived, err := os.OpenFile(fifo, os.O_RDWR|unix.O_NONBLOCK, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer keepalived.Close()
				if _, err := keepalived.WriteString("INSTANCE \"" + instance + "\" " + role + " 100\n"); err != nil {
					t.Fatal(err)
				}
			}
			a.ask(request{Table: 100})
			b.ask(request{Table: 100, From: 1000})
			tell("VI_1", "MASTER")
			b.holds(clients(0, 100))
			tell("VI_2", "BACKUP")
			a.holds(clients(1000, 100))

			status, err := client.Status(t.Context())
			if err != nil || len(status.Roles) != 2 || status.Roles[0].Role != "master" || status.Roles[1].Role != "backup" {
				t.Errorf("roles: %+v, %v", status.Roles, err)
			}
			if c := status.Counters["vrrp"]; c["announcements"] != 1 || c["resyncs"] != 1 || c["changes"] != 2 {
				t.Errorf("counted: %v", c)
			}
			a.stop()
			b.stop()
		})
	}
}

func TestRolesStopNothing(t *testing.T) {
	nsA, nsB := pair(t)
	key := newKey(t)
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	keepalived, err := os.OpenFile(fifo, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer keepalived.Close()
	a := start2(t, nsA, 1, key, "--vrrp-fifo="+fifo)
	b := start2(t, nsB, 2, key)
	a.with(1).synced()
	b.with(1).synced()
	for i, role := range []string{"BACKUP", "MASTER", "FAULT", "STOP"} {
		if _, err := keepalived.WriteString("INSTANCE \"VI_1\" " + role + " 100\n"); err != nil {
			t.Fatal(err)
		}
		eventually(t, role, func() bool { return strings.Count(a.log.String(), "a VRRP instance has another role") == i+1 })
		a.ask(request{Queue: 10, From: 100 * i})
		b.holds(clients(100*i, 10))
		b.ask(request{Queue: 10, From: 10000 + 100*i})
		a.holds(clients(10000+100*i, 10))
	}
}

func TestVersion1HasNoTrackFile(t *testing.T) {
	ns, _ := pair(t)
	path := filepath.Join(t.TempDir(), "synced")
	start(t, ns, "--vrrp-track-file="+path).started()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("there is one: %v", err)
	}
}

func TestDaemonDoesNotStartWithWhatVRRPCannotUse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, arg := range map[string]string{"FIFO": "--vrrp-fifo=" + file, "track file": "--vrrp-track-file=" + file} {
		t.Run(name, func(t *testing.T) {
			ns, _ := pair(t)
			track := filepath.Join(t.TempDir(), "synced")
			d := start2(t, ns, 1, newKey(t), "--vrrp-track-file="+track, arg)
			if err := <-d.ended; err == nil {
				t.Error("it started")
			}
			d.logs(file, "move it away")
			if _, err := os.Stat(track); !os.IsNotExist(err) {
				t.Errorf("the track file is left behind: %v", err)
			}
		})
	}
}
