package admin_test

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/counters"
	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/internal/vrrp"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// director plays a *cluster.Director.
type director struct {
	status peering.Status
	err    error
	hangs  bool          // until it is not asked any more
	asked  atomic.Uint32 // the sender ID of the last resync, one more

	// What it was asked about connections, see connections_test.go.
	selector block.Selector
	compared block.Peer
	class    block.Class // of what was compared or flushed last
	flushed  int
	failing  error // of what takes long
}

func (d *director) Status(ctx context.Context) (peering.Status, error) {
	if d.hangs {
		<-ctx.Done()
		return peering.Status{}, ctx.Err()
	}
	return d.status, d.err
}

// Resync asks who is live, as peering does.
func (d *director) Resync(_ context.Context, sender uint32) (asked int, err error) {
	d.asked.Store(sender + 1)
	for _, p := range d.status.Peers {
		if p.Proven && !p.Lost && (sender == 0 || p.Peer.Sender == sender) {
			asked++
		}
	}
	return asked, d.err
}

type fruit int

const (
	apple fruit = iota
	pear
)

// groups are counters of a daemon: of good ones, and of bad ones of which the
// two versions of the protocol have one each.
func groups() (all, troubles []counters.Group) {
	good := counters.New[fruit]("good", "apples", "pears")
	good.Add(apple, 3)
	first, second := counters.New[fruit]("bad", "apples", "pears"), counters.New[fruit]("bad", "apples", "pears")
	first.Add(pear, 2)
	second.Add(pear, 5)
	return []counters.Group{good, first, second}, []counters.Group{first, second}
}

// id is a start of a director.
func id(sender uint32, start byte) block.Peer {
	p := block.Peer{Sender: sender}
	binary.BigEndian.PutUint64(p.Start[8:], uint64(start))
	return p
}

// peer is one that is live.
func peer(sender uint32, name, address string) peering.PeerStatus {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		at = netip.AddrPortFrom(netip.MustParseAddr(address), 0)
	}
	return peering.PeerStatus{
		Peer: id(sender, 1), Name: name, Origin: peering.Origin{Addr: at}, Proven: true,
		Heard: time.Now(), State: block.StateSynced,
	}
}

// socket is a path that no other test has.
func socket(t *testing.T) string {
	t.Helper()
	// Not t.TempDir: with the name of a test it gets too long for a socket.
	directory, err := os.MkdirTemp("", "admin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	return filepath.Join(directory, "ssyncpd.sock")
}

// serve answers until the test ends, or stop is called.
func serve(t *testing.T, path string, d admin.Director) (server *admin.Server, stop func()) {
	t.Helper()
	server, err := admin.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	connections, _ := d.(admin.Connections)
	ended := make(chan error, 1)
	go func() {
		ended <- server.Serve(ctx, admin.Parts{
			Version: "1.2.3", Protocol: 2, SyncID: 7, Director: d, Connections: connections, Counters: groups, Traffic: func() admin.Traffic { return admin.Traffic{} },
			Roles: vrrp.NewFollower(nil, vrrp.NewCounters(), slog.New(slog.DiscardHandler)),
			Log:   slog.New(slog.NewTextHandler(io.Discard, nil)),
		})
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return server, stop
}
