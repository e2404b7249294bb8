package daemon

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/ssyncp/ssyncp/internal/transport"
)

// reportedLink logs which peers are not reached, as their hosts or routers say:
// a kind of error that is new for a peer at once, one that goes on once a
// minute.
type reportedLink struct {
	*transport.Link
	log    *slog.Logger
	errors map[reportedError]*reported
}

type reportedError struct {
	peer netip.Addr
	kind transport.PeerError
}

type reported struct {
	at    time.Time // of the last line
	count int       // since then
}

// remedies are what there is to do.
var remedies = map[transport.PeerError]string{
	transport.PeerNoRoute:             "add a route",
	transport.PeerTooLarge:            "lower the MTU of the link's interface",
	transport.PeerFirewall:            "a firewall of this host drops it: let it out",
	transport.PeerHostUnreachable:     "see whether the host is up, and its address right",
	transport.PeerProtocolUnreachable: "see whether ssyncpd runs there, with such a link and without udp_port",
	transport.PeerPortUnreachable:     "see whether ssyncpd runs there, with this udp_port",
	transport.PeerProhibited:          "a firewall on the way drops it: let it through",
	transport.PeerTTLExceeded:         "raise the ttl of the link",
}

// Check is cluster.Link's. It is called every second.
func (l *reportedLink) Check() (carrier bool, err error) {
	for _, r := range l.PeerErrors() {
		l.report(time.Now(), r)
	}
	return l.Link.Check()
}

func (l *reportedLink) report(now time.Time, r transport.PeerReport) {
	key := reportedError{r.Peer, r.Kind}
	k := l.errors[key]
	if k == nil {
		if l.errors == nil {
			l.errors = make(map[reportedError]*reported)
		}
		k = new(reported)
		l.errors[key] = k
	}
	k.count += r.Count
	if !k.at.IsZero() && now.Sub(k.at) < repeatEvery {
		return
	}
	attrs := []any{"peer", r.Peer, "error", r.Kind, "times", k.count}
	if r.By.IsValid() {
		attrs = append(attrs, "says", r.By)
	}
	if r.MTU > 0 {
		attrs = append(attrs, "mtu", r.MTU)
	}
	if remedy := remedies[r.Kind]; remedy != "" {
		attrs = append(attrs, "do", remedy)
	}
	l.log.Warn("a peer is not reached", attrs...)
	k.at, k.count = now, 0
}
