package guest

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/netns"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// An FTP session behind NAT goes on through director B, wherever it stood when
// A's power went two periods after PASV was answered or PORT was sent.
//
// ip_vs_ftp edits the answer to PASV: it puts the virtual address in the place
// of the real server's. Where the two are not of the same length, all that the
// server says from then on has other sequence numbers on the client's side. The
// copy has those, like all else of the session's two connections, and goes on
// by them.
func TestFTPFailover(t *testing.T) {
	if out, err := modprobe("-a", "ip_vs_ftp"); err != nil {
		t.Fatalf("modprobe ip_vs_ftp: %v\n%s", err, out)
	}
	const (
		size = 64 << 10 // of the file: a third of a second
		long = 512 << 10
	)
	same := netip.MustParseAddr("10.0.2.121") // as long as the virtual address
	shorter := netip.MustParseAddr("10.0.2.21")
	modes := []struct {
		name   string
		server netip.Addr
		open   func(*ftpClient, testing.TB, netip.Addr) dataOpener
		grown  uint32 // bytes that an answer has more for the client
	}{
		{"PORT", shorter, (*ftpClient).active, 0},
		{"PASV, its answer edited", same, (*ftpClient).passive, 0},
		{"PASV, its answer longer by that", shorter, (*ftpClient).passive, 1},
	}
	for _, mode := range modes {
		begin := func(t *testing.T) (*cluster, *ftpClient) {
			c := newCluster(t, 2, 1)
			server := c.Servers[0]
			// What edits packets must mend their checksums.
			sendWithChecksums(t, server.Namespace, director.BackLink)
			sendWithChecksums(t, c.Client, director.FrontLink)
			if mode.server != server.Address {
				if err := server.IP(fmt.Sprintf("addr add %v/24 dev back\n", mode.server)); err != nil {
					t.Fatal(err)
				}
			}
			serveFTP(t, server.Namespace, mode.server)
			t.Cleanup(func() {
				for _, n := range []*netns.Namespace{server.Namespace, c.Client} {
					if bad := badChecksums(t, n); bad != 0 {
						t.Errorf("%s met %d bad checksums", n.Name, bad)
					}
				}
			})
			virtual := netip.AddrPortFrom(topology.Virtual, ftpPort)
			for _, d := range c.Directors {
				d.AddService(t, director.Service{Method: director.NAT, Virtual: virtual,
					Servers: []netip.AddrPort{netip.AddrPortFrom(mode.server, ftpPort)}})
			}
			return c, dialFTP(t, c.Client, virtual)
		}
		retrieve := func(t *testing.T, client *ftpClient, openData dataOpener, size int) net.Conn {
			t.Helper()
			client.say(t, fmt.Sprintf("RETR %d", size))
			data, err := openData()
			if err != nil {
				t.Fatalf("data connection: %v", err)
			}
			t.Cleanup(func() { data.Close() })
			client.expect(t, "150 here it comes")
			return data
		}
		// failOver compares what the two directors have, and returns what A
		// had of the control connection.
		failOver := func(t *testing.T, c *cluster) ipvs.Conn {
			t.Helper()
			c.told(t)
			pairs := compare(t, c.Directors[0], c.Directors[1])
			control := find(t, pairs, isFTPControl).owner
			if control.Out.Delta != mode.grown || control.In != (ipvs.Sequence{}) {
				t.Errorf("%v: %+v in, %+v out, want %d more bytes out", &control, control.In, control.Out, mode.grown)
			}
			if len(pairs) != 2 {
				t.Errorf("%d connections and copies, want that of control and that of data", len(pairs))
			}
			c.failOver(t, 0, 1)
			return control
		}
		// What comes behind the transfer proves that the control connection
		// is in step in both directions, and that director B has taken over
		// the part of ip_vs_ftp too.
		end := func(t *testing.T, c *cluster, client *ftpClient, before ipvs.Conn) {
			t.Helper()
			client.expect(t, "226 Transfer complete")
			now, _ := known(t, c.Directors[1], before.Key())
			if now.In != before.In || now.Out != before.Out || now.Marks&ipvs.MarkLocal == 0 {
				t.Errorf("director B goes on with %+v in, %+v out, A had %+v and %+v: %v",
					now.In, now.Out, before.In, before.Out, &now)
			}
			client.say(t, "NOOP")
			client.expect(t, "200 "+c.Servers[0].Name)
			readFile(t, retrieve(t, client, mode.open(client, t, topology.Virtual), ftpChunk), 0, ftpChunk)
			client.expect(t, "226 Transfer complete")
			client.say(t, "QUIT")
			client.expect(t, "221 bye")
		}

		t.Run(mode.name+", before the data connection", func(t *testing.T) {
			c, client := begin(t)
			openData := mode.open(client, t, topology.Virtual)
			before := failOver(t, c)

			readFile(t, retrieve(t, client, openData, size), 0, size)
			end(t, c, client, before)
		})

		t.Run(mode.name+", while data is transferred", func(t *testing.T) {
			c, client := begin(t)
			data := retrieve(t, client, mode.open(client, t, topology.Virtual), long)
			readFile(t, data, 0, ftpChunk)
			before := failOver(t, c)

			readFile(t, data, ftpChunk, long)
			end(t, c, client, before)
		})
	}
}

// Director B's first packet of a session is lost behind IPVS, with the conntrack
// entry that was to move the sequence numbers, while its daemon does not read: the
// entry that the next packet brings moves them.
func TestFTPFailoverFirstPacketLost(t *testing.T) {
	if out, err := modprobe("-a", "ip_vs_ftp"); err != nil {
		t.Fatalf("modprobe ip_vs_ftp: %v\n%s", err, out)
	}
	c := newCluster(t, 2, 1)
	server := c.Servers[0]
	sendWithChecksums(t, server.Namespace, director.BackLink)
	sendWithChecksums(t, c.Client, director.FrontLink)
	serveFTP(t, server.Namespace, server.Address) // shorter than the virtual address
	client := dialFTP(t, c.Client, c.AddService(t, director.Service{Method: director.NAT}, ftpPort))
	client.passive(t, topology.Virtual)
	c.told(t)
	b := c.Directors[1]
	control := find(t, compare(t, c.Directors[0], b), isFTPControl).owner
	if control.Out.Delta == 0 {
		t.Fatalf("%v: the answer to PASV has not grown", &control)
	}

	c.daemons[1].Signal(t, syscall.SIGSTOP)
	defer c.daemons[1].Signal(t, syscall.SIGCONT)
	guard(t, b, `
table inet firewall {
	chain postrouting {
		type filter hook postrouting priority 0;
		tcp dport 21 counter drop
	}
}
`)
	c.failOver(t, 0, 1)
	client.say(t, "NOOP")
	for invalidPackets(t, b) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	if _, err := b.Run("/sbin/nft", "delete", "table", "inet", "firewall"); err != nil {
		t.Fatal(err)
	}
	client.expect(t, "200 "+server.Name)
}

// isFTPControl tells a session's control connection from that of data.
func isFTPControl(c ipvs.Conn) bool { return c.Virtual.Port() == ftpPort }
