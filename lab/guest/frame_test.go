package guest

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire"
)

// What tcpdump sees of version 1 on the sync link when one connection is made: one packet of
// IP protocol 114, to the group, with TTL 255, and nothing of it unexplained.
// docs/protocol.md takes such a frame apart.
func TestFrameOnTheSyncLink(t *testing.T) {
	const port = 8000
	c := newQuietCluster(t, 2, 1)
	for i, d := range c.Directors {
		c.daemons[i] = d.StartDaemon(t, director.Config{Version: 1})
	}
	serve(t, c.Topology, "tcp", port)
	virtual := c.AddService(t, director.Service{Method: director.NAT}, port)
	text := make(chan string)
	go func() {
		// Ends after one frame, which timeout makes sure of.
		out, err := c.Directors[1].Run("/bin/busybox", "timeout", "20",
			"tcpdump", "-Z", "root", "-n", "-v", "-XX", "-e", "-c", "1", "--immediate-mode", "-i", director.SyncLink, "ip proto 114")
		if err != nil {
			t.Error(err)
		}
		text <- out
	}()
	time.Sleep(2 * time.Second) // tcpdump is listening
	source := netip.AddrPortFrom(topology.Clients.Addr().Next(), 0)
	stream, err := traffic.Client{Namespace: c.Client, Source: source.Addr()}.Open(1, virtual)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()

	dump := <-text
	t.Logf("\n%s", dump)
	for _, want := range []string{"ttl 255", "> 224.0.0.81", c.Directors[0].Sync.String()} {
		if !strings.Contains(dump, want) {
			t.Errorf("tcpdump does not show %q", want)
		}
	}
	frame := hexDump(t, dump)
	const ethernet, ip = 14, 20
	if len(frame) < ethernet+ip {
		t.Fatalf("a frame of %d bytes", len(frame))
	}
	advert, err := wire.Decode(frame[ethernet+ip:])
	if err != nil {
		t.Fatal(err)
	}
	var conn ipvs.Conn
	if !advert.Next(&conn) || conn.Client != stream.Local() || conn.Virtual != virtual ||
		conn.Dest != netip.AddrPortFrom(c.Servers[0].Address, port) {
		t.Errorf("the advert has %v, not the connection of %v", &conn, stream.Local())
	}
}

// hexDump reads the bytes of tcpdump -XX: "\t0x0000:  0100 5e00 ...  text".
func hexDump(t testing.TB, dump string) []byte {
	t.Helper()
	var frame []byte
	for _, line := range strings.Split(dump, "\n") {
		_, rest, is := strings.Cut(line, ":  ")
		if !is || !strings.HasPrefix(line, "\t0x") {
			continue
		}
		digits, _, _ := strings.Cut(rest, "  ")
		frame = append(frame, bytesOf(t, digits)...)
	}
	return frame
}

func bytesOf(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
