package guest

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
)

// statefulFirewall drops what conntrack cannot make sense of, as firewalls do.
const statefulFirewall = `
table inet firewall {
	chain input {
		type filter hook input priority 0;
		ct state invalid counter drop
	}
	chain forward {
		type filter hook forward priority 0;
		ct state invalid counter drop
	}
}
`

// carryConntrack has daemons carry conntrack entries, too.
const carryConntrack = "[conntrack]\nenabled = true\n"

// guard puts rules in front of a director.
func guard(t testing.TB, d *director.Director, rules string) {
	t.Helper()
	if _, err := d.Feed(rules, "/sbin/nft", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

var packetsCounted = regexp.MustCompile(`counter packets (\d+)`)

// invalidPackets returns how many packets the firewall dropped.
func invalidPackets(t testing.TB, d *director.Director) int {
	t.Helper()
	text, err := d.Run("/sbin/nft", "list", "table", "inet", "firewall")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, found := range packetsCounted.FindAllStringSubmatch(text, -1) {
		packets, err := strconv.Atoi(found[1])
		if err != nil {
			t.Fatal(err)
		}
		count += packets
	}
	return count
}

// Director B's conntrack has never heard of the connections that it takes over.
// With nf_conntrack_tcp_loose, the default, it picks them up in the middle;
// without, all of them are invalid to it, unless it is told not to look, or
// conntrack entries are carried, too.
func TestStatefulFirewall(t *testing.T) {
	const (
		port   = 8000
		few    = 21
		many   = 1000
		lostIn = 3 * time.Second
	)
	for _, test := range []struct {
		name      string
		network   string
		conntrack string // net.ipv4.vs.conntrack
		loose     string
		rules     string
		extra     string // of the daemons' configuration
		lost      bool
	}{
		{"TCP", "tcp", "1", "1", statefulFirewall, "", false},
		{"UDP", "udp", "1", "1", statefulFirewall, "", false},
		{"TCP, not loose", "tcp", "1", "0", statefulFirewall, "", true},
		{"TCP, not loose, both classes carried", "tcp", "1", "0", statefulFirewall, carryConntrack, false},
		{"TCP, not loose, the service not tracked", "tcp", "0", "0", statefulFirewall + fmt.Sprintf(`
table inet untracked {
	chain prerouting {
		type filter hook prerouting priority raw;
		ip daddr %v tcp dport %d notrack
		ip saddr 10.0.2.0/24 tcp sport %[2]d notrack
	}
}
`, topology.Virtual, port), "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClusterOf(t, 2, 2, director.Config{Extra: test.extra})
			a, b := c.Directors[0], c.Directors[1]
			streams := few
			if test.extra != "" && inFull() {
				streams = many
			}
			for _, d := range c.Directors {
				guard(t, d, test.rules)
				d.Set(t, "conntrack", test.conntrack)
				if err := d.Sysctl("netfilter.nf_conntrack_tcp_loose", test.loose); err != nil {
					t.Fatal(err)
				}
			}
			serve(t, c.Topology, test.network, port)
			virtual := c.AddService(t, director.Service{Protocol: test.network, Method: director.NAT}, port)

			open, err := traffic.Client{Namespace: c.Client, Network: test.network}.OpenMany(streams, 0, virtual)
			if err != nil {
				t.Fatal(err)
			}
			defer traffic.CloseAll(open)
			if r := traffic.Exchange(open, crowdPatience); len(r.Lost) > 0 {
				t.Fatalf("through director A: %v", r.Errors[0])
			}
			mirrored(t, a, b, open...)
			c.told(t)
			c.failOver(t, 0, 1)

			if test.lost {
				if r := traffic.Exchange(open, lostIn); len(r.Survived) > 0 || invalidPackets(t, b) == 0 {
					t.Errorf("%d streams survived, %d packets were invalid: the firewall does nothing",
						len(r.Survived), invalidPackets(t, b))
				}
				return
			}
			for range 2 {
				r := traffic.Exchange(open, crowdPatience)
				for _, err := range r.Errors {
					t.Error(err)
				}
				t.Logf("%d of %d streams survive", len(r.Survived), streams)
			}
			if dropped := invalidPackets(t, b); dropped != 0 {
				t.Errorf("director B's firewall dropped %d packets", dropped)
			}
		})
	}
}

// Firewalls that translate addresses themselves have no IPVS connections: all
// that a stream needs is its conntrack entry.
func TestFirewallWithoutIPVS(t *testing.T) {
	const (
		port   = 8000
		lostIn = 3 * time.Second
	)
	streams := 100
	if inFull() {
		streams = 1000
	}
	for _, test := range []struct {
		name  string
		extra string // of the daemons' configuration
		lost  bool
	}{
		{"conntrack entries carried", carryConntrack, false},
		{"nothing carried", "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClusterOf(t, 2, 1, director.Config{Extra: test.extra})
			virtual := forward(t, c, port)
			open, err := traffic.Client{Namespace: c.Client, Network: "tcp"}.OpenMany(streams, 0, virtual)
			if err != nil {
				t.Fatal(err)
			}
			defer traffic.CloseAll(open)
			if r := traffic.Exchange(open, crowdPatience); len(r.Lost) > 0 {
				t.Fatalf("through director A: %v", r.Errors[0])
			}
			c.told(t)
			c.failOver(t, 0, 1)
			if test.lost {
				if r := traffic.Exchange(open, lostIn); len(r.Survived) > 0 {
					t.Errorf("%d of %d streams survive", len(r.Survived), streams)
				}
				return
			}
			r := traffic.Exchange(open, crowdPatience)
			for _, err := range r.Errors {
				t.Error(err)
			}
			t.Logf("%d of %d streams survive", len(r.Survived), streams)
			if dropped := invalidPackets(t, c.Directors[1]); dropped != 0 {
				t.Errorf("director B's firewall dropped %d packets", dropped)
			}
		})
	}
}

