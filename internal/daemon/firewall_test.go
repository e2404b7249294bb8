package daemon_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/netnstest"
)

// firewalls are two directors between clients and servers, of which the route
// through one is in use: stateful, with masquerading, and strict with what they
// have not seen from its beginning.
type firewalls struct {
	client, server *netnstest.Namespace
	ways           [2]*netnstest.Namespace
}

const (
	// patience is more than TCP needs to send again.
	patience = 10 * time.Second

	clientAddress = "10.9.0.1"
	serverAddress = "10.8.0.1"
	natAddress    = "203.0.113.1"

	rules = `
table inet filter {
	chain forward {
		type filter hook forward priority 0; policy drop;
		ct state invalid counter drop
		ct state established,related accept
		iifname "client" ct state new accept
	}
}
table ip nat {
	chain postrouting {
		type nat hook postrouting priority 100;
		oifname "server" snat to ` + natAddress + `
	}
}
`
)

func newFirewalls(t *testing.T) *firewalls {
	t.Helper()
	a, b := pair(t)
	return newFirewallsAt(t, a, b)
}

// newFirewallsAt makes them of two namespaces with a link between them.
func newFirewallsAt(t *testing.T, a, b *netnstest.Namespace) *firewalls {
	t.Helper()
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("needs nft")
	}
	f := &firewalls{client: netnstest.New(t), server: netnstest.New(t), ways: [2]*netnstest.Namespace{a, b}}
	f.client.IP(t, "address add "+clientAddress+"/32 dev lo")
	f.server.IP(t, "address add "+serverAddress+"/32 dev lo")
	for i, ns := range f.ways {
		n := i + 1
		netnstest.Pair(t, ns, "client", fmt.Sprintf("10.1.%d.1/24", n), f.client, fmt.Sprintf("way%d", n), fmt.Sprintf("10.1.%d.2/24", n))
		netnstest.Pair(t, ns, "server", fmt.Sprintf("10.2.%d.1/24", n), f.server, fmt.Sprintf("way%d", n), fmt.Sprintf("10.2.%d.2/24", n))
		ns.IP(t, "address add "+natAddress+"/32 dev lo")
		ns.IP(t, fmt.Sprintf("route add %s via 10.1.%d.2", clientAddress, n))
		ns.IP(t, fmt.Sprintf("route add %s via 10.2.%d.2", serverAddress, n))
		ns.Set(t, "ipv4/ip_forward", "1")
		nft := exec.Command("ip", "netns", "exec", ns.Name, "nft", "-f", "-")
		nft.Stdin = strings.NewReader(rules)
		if out, err := nft.CombinedOutput(); err != nil {
			t.Skipf("stateful rules cannot be made here: %v: %s", err, out)
		}
		ns.Set(t, "netfilter/nf_conntrack_tcp_loose", "0")
	}
	f.route(t, 0)
	return f
}

// route sends everything through one of the two.
func (f *firewalls) route(t *testing.T, way int) {
	t.Helper()
	n := way + 1
	f.client.IP(t, fmt.Sprintf("route replace %s via 10.1.%d.1 src %s", serverAddress, n, clientAddress))
	f.server.IP(t, fmt.Sprintf("route replace %s via 10.2.%d.1", natAddress, n))
}

// powerOff ends a director at once, with its network.
func (f *firewalls) powerOff(t *testing.T, way int, d *director) {
	t.Helper()
	d.signal(syscall.SIGKILL)
	for _, name := range []string{"client", "server", "eth0"} {
		f.ways[way].IP(t, "link set "+name+" down")
	}
}

// echo answers what comes.
func (f *firewalls) echo(t *testing.T) {
	t.Helper()
	var listener net.Listener
	var err error
	f.server.Do(t, func() { listener, err = net.Listen("tcp", serverAddress+":7") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); io.Copy(c, c) }()
		}
	}()
}

// streams opens so many connections, which have carried something.
func (f *firewalls) streams(t *testing.T, n int) []net.Conn {
	t.Helper()
	var list []net.Conn
	var err error
	f.client.Do(t, func() {
		for len(list) < n && err == nil {
			var c net.Conn
			if c, err = net.DialTimeout("tcp", serverAddress+":7", 5*time.Second); err == nil {
				list = append(list, c)
			}
		}
	})
	t.Cleanup(func() {
		for _, c := range list {
			c.Close()
		}
	})
	if err != nil {
		t.Fatalf("stream %d: %v", len(list), err)
	}
	if alive := survivors(list, patience); alive != n {
		t.Fatalf("%d streams of %d", alive, n)
	}
	return list
}

// survivors returns how many of the connections still carry something there and
// back within that time.
func survivors(list []net.Conn, within time.Duration) int {
	var alive atomic.Int64
	var all sync.WaitGroup
	for _, c := range list {
		all.Go(func() {
			c.SetDeadline(time.Now().Add(within))
			said, heard := []byte("are you there?"), make([]byte, 14)
			if _, err := c.Write(said); err != nil {
				return
			}
			if _, err := io.ReadFull(c, heard); err == nil && string(heard) == string(said) {
				alive.Add(1)
			}
		})
	}
	all.Wait()
	return int(alive.Load())
}

