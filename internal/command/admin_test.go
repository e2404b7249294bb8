package command_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/counters"
	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/internal/vrrp"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// director plays the one of a running daemon.
type director peering.Status

func (d *director) Status(context.Context) (peering.Status, error) { return peering.Status(*d), nil }

func (d *director) Resync(_ context.Context, sender uint32) (asked int, err error) {
	for _, p := range d.Peers {
		if !p.Lost && p.Proven && (sender == 0 || p.Peer.Sender == sender) {
			asked++
		}
	}
	return asked, nil
}

type reason int

// serve plays a running daemon, and returns its socket.
func serve(t *testing.T, d admin.Director, drops int) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "command")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	server, err := admin.Listen(filepath.Join(directory, "s"))
	if err != nil {
		t.Fatal(err)
	}
	sent, dropped := counters.New[reason]("sent", "frames"), counters.New[reason]("receive_dropped", "ttl", "own", "overrun")
	refused := counters.New[reason]("refused", "no_dest")
	sent.Add(0, 1000)
	dropped.Add(1, drops)
	dropped.Add(0, 12*drops)
	refused.Add(0, 100*drops)
	protocol := 2
	if d == nil {
		protocol = 1
	}
	connections, _ := d.(admin.Connections)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- server.Serve(ctx, admin.Parts{
			Version: "1.2.3", Protocol: protocol, SyncID: 7, Director: d, Connections: connections, Roles: vrrp.NewFollower(nil, vrrp.NewCounters(), slog.New(slog.DiscardHandler)),
			Traffic: func() admin.Traffic { return admin.Traffic{} },
			Counters: func() (all, troubles []counters.Group) {
				return []counters.Group{sent, dropped, refused}, []counters.Group{dropped, refused}
			},
			Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return server.Path()
}

// member is the director of three that tests play.
func member() *director {
	one := peering.PeerStatus{
		Peer: block.Peer{Sender: 0x2b}, Name: "lb2", Origin: peering.Origin{Addr: netip.MustParseAddrPort("10.0.0.2:0")},
		Proven: true, State: block.StateSynced, Heard: time.Now(),
	}
	other, gone := one, one
	other.Peer.Sender, other.Name, other.Origin.Addr = 0x2c, "lb3", netip.MustParseAddrPort("10.0.0.3:0")
	gone.Peer.Sender, gone.Name, gone.Origin.Addr, gone.Lost = 0x2d, "lb4", netip.MustParseAddrPort("10.0.0.4:0"), true
	return &director{
		Self: block.Peer{Sender: 0x2a}, Name: "lb1", State: block.StateSynced,
		Peers: []peering.PeerStatus{one, other, gone},
	}
}

// closed has no socket, and no daemon.
const closed = "/nonexistent/ssyncpd.sock"

func TestTalkingToTheDaemon(t *testing.T) {
	cluster, version1 := serve(t, member(), 1), serve(t, nil, 0)
	for _, tt := range []struct {
		name           string
		socket         string
		args           string
		code           int
		stdout, stderr []string // parts of it; none is nothing at all
	}{
		{"status", cluster, "status", 0, []string{"synced\nlb1 (0000002a), sync ID 7", "\n0000002c  lb3   10.0.0.3  synced", "  receive_dropped  ttl      12\n"}, nil},
		{"status of version 1", version1, "status", 0, []string{"running: version 1 of the protocol knows neither states nor peers\n", "Nothing was dropped"}, nil},
		{"resync of all", cluster, "resync", 0, []string{"2 peers will be asked for what they own"}, nil},
		{"resync of one", cluster, "resync lb2", 0, []string{"1 peer, lb2 (0000002b), will be asked for what it owns"}, nil},
		{"resync of one that is lost", cluster, "resync 0x2d", 1, nil, []string{"ssyncpd: refused: there is nobody to ask", "\nssyncpd:   lb4 (0000002d) at 10.0.0.4: lost, heard 0."}},
		{"resync of nobody", cluster, "resync lb9", 1, nil, []string{`no such peer as "lb9"`, "\nssyncpd:   lb2 (0000002b)", "\nssyncpd:   lb3 (0000002c)"}},
		{"resync of version 1", version1, "resync", 1, nil, []string{"only version 2 has it"}},
		{"status without a daemon", closed, "status", 1, nil, []string{"ssyncpd: admin socket " + closed + ": there is no such socket: is ssyncpd running?", "--admin-socket"}},
		{"resync without a daemon", closed, "resync", 1, nil, []string{"is ssyncpd running?"}},
		{"status without a socket", "", "status", 1, nil, []string{`admin.socket is "", so that ssyncpd has no socket: set it`}},
		{"a relative path", "ssyncpd.sock", "status", 1, nil, []string{`flag --admin-socket: admin.socket = "ssyncpd.sock": not an absolute path`}},
		{"JSON of a resync", cluster, "resync --json", 2, nil, []string{"--json is for"}},
		{"role", cluster, "role --instance VI_1 master", 0, nil, nil},
		{"role of version 1, as keepalived writes it", version1, "role --instance VI_1 BACKUP", 0, nil, nil},
		{"status with the role that was told", cluster, "status", 0, []string{"\nINSTANCE  ROLE    FOR\nVI_1      master  0."}, nil},
		{"role without a daemon", closed, "role --instance VI_1 master", 0, nil, []string{"ssyncpd: the role is not told: admin socket " + closed, "is ssyncpd running?"}},
		{"role without a socket", "", "role --instance VI_1 master", 1, nil, []string{`admin.socket is ""`}},
		{"role that there is not", cluster, "role --instance VI_1 slave", 1, nil, []string{`ssyncpd: refused: no such role: "slave": it is master, backup, fault, or stop`}},
		{"role of an instance that there cannot be", cluster, "role --instance \x01 master", 1, nil, []string{"not a name of a VRRP instance"}},
		{"role without an instance", cluster, "role master", 2, nil, []string{"such as --instance VI_1 master"}},
		{"role without a role", cluster, "role --instance VI_1", 2, nil, []string{"such as --instance VI_1 master"}},
		{"two roles", cluster, "role --instance VI_1 master backup", 2, nil, []string{"role takes one argument"}},
		{"an instance of something else", cluster, "status --instance VI_1", 2, nil, []string{"--instance is for role"}},
		{"two peers", cluster, "resync lb2 lb3", 2, nil, []string{"resync takes one argument"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asks(t, tt.socket, tt.args, tt.code, tt.stdout, tt.stderr)
		})
	}
}

func TestStatusForPrograms(t *testing.T) {
	code, stdout, stderr := execute("status", "--json", "--admin-socket="+serve(t, member(), 1))
	if code != 0 || stderr != "" || strings.Count(stdout, "\n") != 1 {
		t.Fatalf("%d: %q, %q", code, stdout, stderr)
	}
	var s admin.Status
	if err := json.Unmarshal([]byte(stdout), &s); err != nil {
		t.Fatal(err)
	}
	if s.State != "synced" || len(s.Peers) != 3 || s.Peers[2].Name != "lb4" || s.Counters["receive_dropped"]["ttl"] != 12 {
		t.Errorf("got %+v", s)
	}
}

// asks runs a command that asks a daemon. What it writes has these parts, and is
// nothing where there are none.
func asks(t *testing.T, socket, args string, want int, onStdout, onStderr []string) {
	t.Helper()
	code, stdout, stderr := execute(append(strings.Fields(args), "--admin-socket="+socket)...)
	if code != want {
		t.Errorf("exit code %d, want %d", code, want)
	}
	for _, out := range []struct {
		name, got string
		want      []string
	}{{"stdout", stdout, onStdout}, {"stderr", stderr, onStderr}} {
		if len(out.want) == 0 && out.got != "" {
			t.Errorf("%s: %q", out.name, out.got)
		}
		for _, part := range out.want {
			if !strings.Contains(out.got, part) {
				t.Errorf("no %q on %s: %q", part, out.name, out.got)
			}
		}
	}
}
