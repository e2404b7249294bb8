package guest

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
)

// Two directors that are each other's real servers, by direct routing. The one
// that is not active must serve what the other sends it, and not forward it
// back: net.ipv4.vs.backup_only says so, as long as the in-kernel backup runs,
// beside ssyncp. Whose turn it is changes with that backup, as a VRRP script
// would do it, and the connections go on.
func TestBackupOnly(t *testing.T) {
	const (
		port    = 8000
		streams = 20
	)
	c := newCluster(t, 2, 0)
	virtual := netip.AddrPortFrom(topology.Virtual, port)
	for _, d := range c.Directors {
		service := director.Service{Method: director.DR, Virtual: virtual}
		for _, real := range c.Directors {
			service.Servers = append(service.Servers, netip.AddrPortFrom(real.Back, port))
		}
		d.AddService(t, service)
		d.Set(t, "backup_only", "1")
		echo, err := traffic.Serve(d.Namespace, "tcp", port)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { echo.Close() })
	}
	c.synced(t)
	// Neither runs a backup: the settings alone do nothing.
	for _, daemon := range c.daemons {
		r := daemon.Doctor(t)
		if _, ok := found(r, "in-kernel daemon", "holds only while the in-kernel backup runs"); !ok || r.Failures+r.Warnings > 0 {
			t.Errorf("ssyncpd doctor:\n%s", findings(r))
		}
	}
	c.Directors[1].Set(t, "backup_only", "0")
	if r := c.daemons[1].Doctor(t); r.Warnings != 1 {
		t.Errorf("ssyncpd doctor, backup_only=0:\n%s", findings(r))
	} else if _, ok := found(r, "services", "one of its own real servers"); !ok {
		t.Errorf("ssyncpd doctor, backup_only=0:\n%s", findings(r))
	}
	c.Directors[1].Set(t, "backup_only", "1")
	// The backup stays out of the way of what is forwarded to it.
	backup := func(d *director.Director, on bool) {
		t.Helper()
		if on {
			d.IPVSAdm(t, "--start-daemon", "backup", "--mcast-interface", director.SyncLink)
		} else {
			d.IPVSAdm(t, "--stop-daemon", "backup")
		}
	}
	t.Cleanup(func() { // which would keep its namespace
		for _, d := range c.Directors {
			if strings.Contains(d.IPVSAdm(t, "--list", "--daemon"), "backup") {
				backup(d, false)
			}
		}
	})
	// For a moment both forward. Were it none, whoever gets a packet of a stream
	// that the other one serves would answer it with a reset.
	active := func(i int) {
		t.Helper()
		if strings.Contains(c.Directors[i].IPVSAdm(t, "--list", "--daemon"), "backup") {
			backup(c.Directors[i], false)
		}
		c.Activate(t, c.Directors[i])
		backup(c.Directors[1-i], true)
	}
	through := func(i int, open []*traffic.Stream) {
		t.Helper()
		before, forwarded := inPackets(t, c.Directors[1-i]), inPackets(t, c.Directors[i])
		for range 2 {
			for _, err := range traffic.Exchange(open, crowdPatience).Errors {
				t.Errorf("through %s: %v", c.Directors[i].Name, err)
			}
		}
		if n := inPackets(t, c.Directors[1-i]) - before; n != 0 {
			t.Errorf("IPVS of %s forwarded %d packets of what it should serve", c.Directors[1-i].Name, n)
		}
		if inPackets(t, c.Directors[i]) == forwarded {
			t.Errorf("IPVS of %s forwarded nothing", c.Directors[i].Name)
		}
	}

	client := traffic.Client{Namespace: c.Client, Patience: time.Minute}
	active(0)
	open, err := client.OpenMany(streams, 0, virtual)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { traffic.CloseAll(open) }()
	of := make(map[string]int)
	for _, s := range open {
		of[s.Server]++
	}
	for _, d := range c.Directors {
		if of[d.Name] != streams/2 {
			t.Errorf("%s serves %d streams of %d", d.Name, of[d.Name], streams)
		}
	}
	mirrored(t, c.Directors[0], c.Directors[1], open...)
	if n := inPackets(t, c.Directors[1]); n != 0 {
		t.Errorf("IPVS of director B forwarded %d packets", n)
	}
	through(0, open)

	active(1)
	through(1, open)
	more, err := client.OpenMany(streams, 0, virtual)
	if err != nil {
		t.Fatal(err)
	}
	open = append(open, more...)
	mirrored(t, c.Directors[1], c.Directors[0], more...)

	active(0)
	through(0, open)
}

// inPackets returns how many packets IPVS of a director took, the second figure
// of each CPU, in hexadecimal; the total is some two seconds old:
//
//	       Total Incoming Outgoing         Incoming         Outgoing
//	CPU    Conns  Packets  Packets            Bytes            Bytes
//	  0        5       13        0              8C4                0
//	  1        0        0        0                0                0
//	  ~        5       13        0              8C4                0
func inPackets(t testing.TB, d *director.Director) (packets int) {
	t.Helper()
	text, err := d.ReadFile("ip_vs_stats_percpu")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n")[2:] {
		fields := strings.Fields(line)
		if len(fields) != 6 {
			break
		}
		if fields[0] == "~" {
			return packets
		}
		n, err := strconv.ParseInt(fields[2], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		packets += int(n)
	}
	t.Fatalf("%s: not the packets of each CPU: %q", d.Name, text)
	return 0
}
