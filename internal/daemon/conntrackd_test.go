package daemon_test

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/netnstest"
	"github.com/ssyncp/ssyncp/lab/conntrackd"
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

func conntrackdCarries(t *testing.T, f *firewalls) func() {
	t.Helper()
	var all [2]*exec.Cmd
	var files [2]string
	order := func(ns *netnstest.Namespace, file string, args ...string) ([]byte, error) {
		return exec.Command("ip", append([]string{"netns", "exec", ns.Name, "conntrackd", "-C", file}, args...)...).CombinedOutput()
	}
	for i, ns := range f.ways {
		files[i] = filepath.Join(t.TempDir(), "conntrackd.conf")
		addresses := []netip.Addr{victimIP, peerIP}
		config := conntrackd.Config{Directory: t.TempDir(), Interface: "eth0", Address: addresses[i], Peers: addresses[1-i : 2-i]}
		if err := os.WriteFile(files[i], []byte(config.Text()), 0o600); err != nil {
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

// A workload opens connections through the first firewall, and returns those that
// are to survive it, and how many there were in all.
type workload struct {
	name string
	load func(t *testing.T, f *firewalls) (alive []net.Conn, all int)
}

var workloads = []workload{
	// What a period brings together is told together.
	{"a burst", func(t *testing.T, f *firewalls) ([]net.Conn, int) {
		list := f.streams(t, 1000)
		return list, len(list)
	}},
	// Connections as clients have them: each of them is opened, says something, and
	// is closed, while a few others stay.
	{"whole connections, for ten seconds", func(t *testing.T, f *firewalls) ([]net.Conn, int) {
		c := f.churn(t)
		list := f.streams(t, 100)
		time.Sleep(10 * time.Second)
		c.stop()
		return list, len(list) + int(c.opened.Load())
	}},
}

// Both are asked the same: streams with masquerading, and a power-off.
func TestComparedWithConntrackd(t *testing.T) {
	if _, err := exec.LookPath("conntrackd"); err != nil {
		t.Skip("needs conntrackd: make bench-conntrack installs it")
	}
	const settled = time.Second // ten periods
	type result struct {
		survivors float64 // of those that were alive
		packets   float64 // a connection
		bytes     float64
	}
	for _, w := range workloads {
		t.Run(w.name, func(t *testing.T) {
			results := make(map[string]result)
			for _, s := range []syncer{{"ssyncp", ssyncpCarries}, {"conntrackd", conntrackdCarries}} {
				t.Run(s.name, func(t *testing.T) {
					f := newFirewalls(t)
					takeOver := s.start(t, f)
					f.echo(t)
					before := f.carried(t)
					alive, all := w.load(t, f)
					time.Sleep(settled)
					after := f.carried(t)
					takeOver()
					f.route(t, 1)
					survive := survivors(alive, patience)
					packets, bytes := after.packets-before.packets, after.bytes-before.bytes
					results[s.name] = result{float64(survive) / float64(len(alive)), float64(packets) / float64(all), float64(bytes) / float64(all)}
					t.Logf("| %s | %s | %d of %d | %d | %d | %d | %.1f |", w.name, s.name, survive, len(alive), all, packets, bytes, float64(bytes)/float64(all))
				})
			}
			own, other := results["ssyncp"], results["conntrackd"]
			if own.survivors < other.survivors {
				t.Errorf("%.3f of the streams survive, %.3f with conntrackd", own.survivors, other.survivors)
			}
			if 2*own.bytes > other.bytes {
				t.Errorf("%.1f bytes a connection on the link, more than half of conntrackd's %.1f", own.bytes, other.bytes)
			}
		})
	}
}
