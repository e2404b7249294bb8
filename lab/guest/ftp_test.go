package guest

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/netns"
	"github.com/ssyncp/ssyncp/lab/topology"
)

// An FTP session behind NAT goes on through director B, wherever it stood when
// A's power went two periods after PASV was answered or PORT was sent.
//
// ip_vs_ftp edits the answer to PASV: it puts the virtual address in the place
// of the real server's. Where the two are not of the same length, all that the
// server says from then on has other sequence numbers on the client's side.
func TestFTPFailover(t *testing.T) {
	if out, err := exec.Command("/sbin/modprobe", "ip_vs_ftp").CombinedOutput(); err != nil {
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
	}{
		{"PORT", shorter, (*ftpClient).active},
		{"PASV, its answer edited", same, (*ftpClient).passive},
		{"PASV, its answer longer by that", shorter, (*ftpClient).passive},
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
		// What comes behind the transfer proves that the control connection
		// is in step in both directions, and that director B has taken over
		// the part of ip_vs_ftp too.
		end := func(t *testing.T, c *cluster, client *ftpClient) {
			t.Helper()
			client.expect(t, "226 Transfer complete")
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
			time.Sleep(twoPeriods)
			c.failOver(t, 0, 1)

			readFile(t, retrieve(t, client, openData, size), 0, size)
			end(t, c, client)
		})

		t.Run(mode.name+", while data is transferred", func(t *testing.T) {
			c, client := begin(t)
			data := retrieve(t, client, mode.open(client, t, topology.Virtual), long)
			readFile(t, data, 0, ftpChunk)
			time.Sleep(twoPeriods)
			c.failOver(t, 0, 1)

			readFile(t, data, ftpChunk, long)
			end(t, c, client)
		})
	}
}
