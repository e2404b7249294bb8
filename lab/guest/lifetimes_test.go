package guest

import (
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
)

// A copy lives as long as what it is a copy of, to two seconds, whatever the
// protocol and the state.
func TestLifetimes(t *testing.T) {
	const (
		plain, datagrams, persistent = 8000, 5300, 8001
		apart                        = 2 * time.Second
	)
	c := newCluster(t, 2, 2)
	a, b := c.Directors[0], c.Directors[1]
	for _, server := range c.Servers {
		// An answer that is sent again is a packet: nothing would rest.
		if err := server.Sysctl("ipv4.tcp_synack_retries", "0"); err != nil {
			t.Fatal(err)
		}
	}
	serve(t, c.Topology, "tcp", plain)
	serve(t, c.Topology, "tcp", persistent)
	serve(t, c.Topology, "udp", datagrams)
	service := c.AddService(t, director.Service{Method: director.NAT}, plain)
	sticky := c.AddService(t, director.Service{Method: director.NAT, Persistence: 450 * time.Second}, persistent)
	flows := c.AddService(t, director.Service{Protocol: "udp", Method: director.NAT}, datagrams)

	tcp := traffic.Client{Namespace: c.Client}
	udp := traffic.Client{Namespace: c.Client, Network: "udp"}
	compare := func(t *testing.T, states ...string) {
		t.Helper()
		onA, onB := a.Connections(t), b.Connections(t)
		copies := make(map[string]director.Connection)
		for _, conn := range onB {
			copies[connectionKey(conn)] = conn
		}
		seen := make(map[string]int)
		for _, conn := range onA {
			seen[conn.State]++
			copied, has := copies[connectionKey(conn)]
			switch {
			case !has:
				t.Errorf("B has no copy of %+v", conn)
			case copied.State != conn.State:
				t.Errorf("%s on B: %+v", copied.State, conn)
			case (copied.Expires - conn.Expires).Abs() > apart:
				t.Errorf("%v left on B: %+v", copied.Expires, conn)
			}
		}
		for _, state := range states {
			if seen[state] == 0 {
				t.Errorf("director A has nothing in state %s", state)
			}
		}
	}

	t.Run("of what rests", func(t *testing.T) {
		exchange(t, open(t, tcp, service))
		exchange(t, open(t, udp, flows))
		exchange(t, open(t, tcp, sticky))
		closed, reset := open(t, tcp, service), open(t, tcp, service)
		if err := traffic.Flood(c.Client, topology.Flood, service, 5, 0); err != nil {
			t.Fatal(err)
		}
		// What is over before it was ever told is not told.
		c.told(t)
		if err := closed.Close(); err != nil {
			t.Fatal(err)
		}
		if err := reset.Reset(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		compare(t, "ESTABLISHED", "SYN_RECV", "TIME_WAIT", "CLOSE", "UDP", "ASSURED")
	})

	// A packet that changes no state restarts the timer of the owner: its
	// peers hear of it as often as net.ipv4.vs.sync_refresh_period says, and
	// without it when a third of the timeout is over.
	t.Run("of what is in use, refreshed every second", func(t *testing.T) {
		a.Set(t, "sync_refresh_period", "1")
		stream, flow := open(t, tcp, service), open(t, udp, flows)
		for range 8 {
			time.Sleep(500 * time.Millisecond)
			exchange(t, stream)
			exchange(t, flow)
		}
		c.told(t)
		compare(t, "ESTABLISHED", "UDP")
	})
}
