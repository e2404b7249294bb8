package topology

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/netns"
)

// SecondSyncLink is the directors' end of what AddSyncSegment makes.
const SecondSyncLink = "sync2"

// AddSyncSegment gives the directors a second link among themselves,
// 10.0.5.0/24.
func (lab *Topology) AddSyncSegment(t testing.TB) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "link add %s type bridge mcast_snooping 0\nlink set %[1]s up\n", SecondSyncLink)
	for _, d := range lab.Directors {
		plug(&b, d.Namespace, SecondSyncLink)
	}
	batch(t, lab.fabric, b.String())
	for _, d := range lab.Directors {
		batch(t, d.Namespace, fmt.Sprintf("addr add 10.0.5.%d/24 dev %s\nlink set %[2]s up\n", d.Sync.As4()[3], SecondSyncLink))
	}
}

// Impair has what comes to a director over one of its links go through a netem
// with these options, such as "loss", "5%"; none takes it away. The module
// sch_netem must be loaded.
func (lab *Topology) Impair(t testing.TB, d *director.Director, link string, options ...string) {
	t.Helper()
	argv := []string{"/sbin/tc", "qdisc", "del", "dev", port(d.Namespace, link), "root"}
	if len(options) > 0 {
		argv[2] = "replace"
		argv = append(append(argv, "netem", "limit", "100000"), options...)
	}
	if _, err := lab.fabric.Run(argv...); err != nil {
		t.Fatal(err)
	}
}

// Divide sends what comes from each of the prefixes through the director of the
// same index, whoever is active. Answers of DR servers do not come through a
// director.
func (lab *Topology) Divide(t testing.TB, sources ...netip.Prefix) {
	t.Helper()
	for i, source := range sources {
		batch(t, lab.Client, fmt.Sprintf("rule add from %v lookup %d\n", source, divided+i))
		lab.Route(t, i, lab.Directors[i])
	}
}

// divided is the first of the tables of Divide.
const divided = 101

// Route sends what comes from the prefix of Divide that has this index through a
// director from now on.
func (lab *Topology) Route(t testing.TB, prefix int, d *director.Director) {
	t.Helper()
	batch(t, lab.Client, fmt.Sprintf("route replace %v via %v table %d\n", Virtual, d.Front, divided+prefix))
}

// Silence has the servers answer nothing to the addresses of Flood.
func (lab *Topology) Silence(t testing.TB) {
	t.Helper()
	for _, s := range lab.Servers {
		batch(t, s.Namespace, fmt.Sprintf("route add blackhole %v table 100\n", Flood))
	}
}

// Reboot makes a director anew, in a namespace of its own: it has no services, no
// connections, and nobody runs on it. Its daemon must have ended.
func (lab *Topology) Reboot(t testing.TB, d *director.Director) {
	t.Helper()
	var b strings.Builder
	for _, segment := range segments {
		fmt.Fprintf(&b, "link del %s\n", port(d.Namespace, segment))
	}
	batch(t, lab.fabric, b.String())
	name := d.Name
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d.Namespace = namespace(t, name)
	b.Reset()
	plug(&b, d.Namespace, segments...)
	batch(t, lab.fabric, b.String())
	all := errands{ip: (*netns.Namespace).IP}
	all.director(t, d)
	all.wait(t)
}
