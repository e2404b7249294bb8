package topology

import (
	"fmt"
	"testing"

	"github.com/ssyncp/ssyncp/lab/director"
)

// TunnelModules are the kernel modules that OpenTunnels needs beside ipip. They
// must be loaded before New: they give each new namespace its devices.
var TunnelModules = []string{"sit", "ip_gre", "ip6_gre", "ip6_tunnel", "fou6", "fou"}

// OpenTunnels has the real servers take packets out of tunnels of every kind:
// IPIP, GRE and GUE, either family in either family. IPv6 must be enabled.
func (lab *Topology) OpenTunnels(t testing.TB) {
	t.Helper()
	port := fmt.Sprintf("fou add port %d gue\n", director.GUEPort)
	for _, s := range lab.Servers {
		err := s.IP("link set sit0 up\nlink set gre0 up\nlink set ip6gre0 up\n" +
			// ip6tnl0 takes nothing until it has an address.
			fmt.Sprintf("link add tunnel6 type ip6tnl mode any local %v remote ::\n", s.Address6) +
			"link set tunnel6 up\n" + port)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.IP6(port); err != nil {
			t.Fatal(err)
		}
	}
}
