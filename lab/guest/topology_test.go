package guest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/netns"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
)

// The network itself, with IPVS alone: what all other tests stand on.
func TestTopologyForwards(t *testing.T) {
	lab := topology.New(t, 2, 2)
	for i, method := range director.Methods {
		for j, protocol := range []string{"tcp", "udp"} {
			t.Run(fmt.Sprintf("%v/%s", method, protocol), func(t *testing.T) {
				port := uint16(8000 + 10*i + j)
				serve(t, lab, protocol, port)
				virtual := lab.AddService(t, director.Service{Protocol: protocol, Method: method}, port)

				const streams = 10
				client := traffic.Client{Namespace: lab.Client, Network: protocol}
				open, err := client.OpenMany(streams, 0, virtual)
				if err != nil {
					t.Fatal(err)
				}
				defer traffic.CloseAll(open)
				if r := traffic.Exchange(open, 5*time.Second); len(r.Lost) > 0 {
					t.Fatalf("%d of %d streams lost: %v", len(r.Lost), streams, r.Errors[0])
				}

				perServer := make(map[string]int)
				onA, onB := lab.Directors[0].ByClient(t), lab.Directors[1].ByClient(t)
				for _, s := range open {
					perServer[s.Server]++
					if _, known := onA[s.Local()]; !known {
						t.Errorf("director A does not know the connection of %v", s.Local())
					}
					if _, known := onB[s.Local()]; known {
						t.Errorf("director B knows the connection of %v", s.Local())
					}
				}
				for _, server := range lab.Servers {
					if got := perServer[server.Name]; got != streams/2 {
						t.Errorf("%s has %d streams of %d, want half", server.Name, got, streams)
					}
				}
			})
		}
	}
}

// Without anybody to copy connections, a cut director takes its streams along.
func TestTopologyCutLosesStreams(t *testing.T) {
	lab := topology.New(t, 2, 2)
	serve(t, lab, "tcp", 8000)
	virtual := lab.AddService(t, director.Service{Method: director.NAT}, 8000)
	client := traffic.Client{Namespace: lab.Client}
	open, err := client.OpenMany(4, 0, virtual)
	if err != nil {
		t.Fatal(err)
	}
	defer traffic.CloseAll(open)

	a, b := lab.Directors[0], lab.Directors[1]
	lab.Cut(t, a)
	lab.Activate(t, b)
	if r := traffic.Exchange(open, 2*time.Second); len(r.Survived) > 0 {
		t.Errorf("%d of %d streams survived without a copy", len(r.Survived), len(open))
	}
	s, err := client.Open(100, virtual)
	if err != nil {
		t.Fatalf("a new stream through director B: %v", err)
	}
	s.Close()

	lab.Restore(t, a)
	lab.Activate(t, a)
	if s, err = client.Open(101, virtual); err != nil {
		t.Fatalf("a new stream through director A, plugged in again: %v", err)
	}
	s.Close()
}

// A flood reaches IPVS, whole and with good checksums, as half-open connections.
func TestTopologyFlood(t *testing.T) {
	lab := topology.New(t, 1, 1)
	serve(t, lab, "tcp", 8000)
	virtual := lab.AddService(t, director.Service{Method: director.NAT}, 8000)
	const count = 500
	if err := traffic.Flood(lab.Client, topology.Flood, virtual, count, 2000); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	halfOpen := 0
	for _, c := range lab.Directors[0].Connections(t) {
		if c.State == "SYN_RECV" {
			halfOpen++
		}
	}
	if halfOpen != count {
		t.Errorf("%d connections in SYN_RECV, want %d", halfOpen, count)
	}
	if bad := badChecksums(t, lab.Servers[0].Namespace); bad != 0 {
		t.Errorf("the server met %d bad checksums", bad)
	}
}

// badChecksums reads TcpInCsumErrors of a namespace.
func badChecksums(t *testing.T, n *netns.Namespace) int {
	t.Helper()
	text, err := n.ReadFile("snmp")
	if err != nil {
		t.Fatal(err)
	}
	// The line of titles comes first, the one of values after it.
	var titles []string
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "Tcp:" {
			continue
		}
		if titles == nil {
			titles = fields
			continue
		}
		count, err := strconv.Atoi(fields[slices.Index(titles, "InCsumErrors")])
		if err != nil {
			t.Fatal(err)
		}
		return count
	}
	t.Fatalf("%s: no Tcp in /proc/net/snmp", n.Name)
	return 0
}

// serve starts an echo server in every real server's namespace.
func serve(t *testing.T, lab *topology.Topology, protocol string, port uint16) {
	t.Helper()
	for _, server := range lab.Servers {
		echo, err := traffic.Serve(server.Namespace, protocol, port)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { echo.Close() })
	}
}
