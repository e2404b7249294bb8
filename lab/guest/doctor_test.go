package guest

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/doctor"
	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
)

// found returns the finding of a check that has these words, and whether there
// is one.
func found(r doctor.Report, check, words string) (doctor.Finding, bool) {
	for _, result := range r.Results {
		for _, f := range result.Findings {
			if result.Check == check && strings.Contains(f.What, words) {
				return f, true
			}
		}
	}
	return doctor.Finding{}, false
}

// findings are all there are, a line each.
func findings(r doctor.Report) string {
	var b strings.Builder
	for _, result := range r.Results {
		for _, f := range result.Findings {
			b.WriteString(result.Check + ": " + string(f.Severity) + ": " + f.What + "\n\tdo: " + f.Remedy + "\n")
		}
	}
	return b.String()
}

// A director that is well has nothing to hear. Then one thing after the other is
// broken for real: each is named, with what mends it, and gone when it is mended.
func TestDoctor(t *testing.T) {
	const port = 8000
	c := newCluster(t, 2, 1)
	a := c.Directors[0]
	nat := director.Service{Method: director.NAT}
	nat.Virtual, nat.Servers = c.AddService(t, nat, port), c.ServersAt(topology.IPv4, port)
	c.synced(t)
	examine := func() doctor.Report { return c.daemons[0].Doctor(t) }
	well := func(when string) {
		t.Helper()
		var last doctor.Report
		eventually(t, 30*time.Second, func() bool {
			last = examine()
			// What was counted stays, as a note.
			return last.Failures+last.Warnings == 0
		}, "still "+when)
		if last.Failures+last.Warnings > 0 {
			t.Fatalf("%s:\n%s", when, findings(last))
		}
	}
	if r := examine(); findings(r) != "" {
		t.Fatalf("of a healthy director:\n%s", findings(r))
	} else if len(r.Results) != len(doctor.Checks()) {
		t.Fatalf("%d checks, want %d", len(r.Results), len(doctor.Checks()))
	}

	nft := func(chain, rule string) {
		guard(t, a, "table inet fault { chain fault { type filter hook "+chain+" priority 0; "+rule+"; }; }\n")
	}
	noRules := func() {
		if _, err := a.Run("/sbin/nft", "delete", "table", "inet", "fault"); err != nil {
			t.Fatal(err)
		}
	}
	ip := func(commands string) func() {
		return func() {
			if err := a.IP(commands + "\n"); err != nil {
				t.Fatal(err)
			}
		}
	}
	set := func(key, value string) func() {
		return func() {
			if err := a.Sysctl(key, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	both := func(all ...func()) func() {
		return func() {
			for _, f := range all {
				f()
			}
		}
	}
	for _, fault := range []struct {
		name         string
		make, mend   func()
		check        string
		what, remedy string // parts of them
		severity     doctor.Severity
	}{
		{"others may read the key", func() { chmod(t, director.KeyFile, 0o644) }, func() { chmod(t, director.KeyFile, 0o600) },
			"key", "its mode is 0644", "chmod 640 " + director.KeyFile, doctor.Failure},
		{"the in-kernel master runs", func() { a.IPVSAdm(t, "--start-daemon", "master", "--mcast-interface", director.SyncLink) },
			func() { a.IPVSAdm(t, "--stop-daemon", "master") },
			"in-kernel daemon", "master runs (sync, ", "ipvsadm --stop-daemon master", doctor.Failure},
		{"the in-kernel backup runs, for nothing", func() { a.IPVSAdm(t, "--start-daemon", "backup", "--mcast-interface", director.SyncLink) },
			func() { a.IPVSAdm(t, "--stop-daemon", "backup") },
			"in-kernel daemon", "backup runs", "ipvsadm --stop-daemon backup", doctor.Warning},
		{"there are no services", func() { a.IPVSAdm(t, "-C") }, func() { a.AddService(t, nat) },
			"services", "no virtual service", "ipvsadm -R", doctor.Warning},
		{"nothing is forwarded", set("ipv4.ip_forward", "0"), set("ipv4.ip_forward", "1"),
			"services", "net.ipv4.ip_forward is 0", "sysctl -w net.ipv4.ip_forward=1", doctor.Failure},
		{"templates alone are told", set("ipv4.vs.sync_persist_mode", "1"), set("ipv4.vs.sync_persist_mode", "0"),
			"sysctl", "net.ipv4.vs.sync_persist_mode=1", "sysctl -w net.ipv4.vs.sync_persist_mode=0", doctor.Warning},
		{"entries are dropped all the time", set("ipv4.vs.drop_entry", "3"), set("ipv4.vs.drop_entry", "0"),
			"sysctl", "net.ipv4.vs.drop_entry=3", "net.ipv4.vs.drop_entry=1", doctor.Warning},
		{"streams will be invalid", both(set("ipv4.vs.conntrack", "1"), set("netfilter.nf_conntrack_tcp_loose", "0")),
			both(set("ipv4.vs.conntrack", "0"), set("netfilter.nf_conntrack_tcp_loose", "1")),
			"conntrack", "nf_conntrack_tcp_loose=0", "conntrack.enabled = true", doctor.Warning},
		{"rp_filter, and another way to the peer", both(set("ipv4.conf.sync.rp_filter", "1"), ip("route add "+c.Directors[1].Sync.String()+" via 10.0.2.12 dev back")),
			both(set("ipv4.conf.sync.rp_filter", "0"), ip("route del "+c.Directors[1].Sync.String())),
			"sysctl", "net.ipv4.conf.sync.rp_filter=1", "net.ipv4.conf.sync.rp_filter=2", doctor.Failure},
		{"a rule drops what is sent", func() { nft("output", "meta l4proto 114 drop") }, noRules,
			"multicast", "before it leaves (chain inet fault fault, rule", "oifname sync meta l4proto 114 accept", doctor.Failure},
		{"a rule drops what comes in", func() { nft("input", "ip protocol 114 drop") }, noRules,
			"multicast", "does not come in (chain inet fault fault, rule", "iifname sync meta l4proto 114 accept", doctor.Failure},
		{"a policy drops what comes in", func() { nft("input", "policy drop; ct state established,related accept; tcp dport 22 accept") }, noRules,
			"multicast", "does not come in (chain inet fault fault, by its policy)", "iifname sync meta l4proto 114 accept", doctor.Failure},
		{"an interface without multicast", ip("link set sync multicast off"), ip("link set sync multicast on"),
			"links", "no flag MULTICAST", "ip link set sync multicast on", doctor.Failure},
		{"the cable is pulled", func() { c.CutSync(t, a) }, func() { c.RestoreSync(t, a) },
			"links", "interface sync has no carrier", "ethtool sync", doctor.Failure},
		{"the link is down", ip("link set sync down"), ip("link set sync up"),
			"links", "interface sync is down", "ip link set sync up", doctor.Failure},
		{"the peer is stopped", func() { c.daemons[1].Kill(t) }, func() { c.start(t, 1) },
			"peers", "was not heard for", "ssyncpd doctor there", doctor.Warning},
		{"everybody may open the device", func() { chmod(t, "/dev/ssyncp", 0o666) }, func() { chmod(t, "/dev/ssyncp", 0o600) },
			"device", "its mode is 0666", "chmod 660 /dev/ssyncp", doctor.Warning},
	} {
		t.Run(fault.name, func(t *testing.T) {
			fault.make()
			var last doctor.Report
			var f doctor.Finding
			var ok bool
			// Peers are silent for a while before anybody says so.
			eventually(t, 30*time.Second, func() bool {
				last = examine()
				f, ok = found(last, fault.check, fault.what)
				return ok
			}, "not found")
			if !ok || f.Severity != fault.severity || !strings.Contains(f.Remedy, fault.remedy) {
				t.Errorf("want a %s of %q: %q, do: %q\ngot:\n%s", fault.severity, fault.check, fault.what, fault.remedy, findings(last))
			}
			fault.mend()
			well("when it is mended")
		})
	}

	t.Run("somebody else hooks on top", func(t *testing.T) {
		director.LoadInterposer(t)
		r := examine()
		if f, ok := found(r, "device", "on top of the hook of ssyncp"); !ok || f.Severity != doctor.Warning {
			t.Error(findings(r))
		}
		director.UnloadInterposer(t)
		well("when they are gone")
	})
	t.Run("nothing runs, and the module is not there", func(t *testing.T) {
		last := c.daemons[0]
		for _, d := range c.daemons {
			d.Stop(t)
		}
		r := last.Doctor(t)
		if f, ok := found(r, "daemon", "ssyncpd does not run"); !ok || !strings.Contains(f.Remedy, "systemctl enable --now ssyncpd") || r.Failures > 0 {
			t.Errorf("stopped:\n%s", findings(r))
		}
		director.UnloadModule(t)
		r = last.Doctor(t)
		f, ok := found(r, "module", "the module ssyncp is not loaded")
		if !ok || !strings.Contains(f.Remedy, "modprobe ssyncp") {
			t.Errorf("unloaded:\n%s", findings(r))
		}
	})
}

func chmod(t testing.TB, file string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
}
