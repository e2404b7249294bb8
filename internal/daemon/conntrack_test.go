package daemon_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/internal/admin"
)

// That conntrack entries cannot be carried is said, with what is missing, and
// is nothing that IPVS connections wait for.
func TestIPVSConnectionsAreCarriedWhereConntrackCannotBe(t *testing.T) {
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	nsA, nsB := pair(t)
	key := newKey(t)
	directory := t.TempDir()
	socket := func(number string) string { return filepath.Join(directory, number) }
	args := func(number string) []string {
		return []string{
			"--wire-version=2", "--wire-key-file=" + key, "--wire-sender-id=" + number, "--wire-name=dir" + number,
			"--wire-join-timeout=1s", "--conntrack-enabled=true", "--admin-socket=" + socket(number),
		}
	}
	// Without CAP_NET_ADMIN. CAP_NET_RAW is what the link needs.
	without := []string{setpriv, "--bounding-set=-net_admin", self}
	a := startBy(t, nsA, without, args("1")...)
	b := startBy(t, nsB, without, args("2")...)
	for number, d := range map[string]*director{"1": a, "2": b} {
		d.with(1).synced()
		d.logs("level=ERROR", "conntrack entries are not carried, IPVS connections are", "CAP_NET_ADMIN")
		if strings.Contains(d.log.String(), `msg="conntrack entries are carried"`) {
			t.Error("and says that they are")
		}
		status, err := admin.NewClient(socket(number)).Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(status.NotCarried["conntrack"], "CAP_NET_ADMIN") || !slices.Equal(status.Classes, []string{"ipvs"}) || status.State != "synced" {
			t.Errorf("status: %s, carries %v, not %v", status.State, status.Classes, status.NotCarried)
		}
	}
	const n = 1000
	a.ask(request{Queue: n})
	b.holds(clients(0, n))
	b.ask(request{Queue: n, From: n})
	a.holds(clients(n, n))
	a.stop()
	b.stop()
}
