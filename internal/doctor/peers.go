package doctor

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ssyncp/ssyncp/internal/admin"
)

// silence is how long nothing is heard of a peer on a link until the link is to
// blame: some heartbeats.
const silence = 5 * time.Second

// enabled is what `systemctl enable` makes.
const enabled = "/etc/systemd/system/multi-user.target.wants/ssyncpd.service"

// counted is something that the daemon counts, and what to do about it.
type counted struct{ group, name, what, remedy string }

// failures are what went wrong on this side, or on the way.
var failures = []counted{
	{"cluster_trouble", "lost", "news was lost in the kernel", "a larger queue (queue_len of the module), or a higher multicast.max_pps: docs/tuning.md"},
	{"cluster_trouble", "link_failed", "a link failed", "journalctl -u ssyncpd says which and why"},
	{"receive_dropped", "overrun", "frames of peers did not fit the socket", "a lower multicast.max_pps on the peers, or more processor time here: docs/tuning.md"},
	{"peer_unreachable", "firewall", "a rule of this host dropped frames to peers", "nft list ruleset: the chains of hook output"},
	{"peer_unreachable", "prohibited", "a rule on the way dropped frames to peers", "let IP protocol 114, or the link's udp_port, through there, in both directions"},
	{"peer_unreachable", "no_route", "there was no route to a peer", "ip route get ADDRESS"},
	{"peer_unreachable", "protocol_unreachable", "nobody listened at a peer", "systemctl status ssyncpd there"},
	{"peer_unreachable", "port_unreachable", "nobody listened at a peer", "systemctl status ssyncpd there, and its udp_port"},
}

// refusals are frames that came in and were of no use.
var refusals = []counted{
	{"cluster_refused", "key", "sealed with a key that this director does not have", "compare the key IDs of `ssyncpd check-config` on all directors, and copy the key from one to the others"},
	{"cluster_refused", "seal", "forged, damaged, or sealed with another key of the same ID", "if it goes on, somebody on the link sends them: SECURITY.md"},
	{"cluster_refused", "not_sealed", "not sealed", `wire.auth is "none" on a peer: set it to "psk" there`},
	{"cluster_refused", "sealed", "sealed, and wire.auth is \"none\" here", `set wire.auth = "psk" here`},
	{"cluster_refused", "other_version", "of another version", "wire.version and wire.dual_until on the peers"},
	{"cluster_refused", "foreign_sync_id", "of another sync ID", "sync_id has to be the same on the directors of a cluster; another cluster on the link does no harm"},
	{"receive_dropped", "not_a_peer", "from addresses that are not in the list of peers", "add the address to the peers of the link, if it is one"},
}

// daemon looks whether ssyncpd runs, and how it is.
func (x *examination) daemon() {
	if x.status == nil {
		x.unanswered()
		return
	}
	x.fact("ssyncpd %s runs", x.status.Version)
	for _, failure := range failures {
		if n := x.count(failure.group, failure.name); n > 0 {
			x.find(x.sinceStart(), failure.remedy, "since ssyncpd started %s: %s %s, %d", failure.what, failure.group, failure.name, n)
		}
	}
	m := x.status.Membership
	if m == nil {
		x.find(Note, "wire.version = 2, one director at a time with wire.dual_until", "version 1 of the protocol is spoken: it knows no peers, and is not authenticated")
		return
	}
	x.fact("%s", m.State)
	switch m.State {
	case "joining":
		x.find(Warning, "wait; if it lasts, `ssyncpd status` says whom it takes a snapshot of, and journalctl -u ssyncpd why it fails", "ssyncpd joins: it does not have yet what its peers have")
	case "degraded":
		x.find(Warning, "compare `ipvsadm -Ln` here and on the peers; when the services are there, ssyncpd asks for what it lacks by itself",
			"degraded: %d entries were refused, as their service or real server is not configured here", m.Missing)
	}
}

// unanswered says why there is no status.
func (x *examination) unanswered() {
	_, err := x.host.Files.Stat(enabled)
	switch {
	case x.Config.Admin.Socket == "":
		x.find(Note, "set admin.socket", "ssyncpd has no socket to be asked by: how it and its peers are is not known")
	case errors.Is(x.statusErr, admin.ErrPermission):
		x.find(Note, "run ssyncpd doctor as root", "%v", x.statusErr)
	case errors.Is(x.statusErr, admin.ErrTimeout), errors.Is(x.statusErr, admin.ErrAnswer), errors.Is(x.statusErr, admin.ErrRefused):
		x.find(Failure, "journalctl -u ssyncpd, then systemctl restart ssyncpd: nothing is lost by it", "%v", x.statusErr)
	case x.process != nil:
		x.find(Warning, "admin.socket is another one there: --admin-socket names it here; or journalctl -u ssyncpd says why there is none",
			"ssyncpd runs (process %d) and does not answer on %s", x.process.id, x.Config.Admin.Socket)
	case err == nil:
		x.find(Failure, "systemctl status ssyncpd, journalctl -u ssyncpd", "ssyncpd is enabled and does not run")
	default:
		x.find(Note, "when there is nothing else: systemctl enable --now ssyncpd", "ssyncpd does not run: whether peers are reached is not known")
	}
}

// sinceStart is how much counters matter that only grow: where peers are heard,
// what they tell may be over.
func (x *examination) sinceStart() Severity {
	if len(x.livePeers()) > 0 {
		return Note
	}
	return Warning
}

// peers looks at the others, as the running daemon hears them.
func (x *examination) peers() {
	if x.status == nil || x.status.Membership == nil {
		return
	}
	live := x.livePeers()
	x.fact("%d heard", len(live))
	if len(x.status.Peers) == 0 {
		x.find(Warning, "ssyncpd doctor on the other director; tcpdump -n -i INTERFACE 'ip proto 114' here and there: docs/troubleshooting.md",
			"no peer was ever heard (%s)", x.status.State)
	}
	for _, p := range x.status.Peers {
		again := slices.ContainsFunc(live, func(other admin.Peer) bool { return other.SenderID == p.SenderID })
		switch {
		case p.Lost && again:
			// It was started anew.
		case p.Twin:
			x.find(Failure, "systemd-machine-id-setup on the copy (remove its /etc/machine-id first), or another wire.sender_id there",
				"two directors have the number of %s: one is a copy of the other's machine", peerName(p))
		case p.Lost:
			x.find(Warning, "if it is not switched off: ssyncpd doctor there", "%s was not heard for %.0f s", peerName(p), p.Heard)
		case !p.Proven:
			x.find(Warning, "wait a second; if it stays so, what this director sends does not get there: ssyncpd doctor there",
				"%s is heard and does not answer", peerName(p))
		}
	}
	for n, l := range x.Config.Links {
		if len(live) > 0 && !x.heardOnLink[n] {
			x.find(Failure, fmt.Sprintf("tcpdump -n -i %s 'ip proto 114 or udp' here and on the peer: docs/troubleshooting.md", l.Interface),
				"link %d (%s): no peer is heard on it, though on another", n+1, l.Interface)
		}
	}
	x.refusedFrames()
}

// refusedFrames looks at frames that came in and were of no use.
func (x *examination) refusedFrames() {
	for _, r := range refusals {
		if n := x.count(r.group, r.name); n > 0 {
			x.find(x.sinceStart(), r.remedy, "since ssyncpd started %d frames were %s", n, r.what)
		}
	}
}

func peerName(p admin.Peer) string { return p.PeerName.String() + " at " + p.Address }
