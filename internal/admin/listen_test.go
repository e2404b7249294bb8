package admin_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/unixsocket"
)

// pathVariable makes this test binary a client of that socket.
const pathVariable = "TEST_ADMIN_SOCKET"

func TestMain(m *testing.M) {
	if path := os.Getenv(pathVariable); path != "" {
		s, err := admin.NewClient(path).Status(context.Background())
		fmt.Println(s.Version, err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// as asks for the status as that user.
func as(t *testing.T, user uint32, path string) string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), pathVariable+"="+path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

func TestSocketIsOfItsOwnerAlone(t *testing.T) {
	path := socket(t)
	unmasked := unix.Umask(0)
	serve(t, path, new(director))
	unix.Umask(unmasked)
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != uint32(os.Geteuid()) {
		t.Errorf("owner %d", owner)
	}
}

func TestOtherUsersAreRefused(t *testing.T) {
	needsRoot(t)
	const other = 54321
	path := socket(t)
	if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	server, _ := serve(t, path, new(director))
	if out := as(t, 0, path); out != "1.2.3 <nil>\n" {
		t.Errorf("root: %s", out)
	}
	if out := as(t, other, path); !strings.Contains(out, path+": permission denied for user 54321: be root, or the user") {
		t.Errorf("another user: %s", out)
	}
	// The mode is not all there is.
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if out := as(t, other, path); !strings.Contains(out, "refused: user 54321: another user than root and the daemon's: be root or user 0") {
		t.Errorf("another user, with an open mode: %s", out)
	}
	all, _ := server.Counters()
	for _, group := range all {
		for name, value := range group.All() {
			if want := map[string]uint64{"requests": 2, "failures": 1, "users": 1}[name]; value != want {
				t.Errorf("%s: %d, want %d", name, value, want)
			}
		}
	}
}

func TestMissingDirectoryIsMadeInRun(t *testing.T) {
	directory := fmt.Sprintf("/run/ssyncp-test-%d", os.Getpid())
	if err := os.Mkdir(directory, 0o755); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	if err := os.Remove(directory); err != nil {
		t.Fatal(err)
	}
	defer unix.Umask(unix.Umask(0o077))
	serve(t, directory+"/blue/ssyncpd.sock", new(director))
	for _, made := range []string{directory, directory + "/blue"} {
		if info, err := os.Stat(made); err != nil || info.Mode() != fs.ModeDir|0o755 {
			t.Errorf("%s: %v, %v", made, info.Mode(), err)
		}
	}
}

func TestSocketsThatCannotBe(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, path string) // what is there
		path    string                          // below it
		want    error
		text    string // part of it
	}{
		{"no directory", func(*testing.T, string) {}, "/none/ssyncpd.sock", unixsocket.ErrDirectory, "no such file or directory: the systemd unit makes "},
		{"a file for a directory", func(t *testing.T, path string) {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "/ssyncpd.sock", unixsocket.ErrDirectory, "is no directory"},
		{"a directory that cannot be written", func(t *testing.T, path string) {
			if err := os.Symlink("/proc/self", path); err != nil {
				t.Fatal(err)
			}
		}, "/ssyncpd.sock", unixsocket.ErrDirectory, "or set admin.socket to another path"},
		{"a file", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "", unixsocket.ErrNotSocket, "what is there is no socket: move it away"},
		{"a symbolic link", func(t *testing.T, path string) {
			if err := os.Symlink("/dev/log", path); err != nil {
				t.Fatal(err)
			}
		}, "", unixsocket.ErrNotSocket, "what is there is no socket"},
		{"a socket that another program listens on", func(t *testing.T, path string) {
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
		}, "", unixsocket.ErrInUse, fmt.Sprintf(", process %d: stop that one, or set another admin.socket here", os.Getpid())},
		{"a socket of another kind", func(t *testing.T, path string) {
			l, err := net.ListenPacket("unixgram", path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
		}, "", unixsocket.ErrInUse, "a process that cannot be asked (protocol wrong type for socket)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := socket(t)
			tt.prepare(t, path)
			before, _ := os.Lstat(path)
			s, err := admin.Listen(path + tt.path)
			if s != nil || !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) || !strings.Contains(err.Error(), path+tt.path) {
				t.Errorf("err = %v", err)
			}
			after, _ := os.Lstat(path)
			if before != nil && !os.SameFile(before, after) {
				t.Error("what was there is gone")
			}
			if _, err := os.Lstat(path + ".lock"); err == nil {
				t.Error("leaves a lock behind")
			}
		})
	}
}