// tracked returns what the kernel shows of TCP connections of a director.
func tracked(t *testing.T, ns *netnstest.Namespace, state string) (n int) {
	t.Helper()
	var text []byte
	var err error
	ns.Do(t, func() { text, err = os.ReadFile("/proc/thread-self/net/nf_conntrack") })
	if err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, state) && strings.Contains(line, "dst="+natAddress+" ") && strings.Contains(line, "[ASSURED]") {
			n++
		}
	}
	return n
}

func TestStreamsThroughAFirewallSurviveItsPowerOff(t *testing.T) {
	const n = 1000
	f := newFirewalls(t)
	key := newKey(t)
	var d [2]*director
	for i, ns := range f.ways {
		d[i] = start2(t, ns, i+1, key, "--conntrack-enabled=true")
	}
	for i := range d {
		d[i].with(1).synced()
	}
	f.echo(t)
	streams := f.streams(t, n)
	time.Sleep(300 * time.Millisecond) // two periods and more
	if on := tracked(t, f.ways[1], "ESTABLISHED"); on != n {
		t.Errorf("the peer has %d of %d connections", on, n)
	}
	f.powerOff(t, 0, d[0])
	f.route(t, 1)
	if alive := survivors(streams, patience); alive != n {
		t.Errorf("%d of %d streams survive", alive, n)
	}
}

// What is missing at the peer when the link is bad, is away, or is younger than
// the streams, is made up for: repaired, or in a snapshot.
func TestStreamsThroughAFirewallReachAPeer(t *testing.T) {
	const n = 200
	for _, tt := range []struct {
		name  string
		joins bool // the peer starts behind the streams
		lossy bool
		// What happens to the link before there are streams, and behind that.
		before, behind func(t *testing.T, f *firewalls)
	}{
		{name: "that misses every third frame", lossy: true, before: func(t *testing.T, f *firewalls) {
			for _, ns := range f.ways {
				lose(t, ns)
			}
		}},
		{
			name:   "from which it was parted",
			before: func(t *testing.T, f *firewalls) { f.ways[1].IP(t, "link set eth0 down") },
			behind: func(t *testing.T, f *firewalls) {
				time.Sleep(time.Second)
				f.ways[1].IP(t, "link set eth0 up")
			},
		},
		{name: "that joins", joins: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFirewalls(t)
			key := newKey(t)
			a := start2(t, f.ways[0], 1, key, "--conntrack-enabled=true")
			join := func() { start2(t, f.ways[1], 2, key, "--conntrack-enabled=true").with(1).synced() }
			if !tt.joins {
				join()
			}
			f.echo(t)
			if tt.before != nil {
				tt.before(t, f)
			}
			streams := f.streams(t, n)
			if tt.behind != nil {
				if on := tracked(t, f.ways[1], "ESTABLISHED"); on != 0 {
					t.Fatalf("the peer has %d connections that it cannot have heard of", on)
				}
				tt.behind(t, f)
			}
			if tt.joins {
				a.synced()
				join()
			}
			eventually(t, "all connections at the peer", func() bool { return tracked(t, f.ways[1], "ESTABLISHED") == n })
			if tt.lossy && lost(t, f.ways[1]) == 0 {
				t.Error("the peer heard every frame")
			}
			f.powerOff(t, 0, a)
			f.route(t, 1)
			if alive := survivors(streams, patience); alive != n {
				t.Errorf("%d of %d streams survive", alive, n)
			}
		})
	}
}

// lose has a director miss the next three frames, and one of three behind those. By
// chance: in a pattern, what is repeated may be what is lost each time.
func lose(t *testing.T, ns *netnstest.Namespace) {
	t.Helper()
	nft := exec.Command("ip", "netns", "exec", ns.Name, "nft", "-f", "-")
	nft.Stdin = strings.NewReader(`
table inet loss {
	counter lost {}
	chain input {
		type filter hook input priority -300;
		ip protocol 114 numgen inc mod 1000000 < 3 counter name lost drop
		ip protocol 114 numgen random mod 3 0 counter name lost drop
	}
}
`)
	if out, err := nft.CombinedOutput(); err != nil {
		t.Skipf("frames cannot be lost here: %v: %s", err, out)
	}
}

// lost returns how many frames a director did not hear.
func lost(t *testing.T, ns *netnstest.Namespace) (frames int) {
	t.Helper()
	out, err := exec.Command("ip", "netns", "exec", ns.Name, "nft", "list", "counter", "inet", "loss", "lost").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, counter, _ := strings.Cut(string(out), "packets ")
	if _, err := fmt.Sscan(counter, &frames); err != nil {
		t.Fatalf("%v in: %s", err, out)
	}
	return frames
}

// Without the second class nothing survives: that is what the test above
// proves.
func TestStreamsThroughAFirewallEndWithItWhereConntrackIsNotCarried(t *testing.T) {
	f := newFirewalls(t)
	key := newKey(t)
	a := start2(t, f.ways[0], 1, key)
	start2(t, f.ways[1], 2, key).with(1).synced()
	f.echo(t)
	streams := f.streams(t, 3)
	time.Sleep(300 * time.Millisecond)
	f.powerOff(t, 0, a)
	f.route(t, 1)
	if alive := survivors(streams, 2*time.Second); alive != 0 {
		t.Errorf("%d streams survive", alive)
	}
}
