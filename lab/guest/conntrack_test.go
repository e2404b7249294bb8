package guest

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/conntrackclass"
	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

// entriesTo returns the conntrack entries that a director has of TCP connections
// to an address.
func entriesTo(t testing.TB, d *director.Director, to netip.AddrPort) (list []conntrack.Entry) {
	t.Helper()
	if err := d.Do(func() error {
		for e, err := range conntrackclass.All(t.Context(), "") {
			if err != nil {
				return err
			}
			if e.Protocol == conntrack.TCP && e.Original.Destination == to {
				list = append(list, *e)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return list
}

// sameStreams waits until the entries of streams are alike on two directors.
func sameStreams(t testing.TB, a, b *director.Director, streams []*traffic.Stream, to netip.AddrPort) {
	t.Helper()
	entries := func(d *director.Director) map[netip.AddrPort]string {
		all := make(map[netip.AddrPort]string)
		for _, e := range entriesTo(t, d, to) {
			all[e.Original.Source] = fmt.Sprintf("%s, status %x, reply %v", conntrack.StateName(e.Protocol, e.State), e.Status, e.Reply)
		}
		return all
	}
	var different []string
	for began := time.Now(); time.Since(began) < crowdPatience; time.Sleep(100 * time.Millisecond) {
		inA, inB := entries(a), entries(b)
		different = nil
		for _, s := range streams {
			if of := s.Local(); inA[of] == "" || inA[of] != inB[of] {
				different = append(different, fmt.Sprintf("%v: %q, and %q", of, inA[of], inB[of]))
			}
		}
		if len(different) == 0 {
			return
		}
	}
	t.Errorf("entries that are not alike:\n%s", strings.Join(different, "\n"))
}

// Streams through a pair of firewalls survive one of them, whatever the link
// between them did before, and whenever the other one came.
func TestFirewallsAndTheirLink(t *testing.T) {
	const port = 8000
	streams, perSecond := 40, 10
	if inFull() {
		streams, perSecond = 1000, 50
	}
	config := director.Config{Extra: carryConntrack}
	for _, test := range []struct {
		name   string
		joins  bool // the second one starts in the middle
		before func(t *testing.T, c *cluster)
		behind func(t *testing.T, c *cluster)
	}{
		{
			name: "which loses, repeats and reorders",
			before: func(t *testing.T, c *cluster) {
				for _, d := range c.Directors {
					c.Impair(t, d, director.SyncLink, "delay", "50ms", "40ms", "loss", "20%", "duplicate", "10%", "reorder", "25%")
				}
			},
			behind: func(t *testing.T, c *cluster) {
				// Frames are few, and which of them are lost is chance.
				eventually(t, crowdPatience, func() bool {
					return c.daemons[0].Counters(t)["peering.sent_again"] > 0 && c.daemons[1].Counters(t)["peering.sent_nacks"] > 0
				}, "no loss was repaired")
			},
		},
		{
			name:   "which is away for three seconds",
			before: func(t *testing.T, c *cluster) { c.CutSync(t, c.Directors[0]) },
			behind: func(t *testing.T, c *cluster) {
				time.Sleep(3 * time.Second)
				c.RestoreSync(t, c.Directors[0])
			},
		},
		{
			name: "over which one joins", joins: true,
			behind: func(t *testing.T, c *cluster) {
				c.daemons[1] = c.Directors[1].StartDaemon(t, config)
				c.daemons[1].Synced(t)
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			loadModules(t, "sch_netem")
			c := newQuietCluster(t, 2, 1)
			a, b := c.Directors[0], c.Directors[1]
			c.daemons[0] = a.StartDaemon(t, config)
			if !test.joins {
				c.daemons[1] = b.StartDaemon(t, config)
				c.synced(t)
			}
			virtual := forward(t, c, port)
			if test.before != nil {
				test.before(t, c)
			}
			client := traffic.Client{Namespace: c.Client, Patience: crowdPatience}
			churn := client.Churn(perSecond, virtual)
			open, err := client.OpenMany(streams, 2*time.Second, virtual)
			if err != nil {
				t.Fatal(err)
			}
			defer traffic.CloseAll(open)
			test.behind(t, c)
			if opened, failed := churn.Stop(); opened == 0 || failed > 0 {
				t.Errorf("churn: %d opened, %d failed", opened, failed)
			}
			sameStreams(t, a, b, open, virtual)
			c.failOver(t, 0, 1)
			r := traffic.Exchange(open, crowdPatience)
			for _, err := range r.Errors {
				t.Error(err)
			}
			t.Logf("%d of %d streams survive", len(r.Survived), streams)
			if dropped := invalidPackets(t, b); dropped != 0 {
				t.Errorf("director B's firewall dropped %d packets", dropped)
			}
		})
	}
}

// A kernel without ctnetlink is said to be one, to whoever reads the log and to
// whoever asks; IPVS connections are carried all the same.
func TestConntrackWithoutCtnetlink(t *testing.T) {
	const (
		module = "nf_conntrack_netlink"
		port   = 8000
		few    = 21
	)
	if out, err := modprobe("-r", module); err != nil {
		t.Skipf("%s cannot be taken away: %v\n%s", module, err, out)
	}
	rule := "/etc/modprobe.d/none.conf"
	if err := os.MkdirAll("/etc/modprobe.d", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(rule, []byte("install "+module+" /bin/false\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(rule)

	c := newClusterOf(t, 2, 2, director.Config{Extra: carryConntrack})
	for i, daemon := range c.daemons {
		if log := daemon.Log(); !strings.Contains(log, "conntrack entries are not carried, IPVS connections are") || !strings.Contains(log, "load "+module) {
			t.Errorf("%s does not say so", c.Directors[i].Name)
		}
		status, err := daemon.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if why := status.NotCarried["conntrack"]; !strings.Contains(why, "load "+module) {
			t.Errorf("status of %s: conntrack is not carried: %q", c.Directors[i].Name, why)
		}
	}
	serve(t, c.Topology, "tcp", port)
	virtual := c.AddService(t, director.Service{Method: director.NAT}, port)
	open, err := traffic.Client{Namespace: c.Client}.OpenMany(few, 0, virtual)
	if err != nil {
		t.Fatal(err)
	}
	defer traffic.CloseAll(open)
	mirrored(t, c.Directors[0], c.Directors[1], open...)
	c.failOver(t, 0, 1)
	if r := traffic.Exchange(open, crowdPatience); len(r.Lost) > 0 {
		t.Errorf("%d of %d streams are lost: %v", len(r.Lost), few, r.Errors[0])
	}
}

// A connection that IPVS translates is two objects: IPVS's, and the conntrack
// entry without which a strict firewall lets nothing through. Each is told once,
// by its owner alone, and the peer has one of each; where the second one is not
// wanted, the first one is told alone.
func TestIPVSConnectionsAndTheirEntries(t *testing.T) {
	const (
		port = 8000
		few  = 21
	)
	for _, test := range []struct {
		name   string
		extra  string
		loose  string // whether B takes up what it has no entry of
		copies int    // of entries, at B
	}{
		{"both are carried", carryConntrack, "0", few},
		{"without entries of IPVS", carryConntrack + "without_ipvs = true\n", "1", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClusterOf(t, 3, 2, director.Config{Extra: test.extra})
			a, b := c.Directors[0], c.Directors[1]
			c.daemons[2].Stop(t) // the third one only listens
			for _, d := range c.Directors {
				guard(t, d, statefulFirewall)
				d.Set(t, "conntrack", "1")
				if err := d.Sysctl("netfilter.nf_conntrack_tcp_loose", test.loose); err != nil {
					t.Fatal(err)
				}
			}
			serve(t, c.Topology, "tcp", port)
			virtual := c.AddService(t, director.Service{Method: director.NAT}, port)
			wire := tap(t, c.Directors[2])
			open, err := traffic.Client{Namespace: c.Client}.OpenMany(few, 0, virtual)
			if err != nil {
				t.Fatal(err)
			}
			defer traffic.CloseAll(open)
			if r := traffic.Exchange(open, crowdPatience); len(r.Lost) > 0 {
				t.Fatalf("through director A: %v", r.Errors[0])
			}
			mirrored(t, a, b, open...)
			time.Sleep(2 * twoPeriods)

			if n := len(entriesTo(t, a, virtual)); n != few {
				t.Errorf("A has %d entries of %d connections", n, few)
			}
			wire.tellsOf(t, a, virtual, few, test.copies)
			if got := entriesTo(t, b, virtual); len(got) != test.copies || replies(got) != test.copies {
				t.Errorf("B has %d entries with %d replies of %d connections, want %d", len(got), replies(got), few, test.copies)
			}
			c.failOver(t, 0, 1)
			if r := traffic.Exchange(open, crowdPatience); len(r.Lost) > 0 {
				t.Fatalf("through director B: %v", r.Errors[0])
			}
			if got := entriesTo(t, b, virtual); len(got) != few || replies(got) != few {
				t.Errorf("behind the failover B has %d entries with %d replies, want %d", len(got), replies(got), few)
			}
		})
	}
}

// replies counts the different tuples of replies.
func replies(list []conntrack.Entry) int {
	seen := make(map[conntrack.Tuple]bool)
	for i := range list {
		seen[list[i].Reply] = true
	}
	return len(seen)
}

// tellsOf wants that a director alone has told of connections to an address, of
// that many by their IPVS connections, and of that many by their entries.
func (w *wiretap) tellsOf(t testing.TB, d *director.Director, to netip.AddrPort, connections, entries int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	told := make(map[netip.AddrPort]bool)
	for _, h := range w.heard {
		if h.from != d.Sync {
			t.Errorf("%v tells of %v", h.from, &h.conn)
		}
		told[h.conn.Client] = true
	}
	// As an entry, a connection is told when it is established, and no more.
	times := make(map[netip.AddrPort]int)
	for _, h := range w.entries {
		switch {
		case h.entry.Original.Destination != to:
			continue
		case h.from != d.Sync:
			t.Errorf("%v tells of %v", h.from, &h.entry)
		case h.entry.TranslatedDestination() && h.entry.Status&conntrack.DestNAT != 0:
			t.Errorf("as netfilter's translation: %v", &h.entry)
		}
		if times[h.entry.Original.Source]++; times[h.entry.Original.Source] > 1 {
			t.Errorf("told %d times: %v", times[h.entry.Original.Source], &h.entry)
		}
	}
	if len(told) != connections || len(times) != entries {
		t.Errorf("%d connections and %d entries were told, want %d and %d", len(told), len(times), connections, entries)
	}
}
