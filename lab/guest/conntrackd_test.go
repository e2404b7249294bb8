package guest

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/conntrackd"
	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/traffic"
)

const conntrackdPath = "/sbin/conntrackd"

// A carrier keeps the conntrack entries of two directors in step.
type carrier struct {
	name string
	// start starts it on both. What it returns takes the first one's power and
	// has the second one take over.
	start func(t *testing.T, c *cluster) (takeOver func())
}

var carriers = []carrier{
	{"ssyncp", func(t *testing.T, c *cluster) func() {
		for i, d := range c.Directors {
			c.daemons[i] = d.StartDaemon(t, director.Config{Extra: carryConntrack})
		}
		c.synced(t)
		return func() { c.failOver(t, 0, 1) }
	}},
	{"conntrackd", func(t *testing.T, c *cluster) func() {
		var all []*exec.Cmd
		var files []string
		for i, d := range c.Directors {
			command, file := startConntrackd(t, d, c.Directors[1-i])
			all, files = append(all, command), append(files, file)
		}
		return func() {
			c.Cut(t, c.Directors[0])
			if err := all[0].Process.Kill(); err != nil {
				t.Fatal(err)
			}
			// As the script does that comes with it.
			if _, err := c.Directors[1].Run(conntrackdPath, "-C", files[1], "-c"); err != nil {
				t.Fatal(err)
			}
			c.Activate(t, c.Directors[1])
		}
	}},
}

// startConntrackd starts conntrackd and waits until it answers.
func startConntrackd(t *testing.T, d, peer *director.Director) (command *exec.Cmd, file string) {
	t.Helper()
	// The path of a unix socket has to be short, which a test's own is not.
	directory, err := os.MkdirTemp("", "conntrackd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	file = filepath.Join(directory, "conntrackd.conf")
	config := conntrackd.Config{Directory: directory, Interface: director.SyncLink, Address: d.Sync, Peers: []netip.Addr{peer.Sync}}
	if err := os.WriteFile(file, []byte(config.Text()), 0o600); err != nil {
		t.Fatal(err)
	}
	command = exec.Command(conntrackdPath, "-C", file)
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	if err := d.Start(command); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
		if t.Failed() {
			t.Logf("conntrackd on %s: %s", d.Name, &log)
		}
	})
	for began := time.Now(); time.Since(began) < crowdPatience; time.Sleep(50 * time.Millisecond) {
		if _, err := d.Run(conntrackdPath, "-C", file, "-s"); err == nil {
			return command, file
		}
	}
	t.Fatalf("%s: conntrackd does not answer: %s", d.Name, &log)
	return nil, ""
}

// sent returns what directors sent over the sync link so far, with Ethernet's
// headers.
func sent(t testing.TB, directors ...*director.Director) (packets, bytes int) {
	t.Helper()
	for _, d := range directors {
		text, err := d.ReadFile("dev")
		if err != nil {
			t.Fatal(err)
		}
		_, line, _ := strings.Cut(string(text), director.SyncLink+":")
		line, _, _ = strings.Cut(line, "\n")
		// Eight counters of what was received come first.
		fields := strings.Fields(line)
		if len(fields) < 10 {
			t.Fatalf("%s: %q", d.Name, text)
		}
		for i, to := range []*int{&bytes, &packets} {
			n, err := strconv.Atoi(fields[8+i])
			if err != nil {
				t.Fatal(err)
			}
			*to += n
		}
	}
	return packets, bytes
}

// What TestFirewallWithoutIPVS asks of ssyncp is asked of conntrackd, too: as many
// streams survive, and at most half as much goes over the link.
func TestFirewallComparedWithConntrackd(t *testing.T) {
	if !exists(conntrackdPath) {
		t.Skip("needs conntrackd: lab/install-packages compare")
	}
	const port = 8000
	streams, perSecond, lasting := 100, 8, 5*time.Second
	if inFull() {
		streams, perSecond, lasting = 1000, 50, 10*time.Second
	}
	type result struct {
		lost, all, packets, bytes int
	}
	for _, load := range []struct {
		name string
		run  func(t *testing.T, c *cluster, client traffic.Client, virtual netip.AddrPort) (open []*traffic.Stream, all int)
	}{
		{"a burst", func(t *testing.T, _ *cluster, client traffic.Client, virtual netip.AddrPort) ([]*traffic.Stream, int) {
			open, err := client.OpenMany(streams, 0, virtual)
			if err != nil {
				t.Fatal(err)
			}
			return open, len(open)
		}},
		// Each is opened, carries something for half a second, and is closed, while
		// a few others stay.
		{"whole connections", func(t *testing.T, _ *cluster, client traffic.Client, virtual netip.AddrPort) ([]*traffic.Stream, int) {
			open, err := client.OpenMany(streams/10, 0, virtual)
			if err != nil {
				t.Fatal(err)
			}
			closed := 0
			var young []*traffic.Stream
			for began := time.Now(); time.Since(began) < lasting; {
				more, err := client.OpenMany(perSecond/2, 250*time.Millisecond, virtual)
				if err != nil {
					t.Fatal(err)
				}
				young = append(young, more...)
				for range 2 {
					if r := traffic.Exchange(young, crowdPatience); len(r.Lost) > 0 {
						t.Fatal(r.Errors[0])
					}
				}
				time.Sleep(250 * time.Millisecond)
				if len(young) == perSecond { // those that began a turn ago
					traffic.CloseAll(young[:perSecond/2])
					young = young[perSecond/2:]
					closed += perSecond / 2
				}
			}
			return append(open, young...), len(open) + len(young) + closed
		}},
	} {
		t.Run(load.name, func(t *testing.T) {
			results := make(map[string]result)
			for _, carrier := range carriers {
				t.Run(carrier.name, func(t *testing.T) {
					loadModules(t, "nf_conntrack_netlink")
					c := newQuietCluster(t, 2, 1)
					takeOver := carrier.start(t, c)
					virtual := forward(t, c, port)
					packets, bytes := sent(t, c.Directors...)
					open, all := load.run(t, c, traffic.Client{Namespace: c.Client, Patience: crowdPatience}, virtual)
					defer traffic.CloseAll(open)
					if r := traffic.Exchange(open, crowdPatience); len(r.Lost) > 0 {
						t.Fatalf("through director A: %v", r.Errors[0])
					}
					time.Sleep(10 * director.DefaultPeriod)
					packetsSince, bytesSince := sent(t, c.Directors...)
					takeOver()
					r := traffic.Exchange(open, crowdPatience)
					got := result{len(r.Lost), all, packetsSince - packets, bytesSince - bytes}
					results[carrier.name] = got
					t.Logf("| %s | %s | %d of %d | %d | %d | %d | %s |", load.name, carrier.name, len(r.Survived), len(open), all,
						got.packets, got.bytes, fmt.Sprintf("%.1f", float64(got.bytes)/float64(all)))
				})
			}
			own, other := results["ssyncp"], results["conntrackd"]
			if own.lost > other.lost {
				t.Errorf("%+v, with conntrackd %+v: more streams are lost", own, other)
			}
			// Of so few streams heartbeats are most of it, which do not count them.
			if inFull() && 2*own.bytes*other.all > other.bytes*own.all {
				t.Errorf("%+v, with conntrackd %+v: more than half of the bytes", own, other)
			}
		})
	}
}
