package topology

import (
	"fmt"
	"testing"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/netns"
)

// Activate sends new packets through a director, as a VRRP takeover would.
func (lab *Topology) Activate(t testing.TB, d *director.Director) {
	t.Helper()
	client, server := fmt.Sprintf("route replace %v via %v\n", Virtual, d.Front), fmt.Sprintf("route replace default via %v\n", d.Back)
	if lab.ipv6 {
		client += fmt.Sprintf("route replace %v via %v\n", Virtual6, d.Front6)
		server += fmt.Sprintf("route replace default via %v\n", d.Back6)
	}
	errs := make(chan error)
	go func() { errs <- lab.Client.IP(client) }()
	for _, s := range lab.Servers {
		go func() { errs <- s.IP(server) }()
	}
	for range 1 + len(lab.Servers) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

// Cut takes a director out of the network at once: its cables are pulled, the
// one to its peers first, so that it cannot say anything more. Together with
// Daemon.Kill it is a power-off as far as anybody else can see.
func (lab *Topology) Cut(t testing.TB, d *director.Director) {
	t.Helper()
	lab.plugged(t, d.Namespace, false, director.SyncLink, director.FrontLink, director.BackLink)
}

// Restore plugs a director in again.
func (lab *Topology) Restore(t testing.TB, d *director.Director) {
	t.Helper()
	lab.plugged(t, d.Namespace, true, director.FrontLink, director.BackLink, director.SyncLink)
}

// CutSync pulls only the cable that directors talk over.
func (lab *Topology) CutSync(t testing.TB, d *director.Director) {
	t.Helper()
	lab.plugged(t, d.Namespace, false, director.SyncLink)
}

// RestoreSync undoes CutSync.
func (lab *Topology) RestoreSync(t testing.TB, d *director.Director) {
	t.Helper()
	lab.plugged(t, d.Namespace, true, director.SyncLink)
}

// CutFront pulls only the cable to the clients.
func (lab *Topology) CutFront(t testing.TB, d *director.Director) {
	t.Helper()
	lab.plugged(t, d.Namespace, false, director.FrontLink)
}

// RestoreFront undoes CutFront.
func (lab *Topology) RestoreFront(t testing.TB, d *director.Director) {
	t.Helper()
	lab.plugged(t, d.Namespace, true, director.FrontLink)
}

func (lab *Topology) plugged(t testing.TB, node *netns.Namespace, up bool, links ...string) {
	t.Helper()
	for _, segment := range links {
		if err := lab.fabric.SetUp(port(node, segment), up); err != nil {
			t.Fatal(err)
		}
	}
}
