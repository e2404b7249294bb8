package guest

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

// helpingFirewall forwards FTP to a server, and lets no data connection through
// that its helper did not expect.
const helpingFirewall = `
table inet firewall {
	ct helper ftp {
		type "ftp" protocol tcp
		l3proto ip
	}
	chain helpers {
		type filter hook prerouting priority 0;
		tcp dport %[2]d ct helper set "ftp"
	}
	chain forward {
		type filter hook forward priority 0; policy drop;
		ct state invalid counter drop
		ct state established,related accept
		tcp dport %[2]d ct state new accept
	}
}
table ip translated {
	chain prerouting {
		type nat hook prerouting priority -100;
		ip daddr %[1]v tcp dport %[2]d dnat to %[3]v:%[2]d
	}
}
`

// FTP through a pair of firewalls, without IPVS. The entry of the control
// connection has its helper at the peer as well, and the sequence numbers that
// moved when an answer grew: both connections go on behind the failover, and the
// helper there lets the next data connection through.
func TestFirewallFTP(t *testing.T) {
	const size = 512 << 10
	for name, open := range map[string]func(*ftpClient, testing.TB, netip.Addr) dataOpener{
		"PORT": (*ftpClient).active, "PASV": (*ftpClient).passive,
	} {
		t.Run(name, func(t *testing.T) {
			loadModules(t, "nf_conntrack_ftp", "nf_nat_ftp")
			c := newClusterOf(t, 2, 1, director.Config{Extra: carryConntrack})
			server := c.Servers[0]
			// What edits packets must mend their checksums.
			sendWithChecksums(t, server.Namespace, director.BackLink)
			sendWithChecksums(t, c.Client, director.FrontLink)
			serveFTP(t, server.Namespace, server.Address) // shorter than the virtual address
			for _, d := range c.Directors {
				guard(t, d, fmt.Sprintf(helpingFirewall, topology.Virtual, ftpPort, server.Address))
				if err := d.Sysctl("netfilter.nf_conntrack_tcp_loose", "0"); err != nil {
					t.Fatal(err)
				}
			}
			virtual := netip.AddrPortFrom(topology.Virtual, ftpPort)
			client := dialFTP(t, c.Client, virtual)
			// A helper has not seen a line's end yet, and looks at no first one.
			client.say(t, "NOOP")
			client.expect(t, "200 "+server.Name)
			client.retrieve(t, open, size, func() {
				for _, d := range c.Directors {
					eventually(t, soakTold, func() bool {
						list := entriesTo(t, d, virtual)
						if len(list) != 1 || list[0].Helper != "ftp" {
							return false
						}
						moved := list[0].Adjust[1].After != 0
						return moved == (name == "PASV") && moved == (list[0].Status&conntrack.SeqAdjusted != 0)
					}, fmt.Sprintf("%s lacks the helper of the control connection, or what %s does to its sequence numbers", d.Name, name))
				}
				c.told(t)
				c.failOver(t, 0, 1)
			})
			client.retrieve(t, open, 2*ftpChunk, func() {})
			client.say(t, "QUIT")
			client.expect(t, "221 bye")
			for _, d := range c.Directors {
				if dropped := invalidPackets(t, d); dropped != 0 {
					t.Errorf("%s: the firewall dropped %d packets", d.Name, dropped)
				}
			}
		})
	}
}
