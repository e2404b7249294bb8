package daemon_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/netnstest"
)

// traffic is what went over a link, in both directions, with Ethernet's header.
type traffic struct{ packets, bytes int }

// carried returns what the firewalls sent each other so far.
func (f *firewalls) carried(t *testing.T) (all traffic) {
	t.Helper()
	for _, ns := range f.ways {
		var text []byte
		var err error
		ns.Do(t, func() { text, err = os.ReadFile("/proc/thread-self/net/dev") })
		if err != nil {
			t.Fatal(err)
		}
		_, line, _ := strings.Cut(string(text), "eth0:")
		var n [10]int // received: bytes, packets and six more; sent: bytes, packets
		for i, field := range strings.Fields(line)[:len(n)] {
			if _, err := fmt.Sscan(field, &n[i]); err != nil {
				t.Fatalf("%v in: %s", err, line)
			}
		}
		all.bytes, all.packets = all.bytes+n[8], all.packets+n[9]
	}
	return all
}

// A syncer carries the entries of firewalls.
type syncer struct {
	name string
	// start starts it on both. What it returns ends the first one at once, and
	// does what is to be done for the second one to take over.
	start func(t *testing.T, f *firewalls) (takeOver func())
}

func ssyncpCarries(t *testing.T, f *firewalls) func() {
	t.Helper()
	key := newKey(t)
	a := start2(t, f.ways[0], 1, key, "--conntrack-enabled=true")
	b := start2(t, f.ways[1], 2, key, "--conntrack-enabled=true")
	a.with(1).synced()
	b.with(1).synced()
	return func() { f.powerOff(t, 0, a) }
}

// conntrackdText is as its example of FT-FW, but for what names the host.
const conntrackdText = `
Sync {
	Mode FTFW {
	}
	Multicast {
		IPv4_address 225.0.0.50
		Group 3780
		IPv4_interface 192.0.2.%[1]d
		Interface eth0
		SndSocketBuffer 1249280
		RcvSocketBuffer 1249280
		Checksum on
	}
}
General {
	HashSize 32768
	HashLimit 131072
	LogFile %[2]s/log
	LockFile %[2]s/lock
	UNIX {
		Path %[2]s/control
	}
	NetlinkBufferSize 2097152
	NetlinkBufferSizeMaxGrowth 8388608
	Filter From Userspace {
		Protocol Accept {
			TCP
		}
		Address Ignore {
			IPv4_address 127.0.0.1
			IPv4_address 192.0.2.1
			IPv4_address 192.0.2.2
		}
	}
}
`

func conntrackdCarries(t *testing.T, f *firewalls) func() {
	t.Helper()
	var all [2]*exec.Cmd
	var files [2]string
	order := func(ns *netnstest.Namespace, file string, args ...string) ([]byte, error) {
		return exec.Command("ip", append([]string{"netns", "exec", ns.Name, "conntrackd", "-C", file}, args...)...).CombinedOutput()
	}
	for i, ns := range f.ways {
		files[i] = filepath.Join(t.TempDir(), "conntrackd.conf")
		if err := os.WriteFile(files[i], fmt.Appendf(nil, conntrackdText, i+1, t.TempDir()), 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		c := exec.Command("ip", "netns", "exec", ns.Name, "conntrackd", "-C", files[i])
		c.Stdout, c.Stderr = &log, &log
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		all[i] = c
		t.Cleanup(func() {
			c.Process.Kill()
			c.Wait()
			if t.Failed() {
				t.Logf("conntrackd in %s: %s", ns.Name, &log)
			}
		})
		eventually(t, "conntrackd that answers", func() bool {
			_, err := order(ns, files[i], "-s")
			return err == nil
		})
	}
	return func() {
		if err := all[0].Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"client", "server", "eth0"} {
			f.ways[0].IP(t, "link set "+name+" down")
		}
		// As the script does that comes with it.
		if out, err := order(f.ways[1], files[1], "-c"); err != nil {
			t.Fatalf("conntrackd -c: %v: %s", err, out)
		}
	}
}

// Both are asked the same: 1,000 streams with masquerading, and a power-off.
func TestComparedWithConntrackd(t *testing.T) {
	if _, err := exec.LookPath("conntrackd"); err != nil {
		t.Skip("needs conntrackd: make bench-conntrack installs it")
	}
	const (
		n       = 1000
		settled = time.Second // ten periods
	)
	type result struct {
		survivors int
		traffic
	}
	results := make(map[string]result)
	for _, s := range []syncer{{"ssyncp", ssyncpCarries}, {"conntrackd", conntrackdCarries}} {
		t.Run(s.name, func(t *testing.T) {
			f := newFirewalls(t)
			takeOver := s.start(t, f)
			f.echo(t)
			before := f.carried(t)
			streams := f.streams(t, n)
			time.Sleep(settled)
			after := f.carried(t)
			takeOver()
			f.route(t, 1)
			r := result{survivors(streams, patience), traffic{after.packets - before.packets, after.bytes - before.bytes}}
			results[s.name] = r
			t.Logf("| %s | %d of %d | %d | %d | %.1f |", s.name, r.survivors, n, r.packets, r.bytes, float64(r.bytes)/n)
		})
	}
	own, other := results["ssyncp"], results["conntrackd"]
	if own.survivors < other.survivors {
		t.Errorf("%d streams survive, %d with conntrackd", own.survivors, other.survivors)
	}
	if 2*own.bytes > other.bytes {
		t.Errorf("%d bytes on the link, more than half of conntrackd's %d", own.bytes, other.bytes)
	}
}