// leave leaves a socket behind as a daemon does that was killed.
func leave(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if err := os.WriteFile(path+".lock", nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSocketOfADeadDaemonIsReplaced(t *testing.T) {
	path := socket(t)
	leave(t, path)
	if _, err := admin.NewClient(path).Status(t.Context()); !errors.Is(err, admin.ErrDead) {
		t.Errorf("before: %v", err)
	}
	serve(t, path, new(director))
	if _, err := admin.NewClient(path).Status(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSocketOfALivingDaemonIsLeftAlone(t *testing.T) {
	path := socket(t)
	serve(t, path, new(director))
	_, err := admin.Listen(path)
	if !errors.Is(err, unixsocket.ErrInUse) {
		t.Fatal(err)
	}
	self, readErr := os.ReadFile("/proc/self/comm")
	if readErr != nil {
		t.Fatal(readErr)
	}
	for _, part := range []string{
		"admin socket " + path, fmt.Sprintf("in use by %s, process %d", strings.TrimSpace(string(self)), os.Getpid()), "namespaces of their own",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("no %q in %v", part, err)
		}
	}
	if _, err := admin.NewClient(path).Status(t.Context()); err != nil {
		t.Error(err)
	}
}

// With nothing but a look at the socket, the second would remove that of the
// first.
func TestOfDaemonsThatStartAtOnceOneHasTheSocket(t *testing.T) {
	for range 50 {
		path := socket(t)
		leave(t, path)
		servers := make(chan *admin.Server, 8)
		var all sync.WaitGroup
		for range cap(servers) {
			all.Go(func() {
				s, err := admin.Listen(path)
				if err != nil && !errors.Is(err, unixsocket.ErrInUse) {
					t.Error(err)
				}
				if s != nil {
					servers <- s
				}
			})
		}
		all.Wait()
		if len(servers) != 1 {
			t.Fatalf("%d have it", len(servers))
		}
		if conn, err := net.Dial("unix", path); err != nil {
			t.Error(err)
		} else {
			conn.Close()
		}
		(<-servers).Close()
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, path string)
	}{
		{"by a stop", func(t *testing.T, path string) {
			_, stop := serve(t, path, new(director))
			if _, err := admin.NewClient(path).Status(t.Context()); err != nil {
				t.Error(err)
			}
			stop()
		}},
		{"by a daemon that did not get so far", func(t *testing.T, path string) {
			s, err := admin.Listen(path)
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := socket(t)
			tt.run(t, path)
			left, err := os.ReadDir(filepath.Dir(path))
			if err != nil || len(left) > 0 {
				t.Errorf("%v, %v", left, err)
			}
			if _, err := admin.NewClient(path).Status(t.Context()); !errors.Is(err, admin.ErrAbsent) || !strings.Contains(err.Error(), "is ssyncpd running?") {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestClientOfWhatDoesNotAnswer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer string // "": nothing
		want   error
	}{
		{"nothing", "", admin.ErrTimeout},
		{"another protocol", "220 mail ESMTP\r\n", admin.ErrAnswer},
		{"another program", "HTTP/1.0 200 OK\r\n\r\n<html>", admin.ErrAnswer},
		{"an older daemon", "HTTP/1.0 404 Not Found\r\n\r\n404 page not found\n", admin.ErrAnswer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := socket(t)
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if tt.answer != "" {
				go func() {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					defer conn.Close()
					conn.Read(make([]byte, 1000))
					conn.Write([]byte(tt.answer))
				}()
			}
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			_, err = admin.NewClient(path).Status(ctx)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("err = %v", err)
			}
		})
	}
}
