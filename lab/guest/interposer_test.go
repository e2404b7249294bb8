package guest

import (
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// Somebody else takes the place of state_transition() on top of the module, and
// calls it: it must neither take them out with itself nor go from under them.
func TestInterposerOnTop(t *testing.T) {
	const port = 8000
	for _, end := range []struct {
		name string
		of   func(*testing.T, *director.Director)
	}{
		{"the next reader comes and goes", func(t *testing.T, a *director.Director) { capture(t, a).Close() }},
		{"somebody looks at the statistics", func(t *testing.T, a *director.Director) {
			wantState(t, a, chardev.StateInterposed)
		}},
	} {
		t.Run("until "+end.name, func(t *testing.T) {
			director.LoadModule(t)
			lab := topology.New(t, 1, 2)
			a := lab.Directors[0]
			serve(t, lab, "tcp", port)
			virtual := lab.AddService(t, director.Service{Method: director.NAT}, port)
			client := traffic.Client{Namespace: lab.Client}

			reader := capture(t, a)
			wantState(t, a, chardev.StateCapturing|chardev.StateInterposed)
			director.LoadInterposer(t)
			wantState(t, a, chardev.StateCapturing|chardev.StateInterposed|chardev.StateBuried)
			stream := open(t, client, virtual)
			isCaptured(t, reader, stream.Local())
			isSeenByInterposer(t, stream)

			// Nobody reads any more: beneath them the module passes on.
			warned := warnings(t)
			closeReader(t, reader)
			wantState(t, a, chardev.StateInterposed|chardev.StateBuried)
			if n := warnings(t) - warned; n != 1 {
				t.Errorf("%d warnings in the kernel's log, want one", n)
			}
			director.ModuleStays(t)
			exchange(t, stream)
			isSeenByInterposer(t, open(t, client, virtual))
			if state := stateOf(t, a, stream.Local()); state != "ESTABLISHED" {
				t.Errorf("%v is %s: IPVS's own function was not called", stream.Local(), state)
			}

			// Another reader captures as the first one did.
			reader = capture(t, a)
			wantState(t, a, chardev.StateCapturing|chardev.StateInterposed|chardev.StateBuried)
			again := open(t, client, virtual)
			isCaptured(t, reader, again.Local())
			closeReader(t, reader)
			director.ModuleStays(t)

			// They go: so does the module, as soon as it can notice.
			director.UnloadInterposer(t)
			exchange(t, again)
			director.ModuleStays(t)
			end.of(t, a)
			wantState(t, a, 0)
			exchange(t, stream)
			director.UnloadModule(t)
			exchange(t, again)
		})
	}

	t.Run("gone before the reader", func(t *testing.T) {
		director.LoadModule(t)
		a := topology.New(t, 1, 1).Directors[0]
		reader := capture(t, a)
		director.LoadInterposer(t)
		director.UnloadInterposer(t)
		wantState(t, a, chardev.StateCapturing|chardev.StateInterposed)
		closeReader(t, reader)
		wantState(t, a, 0)
		director.UnloadModule(t)
	})

	// The other way round it is the module that calls them, and that may go.
	t.Run("beneath the module", func(t *testing.T) {
		director.LoadInterposer(t)
		director.LoadModule(t)
		lab := topology.New(t, 1, 1)
		a := lab.Directors[0]
		serve(t, lab, "tcp", port)
		virtual := lab.AddService(t, director.Service{Method: director.NAT}, port)
		reader := capture(t, a)
		wantState(t, a, chardev.StateCapturing|chardev.StateInterposed)
		stream := open(t, traffic.Client{Namespace: lab.Client}, virtual)
		isCaptured(t, reader, stream.Local())
		isSeenByInterposer(t, stream)
		closeReader(t, reader)
		director.UnloadModule(t)
		isSeenByInterposer(t, stream)
		director.UnloadInterposer(t)
		exchange(t, stream)
	})
}

func wantState(t *testing.T, d *director.Director, want chardev.State) {
	t.Helper()
	if got := d.Stats(t).State; got != want {
		t.Errorf("state is %v, want %v", got, want)
	}
}

func closeReader(t *testing.T, reader *chardev.Device) {
	t.Helper()
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
}

func isCaptured(t *testing.T, reader *chardev.Device, client netip.AddrPort) {
	t.Helper()
	eventually(t, 10*time.Second, func() bool {
		return slices.ContainsFunc(readNews(t, reader), func(c ipvs.Conn) bool { return c.Client == client })
	}, "no news of a new stream")
}

// isSeenByInterposer exchanges a message, whose packets the interposer must count.
func isSeenByInterposer(t *testing.T, stream *traffic.Stream) {
	t.Helper()
	before := director.InterposerCalls(t)
	exchange(t, stream)
	if n := director.InterposerCalls(t) - before; n < 2 {
		t.Errorf("the interposer saw %d packets of an exchange", n)
	}
}

func stateOf(t *testing.T, d *director.Director, client netip.AddrPort) string {
	t.Helper()
	return d.ByClient(t)[client].State
}

// warnings counts those about an interposer on top of the module.
func warnings(t *testing.T) int {
	t.Helper()
	out, err := exec.Command("/bin/dmesg").CombinedOutput()
	if err != nil {
		t.Fatalf("dmesg: %v\n%s", err, out)
	}
	return strings.Count(string(out), "interposer_transition [interposer] stands on top of our state_transition")
}
