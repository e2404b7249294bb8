package guest

import (
	"os"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
)

// A fleet is a cluster whose daemons are watched closely.
type fleet struct {
	*cluster
	links []string // empty: the sync link alone
	pace  int      // max_pps; 0: the default
}

// syncedLimit is how long a director may take until it is whole.
const syncedLimit = 10 * time.Second

// newFleet builds a network where no daemon runs yet.
func newFleet(t testing.TB, directors, servers int) *fleet {
	t.Helper()
	return &fleet{cluster: newQuietCluster(t, directors, servers)}
}

// inFull reports whether a test shall take its time: `make lab-cluster`.
func inFull() bool { return os.Getenv("CLUSTER") == "full" }

// join starts the daemon of a director.
func (f *fleet) join(t testing.TB, i int) {
	t.Helper()
	f.daemons[i] = f.Directors[i].StartDaemon(t, director.Config{Links: f.links, MaxPPS: f.pace})
}

// joinAll starts all daemons at once and waits until they are synced. It returns
// how long that took.
func (f *fleet) joinAll(t testing.TB) time.Duration {
	t.Helper()
	began := time.Now()
	for i := range f.daemons {
		f.join(t, i)
	}
	for i := range f.daemons {
		f.becomes(t, i, "synced")
	}
	return time.Since(began)
}

// becomes waits until a daemon says that it is in a state.
func (f *fleet) becomes(t testing.TB, i int, state string) {
	t.Helper()
	for began := time.Now(); f.daemons[i].State() != state; time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > 3*syncedLimit {
			t.Fatalf("%s is %s after %v, want %s", f.Directors[i].Name, f.daemons[i].State(), 3*syncedLimit, state)
		}
	}
}

// flooded is a DR service that many clients send single segments to, which
// nobody answers.
func (f *fleet) flooded(t testing.TB, port uint16) director.Service {
	t.Helper()
	f.Silence(t)
	service := director.Service{Method: director.DR}
	service.Virtual = f.AddService(t, service, port)
	service.Servers = f.ServersAt(topology.IPv4, port)
	for _, d := range f.Directors {
		f.sloppy(t, d)
	}
	return service
}

// sloppy has a director take a connection that begins with an ACK.
func (f *fleet) sloppy(t testing.TB, d *director.Director) {
	t.Helper()
	d.Set(t, "sloppy_tcp", "1")
}
