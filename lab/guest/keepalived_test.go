package guest

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/traffic"
)

// A pair are two directors with keepalived and its sample configuration, which
// has their service, too. The first one is lb1, of the higher priority.
type pair struct {
	*cluster
	keepalived [2]*director.Keepalived
	virtual    netip.AddrPort
}

const (
	pairPort     = "8000"
	serversRoute = "10.0.2.80" // what real servers have as their gateway
	clientsSee   = "10.0.1.80"
	// pairPatience is with streams while VRRP elects, in a guest that is slow.
	pairPatience = 20 * time.Second
	// electing is longer than a backup waits for adverts of a master.
	electing = 6 * time.Second
	// unsynced is as long as a daemon needs to look at its state, several times.
	unsynced = 5 * time.Second
)

// newPair makes one where nothing runs but the servers.
func newPair(t *testing.T) *pair {
	t.Helper()
	return newPairAmong(t, 2)
}

// newPairAmong makes one that has directors beside it.
func newPairAmong(t *testing.T, directors int) *pair {
	t.Helper()
	p := &pair{cluster: newQuietCluster(t, directors, 2), virtual: netip.MustParseAddrPort(clientsSee + ":" + pairPort)}
	serve(t, p.Topology, "tcp", p.virtual.Port())
	for _, s := range p.Servers {
		if err := s.IP("route replace default via " + serversRoute + "\n"); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range p.Directors {
		d.ClearRun(t)
	}
	return p
}

func (p *pair) startKeepalived(t *testing.T, i int) {
	t.Helper()
	p.keepalived[i] = p.Directors[i].StartKeepalived(t, []string{"lb1", "lb2"}[i], map[string]string{
		"CLIENTS": director.FrontLink, "SERVERS": director.BackLink, "ADDRESS": clientsSee, "GATEWAY": serversRoute, "PORT": pairPort,
		"SERVER_1": p.Servers[0].Address.String(), "SERVER_2": p.Servers[1].Address.String(),
	})
}

func (p *pair) startDaemon(t *testing.T, i int) {
	t.Helper()
	p.daemons[i] = p.Directors[i].StartDaemon(t, director.Config{Extra: "[vrrp]\nfifo = \"" + p.Directors[i].FIFO() + "\"\n"})
}

// boot starts everything on both at once, and waits until they have what they need
// of each other, and lb1 is master.
func (p *pair) boot(t *testing.T) {
	t.Helper()
	for i := range p.Directors {
		p.startKeepalived(t, i)
		p.startDaemon(t, i)
	}
	for i := range p.Directors {
		p.isSynced(t, i)
	}
	p.settled(t, 0)
}

// off pulls the plug of a director.
func (p *pair) off(t *testing.T, i int) {
	t.Helper()
	p.powerOff(t, i)
	p.keepalived[i].Kill()
}

// killed ends a daemon as the kernel does, and does what systemd does behind it
// (ExecStopPost in contrib/ssyncpd.service).
func (p *pair) killed(t *testing.T, i int) {
	t.Helper()
	p.daemons[i].Kill(t)
	if err := os.Remove(p.Directors[i].TrackFile()); err != nil {
		t.Fatal(err)
	}
}

// master waits until a director is master, and the other is not.
func (p *pair) master(t *testing.T, i int) {
	t.Helper()
	p.keepalived[i].Becomes(t, "MASTER")
	p.keepalived[1-i].Becomes(t, "BACKUP")
}

// settled waits until a director is master, and the other not, for longer than an
// election takes: where both boot at once, the other one may be in the midst of one,
// and have the addresses for a moment.
func (p *pair) settled(t *testing.T, i int) {
	t.Helper()
	since := time.Now()
	eventually(t, time.Minute, func() bool {
		if p.keepalived[i].State() != "MASTER" || p.keepalived[1-i].State() != "BACKUP" {
			since = time.Now()
		}
		return time.Since(since) > electing
	}, "the roles are not settled")
}

// isSynced waits for a track file.
func (p *pair) isSynced(t *testing.T, i int) {
	t.Helper()
	p.track(t, i, "1\n")
}

func (p *pair) track(t *testing.T, i int, want string) {
	t.Helper()
	eventually(t, time.Minute, func() bool {
		got, err := os.ReadFile(p.Directors[i].TrackFile())
		return err == nil && string(got) == want
	}, "the track file does not become "+want)
}

// neverSynced expects that a track file says 0 for a time, and has said nothing
// else since its daemon started.
func (p *pair) neverSynced(t *testing.T, i int, limit time.Duration) {
	t.Helper()
	for began := time.Now(); time.Since(began) < limit; time.Sleep(20 * time.Millisecond) {
		if got, err := os.ReadFile(p.Directors[i].TrackFile()); err != nil || string(got) != "0\n" {
			t.Fatalf("the track file of a director that is %s says %q, %v", p.daemons[i].State(), got, err)
		}
	}
	if strings.Contains(p.daemons[i].Log(), "synced=true") {
		t.Fatal("the track file said 1 before")
	}
}

// streams are what has to survive everything.
type streams struct {
	pair *pair
	open []*traffic.Stream
}

func (s *streams) more(t *testing.T, n int, virtual netip.AddrPort) {
	t.Helper()
	open, err := traffic.Client{Namespace: s.pair.Client}.OpenMany(n, time.Second, virtual)
	if err != nil {
		t.Fatal(err)
	}
	s.open = append(s.open, open...)
	s.pair.told(t)
}

func (s *streams) goOn(t *testing.T, how string) {
	t.Helper()
	r := traffic.Exchange(s.open, pairPatience)
	for _, err := range r.Errors {
		t.Errorf("%s: %v", how, err)
	}
	if len(r.Lost) > 0 {
		t.FailNow()
	}
	s.pair.told(t)
}

// neverFaulty expects that no instance was in FAULT.
func (p *pair) neverFaulty(t *testing.T) {
	t.Helper()
	for _, k := range p.keepalived {
		if strings.Contains(k.Log(), "FAULT") {
			t.Error("there was a FAULT")
		}
	}
}

// The master loses its power, streams go on through the other one. It boots, with
// the higher priority and without a connection, and takes the addresses back as
// soon as it has what it missed, and no earlier, whichever of its two daemons
// starts first: without keepalived there are no services yet, and ssyncpd is
// refused what it is told. The streams go on.
func TestKeepalivedFailover(t *testing.T) {
	const some = 30
	for _, order := range []struct {
		name        string
		daemonFirst bool
	}{{"ssyncpd first", true}, {"keepalived first", false}} {
		t.Run(order.name, func(t *testing.T) {
			p := newPair(t)
			p.boot(t)
			s := &streams{pair: p}
			defer func() { traffic.CloseAll(s.open) }()
			s.more(t, some, p.virtual)
			s.goOn(t, "through lb1")

			p.off(t, 0)
			s.goOn(t, "lb1 has no power")
			s.more(t, some, p.virtual)
			if state := p.keepalived[1].State(); state != "MASTER" {
				t.Fatalf("lb2 is %s", state)
			}

			p.Reboot(t, p.Directors[0])
			p.Directors[0].ClearRun(t)
			if order.daemonFirst {
				p.startDaemon(t, 0)
				eventually(t, time.Minute, func() bool { return strings.Contains(p.daemons[0].Log(), "to=degraded") }, "without services nothing is refused")
				p.neverSynced(t, 0, unsynced)
				p.startKeepalived(t, 0)
			} else {
				p.startKeepalived(t, 0)
				p.keepalived[0].Becomes(t, "BACKUP")
				p.keepalived[0].Stays(t, "BACKUP", electing)
				if n := len(p.Directors[0].Connections(t)); n > 0 {
					t.Fatalf("it has %d connections already", n)
				}
				p.startDaemon(t, 0)
			}
			s.goOn(t, "lb1 is back")
			p.keepalived[0].Becomes(t, "MASTER")
			if !strings.Contains(p.daemons[0].Log(), "to=synced") {
				t.Error("lb1 is master, and not synced")
			}
			p.master(t, 0)
			s.goOn(t, "through lb1 again")
			known := p.Directors[0].ByClient(t)
			for _, stream := range s.open {
				if k := known[stream.Local()]; k.State != "ESTABLISHED" {
					t.Errorf("lb1 has %+v for %v", k, stream.Local())
				}
			}
			p.neverFaulty(t)
		})
	}
}

// A daemon that is killed takes its priority along, and nothing more.
func TestKeepalivedWithADaemonThatIsKilled(t *testing.T) {
	p := newPair(t)
	p.startKeepalived(t, 0) // the first boot of all, alone
	p.startDaemon(t, 0)
	p.keepalived[0].Becomes(t, "MASTER")
	p.isSynced(t, 0)
	p.startDaemon(t, 1)
	p.startKeepalived(t, 1)
	p.isSynced(t, 1)
	p.master(t, 0)
	s := &streams{pair: p}
	defer func() { traffic.CloseAll(s.open) }()
	s.more(t, 30, p.virtual)

	p.killed(t, 0)
	p.master(t, 1)
	s.goOn(t, "ssyncpd of lb1 was killed")
	p.startDaemon(t, 0)
	p.master(t, 0)
	s.goOn(t, "and is back")
	p.neverFaulty(t)
}
