package daemon_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/keyring"
	"github.com/ssyncp/ssyncp/internal/netnstest"
)

// newKey makes a key file.
func newKey(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if _, err := keyring.Create(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// start2 starts a daemon that speaks version 2, with a number of its own.
func start2(t *testing.T, ns *netnstest.Namespace, number int, key string, args ...string) *director {
	t.Helper()
	return start(t, ns, append([]string{
		"--wire-version=2", "--wire-key-file=" + key, "--wire-sender-id=" + strconv.Itoa(number),
		"--wire-name=dir" + strconv.Itoa(number), "--wire-join-timeout=1s",
	}, args...)...)
}

// synced waits until it says that it is whole, with a peer or alone.
func (d *director) synced() *director {
	d.t.Helper()
	eventually(d.t, "synced", func() bool {
		log := d.log.String()
		return strings.Contains(log, "to=synced") || strings.Contains(log, `to="synced (alone)"`)
	})
	return d
}

// with waits for a number of peers that are proven.
func (d *director) with(peers int) *director {
	d.t.Helper()
	eventually(d.t, "peers", func() bool { return strings.Count(d.log.String(), `msg="peer is there"`) >= peers })
	return d
}

// holds waits until at least these connections were written to the device, in
// whatever order, and how often.
func (d *director) holds(want []string) {
	d.t.Helper()
	var missing int
	eventually(d.t, "connections of the peer", func() bool {
		got := map[string]bool{}
		for _, c := range d.ask(request{}).Written {
			got[c] = true
		}
		missing = 0
		for _, c := range want {
			if !got[c] {
				missing++
			}
		}
		return missing == 0
	})
}

func TestVersion2OverEveryKindOfLink(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, a, b string }{
		{"IPv4 group", "eth0", "eth0"},
		{"IPv6 group", "eth0,group=ff12::81", "eth0,group=ff12::81"},
		{"peers", "eth0,peers=192.0.2.2", "eth0,peers=192.0.2.1"},
		{"IPv4 group in UDP", "eth0,udp_port=7114", "eth0,udp_port=7114"},
		{"peers in UDP", "eth0,peers=192.0.2.2,udp_port=7114", "eth0,peers=192.0.2.1,udp_port=7114"},
		{"two links", "eth0;eth0,peers=192.0.2.2,udp_port=7114", "eth0;eth0,peers=192.0.2.1,udp_port=7114"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			nsA, nsB := pair(t)
			key := newKey(t)
			a := start2(t, nsA, 1, key, "--links="+c.a)
			b := start2(t, nsB, 2, key, "--links="+c.b)
			a.with(1).synced()
			b.with(1).synced()
			const n = 3000
			a.ask(request{Queue: n})
			b.ask(request{Queue: n, From: n})
			b.holds(clients(0, n))
			a.holds(clients(n, n))
			a.stop()
			b.stop()
			for _, d := range []*director{a, b} {
				if strings.Contains(d.log.String(), "group=cluster_refused") {
					t.Error("frames were refused")
				}
			}
		})
	}
}

// B's interface has a smaller MTU than A's, and drops without a word what is
// larger.
func TestLinkThatTakesLessThanItClaimsIsUsedAsFarAsItGoes(t *testing.T) {
	t.Parallel()
	nsA, nsB := pair(t)
	nsB.IP(t, "link set eth0 mtu 1400")
	key := newKey(t)
	a := start2(t, nsA, 1, key)
	b := start2(t, nsB, 2, key)
	a.with(1).synced()
	b.with(1).synced()
	const n = 3000
	// What is lost before that is known is sent again, and given up in the end
	// for a snapshot of the table.
	a.ask(request{Queue: n, Table: n})
	a.logs(`msg="a link loses full-size frames"`, "name=dir2")
	b.holds(clients(0, n))
	a.ask(request{Queue: n, From: n})
	b.holds(clients(n, n))
	if strings.Contains(b.log.String(), "loses full-size frames") {
		t.Error("what B sends fits")
	}
	a.stop()
	b.stop()
}

