package guest

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// The daemon of a busy director is stopped and started again. What happened in
// between waited in the kernel: director B gets to know every stream.
func TestDaemonRestartUnderLoad(t *testing.T) {
	const port = 8000
	perSecond := 40 / slowness(t)
	c := newCluster(t, 2, 2)
	serve(t, c.Topology, "tcp", port)
	virtual := c.AddService(t, director.Service{Method: director.NAT}, port)
	client := traffic.Client{Namespace: c.Client}

	c.synced(t)
	churn := client.Churn(perSecond, virtual)
	crowd := gather(client, virtual, perSecond)
	time.Sleep(time.Second)
	for range 2 {
		c.daemons[0].Stop(t)
		time.Sleep(time.Second)
		c.start(t, 0)
		time.Sleep(500 * time.Millisecond)
	}
	members := crowd.disperse()
	defer leave(members)
	opened, failed := churn.Stop()
	if failed > 0 {
		t.Errorf("%d of %d short connections failed", failed, opened)
	}
	// Two periods; a guest that others keep waiting takes longer.
	known := c.Directors[1].ByClient(t)
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); known = c.Directors[1].ByClient(t) {
		if !slices.ContainsFunc(members, func(m *member) bool { return m.err == nil && known[m.Local()].State != "ESTABLISHED" }) {
			break
		}
		time.Sleep(twoPeriods)
	}
	if n := counter(t, c.Directors[0], chardev.CounterDroppedDrained); n != 0 {
		t.Errorf("%d queued connections were given up between one daemon and the next", n)
	}
	c.failOver(t, 0, 1)
	var streams []*traffic.Stream
	for _, m := range members {
		if m.err != nil {
			t.Errorf("before the cut: %v", m.err)
			continue
		}
		streams = append(streams, m.Stream)
		if k := known[m.Local()]; k.State != "ESTABLISHED" {
			t.Errorf("director B has %+v for %v", k, m.Local())
		}
	}
	for _, err := range traffic.Exchange(streams, crowdPatience).Errors {
		t.Error(err)
	}
	t.Logf("%d streams, %d short connections", len(streams), opened)
}

// SIGHUP takes over a new configuration, and nothing of a bad one.
func TestDaemonReload(t *testing.T) {
	const port = 8000
	c := newCluster(t, 2, 1)
	a, b, daemon := c.Directors[0], c.Directors[1], c.daemons[0]
	serve(t, c.Topology, "tcp", port)
	virtual := c.AddService(t, director.Service{Method: director.NAT}, port)
	client := traffic.Client{Namespace: c.Client}
	isCopied := func() {
		t.Helper()
		s := open(t, client, virtual)
		eventually(t, 5*time.Second, func() bool { return b.ByClient(t)[s.Local()].State == "ESTABLISHED" },
			"a new stream is not copied")
	}
	reads := func(over time.Duration) int {
		before := counter(t, a, chardev.CounterReadCalls)
		time.Sleep(over)
		return int(counter(t, a, chardev.CounterReadCalls) - before)
	}
	isCopied()

	good := director.Config{}.Text()
	for name, bad := range map[string]string{
		"not TOML":               "sync_id = \n",
		"an unknown key":         good + "[unheard]\nof = 1\n",
		"a period without unit":  strings.Replace(good, `"100ms"`, `100`, 1),
		"two keys, one is wrong": strings.Replace(strings.Replace(good, `"100ms"`, `"10ms"`, 1), "sync_id = 7", "sync_id = 0", 1),
	} {
		said := strings.Count(daemon.Log(), "configuration refused")
		daemon.Reload(t, bad)
		eventually(t, 5*time.Second, func() bool { return strings.Count(daemon.Log(), "configuration refused") > said },
			name+": not refused")
		if n := reads(time.Second); n > 13 {
			t.Errorf("%s: %d reads in a second: the period changed", name, n)
		}
		isCopied()
	}

	// Slower, which a busy machine cannot feign.
	daemon.Reload(t, director.Config{Period: time.Second}.Text())
	eventually(t, 5*time.Second, func() bool { return strings.Contains(daemon.Log(), "configuration reloaded") },
		"a good configuration is not taken over")
	time.Sleep(director.DefaultPeriod) // of the old period there is one more
	if n := reads(2 * time.Second); n > 4 {
		t.Errorf("%d reads in two seconds of a period of one", n)
	}
	isCopied()
}

// The module goes while connections are forwarded and not while anybody has
// its device open. Where it comes from and goes to, the kernel has nothing to
// say, which the runner of these tests sees to.
func TestModuleReloadUnderTraffic(t *testing.T) {
	const port = 8000
	director.LoadModule(t)
	lab := topology.New(t, 1, 2)
	a := lab.Directors[0]
	serve(t, lab, "tcp", port)
	virtual := lab.AddService(t, director.Service{Method: director.NAT}, port)
	client := traffic.Client{Namespace: lab.Client}
	long := open(t, client, virtual)
	if err := traffic.Flood(lab.Client, topology.Flood, virtual, 200, 0); err != nil {
		t.Fatal(err)
	}
	churn := client.Churn(60/slowness(t), virtual)

	device := a.Open(t)
	if out, err := exec.Command("/sbin/rmmod", "ssyncp").CombinedOutput(); err == nil {
		t.Fatalf("the module was unloaded under an open device: %s", out)
	}
	if err := device.Close(); err != nil {
		t.Fatal(err)
	}

	for i := range 5 {
		if i > 0 {
			director.LoadModule(t)
		}
		device := capture(t, a)
		// The short ones may all be over before they are read.
		stays := open(t, client, virtual)
		eventually(t, 10*time.Second, func() bool {
			return slices.ContainsFunc(readNews(t, device), func(c ipvs.Conn) bool { return c.Client == stays.Local() })
		}, fmt.Sprintf("round %d: no news of a new stream", i))
		// Some news stays in the queue.
		time.Sleep(director.DefaultPeriod)
		if out, err := exec.Command("/sbin/rmmod", "ssyncp").CombinedOutput(); err == nil {
			t.Fatalf("the module was unloaded under a reader: %s", out)
		}
		if err := device.Close(); err != nil {
			t.Fatal(err)
		}
		director.UnloadModule(t)
		exchange(t, long)
	}
	if opened, failed := churn.Stop(); opened == 0 || failed > 0 {
		t.Errorf("%d of %d short connections failed", failed, opened)
	}
}

// A daemon that was stopped keeps the module for as long as its queue lingers
// for the next one, and no longer.
func TestModuleUnloadsBehindADaemon(t *testing.T) {
	c := newCluster(t, 1, 1)
	c.daemons[0].Stop(t)
	director.UnloadModule(t)
}
