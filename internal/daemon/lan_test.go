package daemon_test

import (
	"fmt"
	"testing"

	"github.com/ssyncp/ssyncp/internal/netnstest"
)

// lan is hosts on one bridge: 192.0.2.1, .2, and so on, each with eth0.
type lan struct {
	bridge *netnstest.Namespace
	hosts  []*netnstest.Namespace
}

func newLAN(t testing.TB, hosts int) *lan {
	t.Helper()
	l := &lan{bridge: netnstest.New(t)}
	// Without snooping, which floods the group to everybody only until it has
	// seen who is in it.
	l.bridge.IP(t, "link add br0 type bridge mcast_snooping 0")
	l.bridge.IP(t, "link set br0 up")
	for i := range hosts {
		host, port := netnstest.New(t), fmt.Sprintf("port%d", i)
		netnstest.Pair(t, host, "eth0", fmt.Sprintf("192.0.2.%d/24", i+1), l.bridge, port, fmt.Sprintf("198.51.100.%d/32", i+1))
		l.bridge.IP(t, "link set "+port+" master br0")
		l.hosts = append(l.hosts, host)
	}
	return l
}