func TestJoinerOfVersion2IsWholeBeforeItSaysSo(t *testing.T) {
	t.Parallel()
	nsA, nsB := pair(t)
	key := newKey(t)
	a := start2(t, nsA, 1, key, "--test-table=5000").synced()
	b := start2(t, nsB, 2, key)
	b.logs("to=synced")
	if n := len(b.ask(request{}).Written); n < 5000 {
		t.Errorf("it says synced, and was written %d of 5000 connections", n)
	}
	a.stop()
	b.stop()
}

func TestKeyIsChangedByReloads(t *testing.T) {
	t.Parallel()
	nsA, nsB := pair(t)
	config := func(number int) (file string, write func(text string)) {
		file = filepath.Join(t.TempDir(), "ssyncpd.toml")
		return file, func(text string) {
			text = "sync_id = 7\n" + text
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	first, second := newKey(t), newKey(t)
	fileA, writeA := config(1)
	fileB, writeB := config(2)
	wire := func(key, accepted string) string {
		text := "wire.key_file = '" + key + "'\n"
		if accepted != "" {
			text += "wire.key_file_accepted = '" + accepted + "'\n"
		}
		return text
	}
	writeA(wire(first, ""))
	writeB(wire(first, ""))
	args := func(number int, file string) []string {
		return []string{
			"--wire-version=2", "--wire-sender-id=" + strconv.Itoa(number), "--wire-join-timeout=1s", "--config=" + file,
		}
	}
	a, b := start(t, nsA, args(1, fileA)...), start(t, nsB, args(2, fileB)...)
	a.with(1).synced()
	b.with(1).synced()
	reloads := map[*director]int{}
	sent := 0
	for _, step := range []string{wire(first, second), wire(second, first), wire(second, "")} {
		for _, d := range []*director{a, b} {
			map[*director]func(string){a: writeA, b: writeB}[d](step)
			d.signal(syscall.SIGHUP)
			reloads[d]++
			eventually(t, "reload", func() bool { return strings.Count(d.log.String(), "configuration reloaded") == reloads[d] })
			a.ask(request{Queue: 10, From: sent})
			b.holds(clients(0, sent+10))
			sent += 10
		}
	}
	// A key file that cannot be used changes nothing.
	if err := os.Chmod(second, 0o644); err != nil {
		t.Fatal(err)
	}
	a.signal(syscall.SIGHUP)
	a.logs("configuration refused, the running one stays", "chmod 600")
	a.ask(request{Queue: 10, From: sent})
	b.holds(clients(0, sent+10))
	a.stop()
	b.stop()
	if log := b.log.String(); strings.Contains(log, "group=cluster_refused") {
		t.Errorf("frames were refused:\n%s", log)
	}
}

func TestWithoutTheKeyNobodyIsBelieved(t *testing.T) {
	t.Parallel()
	nsA, nsB := pair(t)
	a := start2(t, nsA, 1, newKey(t)).synced()
	b := start2(t, nsB, 2, newKey(t)).synced()
	b.ask(request{Queue: 100})
	time.Sleep(time.Second)
	if got := a.ask(request{}).Written; len(got) != 0 {
		t.Errorf("%d connections of one with another key", len(got))
	}
	a.logs("key=") // within ten seconds, as what ought not to be
	b.stop()
}

func TestNoAuthenticationIsAskedForByNameAndWarnedOf(t *testing.T) {
	t.Parallel()
	nsA, nsB := pair(t)
	a := start2(t, nsA, 1, "/none", "--wire-auth=none")
	b := start2(t, nsB, 2, "/none", "--wire-auth=none")
	a.with(1).synced()
	b.with(1).synced()
	a.ask(request{Queue: 100})
	b.holds(clients(0, 100))
	a.logs("level=WARN", "whoever can send on the links")
}

// While a cluster goes from version 1 to version 2, a director of each kind
// tells the other what it has, in either order, and old connections as well.
func TestBothVersionsForALimitedTime(t *testing.T) {
	t.Parallel()
	dual := func() string { return "--wire-dual-until=" + time.Now().Add(time.Hour).Format(time.RFC3339) }
	key := newKey(t)
	for _, c := range []struct {
		name   string
		second []string // what the second director speaks
	}{
		{"version 1", nil},
		{"both", []string{"--wire-version=2", "--wire-key-file=" + key, dual()}},
		{"version 2", []string{"--wire-version=2", "--wire-key-file=" + key}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			nsA, nsB := pair(t)
			a := start2(t, nsA, 1, key, dual(), "--test-table=500")
			a.synced()
			b := start(t, nsB, append([]string{"--wire-sender-id=2", "--wire-join-timeout=1s"}, c.second...)...)
			if c.second == nil {
				b.started()
			} else {
				b.synced()
			}
			a.ask(request{Queue: 300, From: 1000})
			b.ask(request{Queue: 300, From: 2000})
			a.holds(clients(2000, 300))
			b.holds(clients(1000, 300))
			if c.second != nil {
				b.holds(clients(0, 500)) // version 1 has no way to ask for it
			}
			a.stop()
			b.stop()
			if log := a.log.String(); strings.Contains(log, "group=cluster_refused") || strings.Contains(log, "group=ipvs_refused") {
				t.Errorf("one of its versions refused the other's messages:\n%s", log)
			}
		})
	}
}

func TestVersion1EndsInTime(t *testing.T) {
	nsA, nsB := pair(t)
	key := newKey(t)
	a := start2(t, nsA, 1, key, "--wire-dual-until="+time.Now().Add(3*time.Second).Format(time.RFC3339))
	b := start(t, nsB).started()
	a.logs("advertised what this director owns") // version 1 reads news from then on
	a.ask(request{Queue: 10})
	b.holds(clients(0, 10))
	a.logs("the time of version 1 is over")
	b.ask(request{Queue: 10, From: 100})
	a.ask(request{Queue: 10, From: 200})
	time.Sleep(500 * time.Millisecond)
	for d, foreign := range map[*director]int{a: 100, b: 200} {
		if got := d.ask(request{}).Written; slices.Contains(got, client(foreign).String()) {
			t.Error("version 1 is spoken still")
		}
	}
}

func TestVersion2DoesNotStartWithoutAKey(t *testing.T) {
	t.Parallel()
	ns, _ := pair(t)
	d := start2(t, ns, 1, "/nonexistent/key")
	if err := <-d.ended; err == nil {
		t.Error("it started")
	}
	d.logs("/nonexistent/key", "ssyncpd keygen")
}

func TestOperatorsAskForStatusAndResync(t *testing.T) {
	t.Parallel()
	nsA, nsB := pair(t)
	key := newKey(t)
	socket := filepath.Join(t.TempDir(), "socket")
	a := start2(t, nsA, 1, key, "--admin-socket="+socket)
	b := start2(t, nsB, 2, key)
	a.with(1).synced()
	b.with(1).synced()
	client := admin.NewClient(socket)
	status, err := client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if m := status.Membership; m == nil || m.State != "synced" || m.SenderID != "00000001" || len(m.Peers) != 1 || m.Peers[0].Name != "dir2" {
		t.Errorf("status: %+v", status)
	}
	// What never was news comes when it is asked for.
	b.ask(request{Table: 100})
	done, err := client.Resync(t.Context(), "dir2")
	if err != nil || done.Asked != 1 {
		t.Errorf("asked %+v: %v", done, err)
	}
	a.holds(clients(0, 100))
	a.stop()
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestVersion1HasAStatusAndNoResync(t *testing.T) {
	ns, _ := pair(t)
	socket := filepath.Join(t.TempDir(), "socket")
	start(t, ns, "--admin-socket="+socket).started()
	client := admin.NewClient(socket)
	if status, err := client.Status(t.Context()); err != nil || status.Membership != nil {
		t.Errorf("status: %+v, %v", status, err)
	}
	if _, err := client.Resync(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "version 1") {
		t.Errorf("resync: %v", err)
	}
}
