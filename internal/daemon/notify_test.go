package daemon_test

import (
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// notified is what a service manager hears.
type notified struct {
	t      *testing.T
	socket *net.UnixConn
	heard  string
}

func newNotified(t *testing.T) *notified {
	t.Helper()
	path := filepath.Join(t.TempDir(), "n")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "600000")
	return &notified{t: t, socket: l}
}

// hears waits for a text that was not heard before.
func (n *notified) hears(text string) {
	n.t.Helper()
	buffer := make([]byte, 4096)
	n.socket.SetReadDeadline(time.Now().Add(20 * time.Second))
	for {
		if _, after, ok := strings.Cut(n.heard, text); ok {
			n.heard = after
			return
		}
		length, err := n.socket.Read(buffer)
		if err != nil {
			n.t.Fatalf("%q is not heard, but %q: %v", text, n.heard, err)
		}
		n.heard += string(buffer[:length]) + "\n"
	}
}

func TestServiceManagerHearsOfBothVersions(t *testing.T) {
	for name, begin := range map[string]func(t *testing.T) (d *director, status string){
		"version 1": func(t *testing.T) (*director, string) {
			ns, _ := pair(t)
			return start(t, ns), "STATUS=synchronizes, version 1"
		},
		"version 2": func(t *testing.T) (*director, string) {
			ns, _ := pair(t)
			return start2(t, ns, 1, newKey(t)), "STATUS=synced (alone), peers: 0"
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNotified(t)
			d, status := begin(t)
			n.hears("READY=1")
			n.hears(status)
			n.hears("WATCHDOG=1")
			n.hears("WATCHDOG=1")
			d.signal(syscall.SIGHUP)
			n.hears("RELOADING=1\nMONOTONIC_USEC=")
			n.hears("READY=1")
			d.signal(syscall.SIGTERM)
			n.hears("STOPPING=1")
		})
	}
}

func TestDaemonThatCannotStartIsNeverReady(t *testing.T) {
	n := newNotified(t)
	ns, _ := pair(t)
	d := start(t, ns, "--multicast-interface=none0")
	<-d.ended
	n.socket.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	buffer := make([]byte, 4096)
	for {
		length, err := n.socket.Read(buffer)
		if err != nil {
			return
		}
		if strings.Contains(string(buffer[:length]), "READY") {
			t.Errorf("heard %q", buffer[:length])
		}
	}
}