// forward has directors be firewalls that forward a port of the virtual address to
// the first server, strict with what they have not seen from its beginning.
func forward(t *testing.T, c *cluster, port uint16) (virtual netip.AddrPort) {
	t.Helper()
	for _, d := range c.Directors {
		guard(t, d, statefulFirewall+fmt.Sprintf(`
table ip translated {
	chain prerouting {
		type nat hook prerouting priority -100;
		ip daddr %v tcp dport %d dnat to %v:%[2]d
	}
}
`, topology.Virtual, port, c.Servers[0].Address))
		if err := d.Sysctl("netfilter.nf_conntrack_tcp_loose", "0"); err != nil {
			t.Fatal(err)
		}
	}
	serve(t, c.Topology, "tcp", port)
	return netip.AddrPortFrom(topology.Virtual, port)
}

// FTP through such a firewall: here it is the server that speaks first after
// the failover, sequence numbers are edited, and a new transfer comes behind.
func TestStatefulFirewallFTP(t *testing.T) {
	if out, err := modprobe("-a", "ip_vs_ftp"); err != nil {
		t.Fatalf("modprobe ip_vs_ftp: %v\n%s", err, out)
	}
	const size = 256 << 10
	for name, open := range map[string]func(*ftpClient, testing.TB, netip.Addr) dataOpener{
		"PORT": (*ftpClient).active, "PASV": (*ftpClient).passive,
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 2, 1)
			server := c.Servers[0]
			// What edits packets must mend their checksums.
			sendWithChecksums(t, server.Namespace, director.BackLink)
			sendWithChecksums(t, c.Client, director.FrontLink)
			serveFTP(t, server.Namespace, server.Address) // shorter than the virtual address
			for _, d := range c.Directors {
				guard(t, d, statefulFirewall)
				d.Set(t, "conntrack", "1")
			}
			client := dialFTP(t, c.Client, c.AddService(t, director.Service{Method: director.NAT}, ftpPort))
			client.retrieve(t, open, size, func() {
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
