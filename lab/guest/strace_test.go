package guest

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// All that the daemon does with the device are plain system calls: under a
// steady load of new connections, about one read() a period and one sendmmsg()
// for what it brought, however many connections that is. On the other director
// it is one recvmmsg() and one write().
func TestSystemCallsPerPeriod(t *testing.T) {
	const (
		port     = 8000
		streams  = 480
		measured = 320 // of these, the ones in the middle
	)
	slowness := slowness(t)
	perSecond := 80 / slowness
	period := director.DefaultPeriod * time.Duration(slowness)
	c := newQuietCluster(t, 2, 2)
	traces := make([]string, len(c.Directors))
	for i, d := range c.Directors {
		traces[i] = filepath.Join(t.TempDir(), "trace")
		c.daemons[i] = d.StartDaemon(t, director.Config{Period: period, Under: []string{
			// -D: the daemon is our child, signals reach it and not strace.
			"/bin/strace", "-D", "-f", "-y", "-r", "-s", "16", "-o", traces[i],
			"-e", "trace=read,write,sendmmsg,recvmmsg", "-e", "signal=none",
		}})
	}
	c.synced(t)
	serve(t, c.Topology, "tcp", port)
	virtual := c.AddService(t, director.Service{Method: director.NAT}, port)

	// Streams that stay: each is told, however fast the machine is.
	var load sync.WaitGroup
	var opened []*traffic.Stream
	var failed error
	load.Go(func() {
		client := traffic.Client{Namespace: c.Client}
		opened, failed = client.OpenMany(streams, time.Duration(streams/perSecond)*time.Second, virtual)
	})
	told := func(least uint64) uint64 {
		t.Helper()
		eventually(t, time.Minute, func() bool {
			return counter(t, c.Directors[0], chardev.CounterReadRecords) >= least
		}, "the load does not come")
		return counter(t, c.Directors[0], chardev.CounterReadRecords)
	}
	from := told((streams - measured) / 2)
	began := time.Now()
	before := []int{len(lines(t, traces[0])), len(lines(t, traces[1]))}
	news := told(from+measured) - from
	periods := int(time.Since(began) / period)
	var during [][]string
	for i := range traces {
		during = append(during, lines(t, traces[i])[before[i]:])
	}
	load.Wait()
	defer traffic.CloseAll(opened)
	if failed != nil {
		t.Fatal(failed)
	}
	if news < uint64(2*periods) {
		t.Fatalf("%d connections told in %d periods: too few to tell reads from connections", news, periods)
	}

	heartbeats := periods * slowness / 5 // one a second, and as many answers
	onA, onB := calls(during[0]), calls(during[1])
	t.Logf("calls in %d periods that told of %d connections:\ndirector A: %v\ndirector B: %v\nstrace of director A:\n%s\nstrace of director B:\n%s",
		periods, news, onA, onB, excerpt(during[0]), excerpt(during[1]))
	for _, limit := range []struct {
		director string
		calls    map[string]int
		call     string
		least    int
		most     int
	}{
		{"A", onA, "read device", periods / 8, periods * 3 / 2},
		{"A", onA, "sendmmsg", periods / 8, periods*3/2 + heartbeats},
		{"A", onA, "write device", 0, 0},
		{"B", onB, "write device", periods / 8, periods * 3 / 2},
		{"B", onB, "read device", periods / 8, periods * 3 / 2},
		{"B", onB, "sendmmsg", 0, heartbeats},
	} {
		if n := limit.calls[limit.call]; n < limit.least || n > limit.most {
			t.Errorf("director %s: %d calls of %s in %d periods, want %d to %d",
				limit.director, n, limit.call, periods, limit.least, limit.most)
		}
	}
}

func lines(t testing.TB, path string) []string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []string
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		all = append(all, scanner.Text())
	}
	return all
}

// A line is PID TIME CALL(FD<FILE>, ...; the second half of an interrupted call
// is left out.
var tracedCall = regexp.MustCompile(`^\d+ +[\d.]+ (\w+)\((\d+)<([^>]*)>`)

// calls counts system calls by name, those of the device apart.
func calls(trace []string) map[string]int {
	counted := make(map[string]int)
	for _, line := range trace {
		m := tracedCall.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		name := m[1]
		if strings.HasPrefix(m[3], "/dev/ssyncp") {
			name += " device"
		}
		counted[name]++
	}
	return counted
}

// excerpt returns a few calls from the middle, without those by which the
// threads of the daemon wake each other.
func excerpt(trace []string) string {
	const some = 8
	trace = slices.DeleteFunc(slices.Clone(trace), func(line string) bool {
		return strings.Contains(line, "eventfd") || !tracedCall.MatchString(line)
	})
	from := max(0, len(trace)/2-some/2)
	return strings.Join(trace[from:min(len(trace), from+some)], "\n")
}
