package guest

import (
	"fmt"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// twoPeriods is what a director has to tell its peers of a connection.
const twoPeriods = 2 * director.DefaultPeriod

// A cluster is a network whose directors run the daemon.
type cluster struct {
	*topology.Topology
	daemons []*director.Daemon // by director; nil: none
}

// newCluster builds a network of directors that all run the daemon, and know each
// other.
func newCluster(t testing.TB, directors, servers int) *cluster {
	t.Helper()
	return newClusterOf(t, directors, servers, director.Config{})
}

// newClusterOf is newCluster with daemons that are configured so.
func newClusterOf(t testing.TB, directors, servers int, config director.Config) *cluster {
	t.Helper()
	c := newQuietCluster(t, directors, servers)
	for i, d := range c.Directors {
		c.daemons[i] = d.StartDaemon(t, config)
	}
	for _, d := range c.daemons {
		d.Knows(t, directors-1)
	}
	return c
}

// newQuietCluster builds one where no daemon runs yet.
func newQuietCluster(t testing.TB, directors, servers int) *cluster {
	t.Helper()
	director.LoadModule(t)
	lab := topology.New(t, directors, servers)
	return &cluster{Topology: lab, daemons: make([]*director.Daemon, directors)}
}

// start starts the daemon of a director.
func (c *cluster) start(t testing.TB, i int) {
	t.Helper()
	c.daemons[i] = c.Directors[i].StartDaemon(t, director.Config{})
}

// synced waits until all daemons that run have what the others have.
func (c *cluster) synced(t testing.TB) {
	t.Helper()
	for _, d := range c.daemons {
		if d != nil {
			d.Synced(t)
		}
	}
}

// told waits for what directors have to tell each other of a connection: two
// periods. Where the machine is too busy to keep them, it waits until each has
// looked for news twice, and has what the others told by then.
func (c *cluster) told(t testing.TB) {
	t.Helper()
	ctx := t.Context()
	status := func(i int) admin.Status {
		s, err := c.daemons[i].Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	reads := make(map[int]uint64) // of those that run
	for i, d := range c.daemons {
		if d != nil && d.Running() {
			reads[i] = counter(t, c.Directors[i], chardev.CounterReadCalls)
		}
	}
	time.Sleep(twoPeriods)
	last := make(map[string]uint64)
	for i := range reads {
		eventually(t, 10*time.Second, func() bool {
			return counter(t, c.Directors[i], chardev.CounterReadCalls) >= reads[i]+2
		}, "a daemon does not read")
		s := status(i)
		last[s.StartID] = s.Sequence
	}
	for i := range reads {
		eventually(t, 10*time.Second, func() bool {
			for _, p := range status(i).Peers {
				if p.Sequence < last[p.StartID] || last[p.StartID] > 0 && p.Missing > 0 {
					return false
				}
			}
			return true
		}, "a daemon does not have what its peers told")
	}
}

// powerOff takes a director away as a pulled plug does, and returns the moment
// from which on it could tell nobody anything.
func (c *cluster) powerOff(t testing.TB, i int) time.Time {
	t.Helper()
	off := time.Now()
	c.Cut(t, c.Directors[i])
	c.daemons[i].Kill(t)
	return off
}

// failOver is powerOff, and another director in its place.
func (c *cluster) failOver(t testing.TB, from, to int) time.Time {
	t.Helper()
	off := c.powerOff(t, from)
	c.Activate(t, c.Directors[to])
	return off
}

// connectionKey is what tells the lines of two directors' tables apart.
func connectionKey(c director.Connection) string {
	return fmt.Sprintf("%s %v %v", c.Protocol, c.Client, c.Virtual)
}
