package daemon

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/transport"
)

func TestPeerThatIsNotReachedIsSaidOnceAMinute(t *testing.T) {
	var log strings.Builder
	l := &reportedLink{log: slog.New(slog.NewTextHandler(&log, nil))}
	peer, other := netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.3")
	began := time.Now()
	for second := range 121 {
		l.report(began.Add(time.Duration(second)*time.Second), transport.PeerReport{
			Peer: peer, Kind: transport.PeerPortUnreachable, Count: 2, By: peer,
		})
	}
	l.report(began, transport.PeerReport{Peer: other, Kind: transport.PeerFragNeeded, Count: 1, MTU: 1400})
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines, want three in two minutes, and one of the other peer:\n%s", len(lines), &log)
	}
	for i, want := range []string{"times=2 says=10.0.0.2 do=\"see whether ssyncpd runs there", "times=120", "times=120", "mtu=1400"} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d: %s, want %s", i, lines[i], want)
		}
	}
}
