package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// states of directors by the names that they have in a status.
var states = map[string]string{
	block.StateJoining.String():     "joining",
	block.StateSynced.String():      "synced",
	block.StateSyncedAlone.String(): "synced_alone",
	block.StateDegraded.String():    "degraded",
}

// conditions of peers that are no states.
var conditions = map[string]string{
	"lost":       "lost",
	"not proven": "not_proven",
	"unknown":    "unknown",
}

// membershipMetrics are what a director of version 2 knows of itself and of its
// peers. A peer is known by its sender ID: its name and address, which may
// change, are in an info metric that others are joined with.
type membershipMetrics struct {
	up, info, state, missing, sequence, taking, serving, frame, narrow *prometheus.Desc

	peers, peerInfo, peerState, peerHeard, peerLinkHeard, peerEntries, peerSequence *prometheus.Desc
	peerMissing, peerLag, peerMissed, peerRepaired, peerTwin, peerResync            *prometheus.Desc
}

func newMembershipMetrics() membershipMetrics {
	return membershipMetrics{
		up:       describe("director_up", "Whether the director's loop answered in time (1) or not (0)."),
		info:     describe("director_info", "This director: 1.", "sender_id", "name", "sync_id"),
		state:    describe("director_state", "What this director knows of its own completeness: 1 for the state that it is in.", "state"),
		missing:  describe("director_refused_entries", "Connections of peers that are missing here for lack of a service or real server."),
		sequence: describe("director_last_sequence", "Sequence of the advert that this director sent last."),
		taking:   describe("director_taking_snapshot", "Whether this director takes a snapshot of a peer (1)."),
		serving:  describe("director_serving_snapshots", "Snapshots that peers are being given."),
		frame:    describe("director_frame_bytes", "Bytes of the longest frames that this director sends, without the headers of IP and UDP."),
		narrow:   describe("director_narrow_link_frame_bytes", "Bytes of the longest frames that a link takes, where that is less than its interface claims. Links are numbered as they are configured, from 1.", "link"),

		peers:         describe("peers", "Peers that are known, lost ones included."),
		peerInfo:      describe("peer_info", "A peer by its sender ID, its name, and the address that its last frame came from: 1.", "peer", "name", "address"),
		peerState:     describe("peer_state", "What is known of a peer: 1 for the state that it is in.", "peer", "state"),
		peerHeard:     describe("peer_last_heard_timestamp_seconds", "When a peer was heard last, in seconds since 1970.", "peer"),
		peerLinkHeard: describe("peer_link_last_heard_timestamp_seconds", "When a peer was heard last on a link, in seconds since 1970. Links are numbered as they are configured, from 1.", "peer", "link"),
		peerEntries:   describe("peer_entries", "Connections that a peer owns, as it says.", "peer"),
		peerSequence:  describe("peer_last_sequence", "Highest sequence of a peer's adverts that is known of.", "peer"),
		peerMissing:   describe("peer_missing_adverts", "Adverts of a peer that are missing and waited for.", "peer"),
		peerLag:       describe("peer_lag_seconds", "How long an advert of a peer is missing: 0 where none is.", "peer"),
		peerMissed:    describe("peer_missed_adverts_total", "Adverts of a peer that came late or never, as later ones came before.", "peer"),
		peerRepaired:  describe("peer_repaired_adverts_total", "Adverts of a peer that had been missing, and came.", "peer"),
		peerTwin:      describe("peer_twin", "Whether two directors use a peer's sender ID (1).", "peer"),
		peerResync:    describe("peer_resync_pending", "Whether a snapshot of what a peer owns is going to be taken (1).", "peer"),
	}
}

func (m *membershipMetrics) describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		m.up, m.info, m.state, m.missing, m.sequence, m.taking, m.serving, m.frame, m.narrow,
		m.peers, m.peerInfo, m.peerState, m.peerHeard, m.peerLinkHeard, m.peerEntries, m.peerSequence,
		m.peerMissing, m.peerLag, m.peerMissed, m.peerRepaired, m.peerTwin, m.peerResync,
	} {
		ch <- desc
	}
}

// collect tells nothing of a version that has no membership.
func (m *membershipMetrics) collect(s sample, status *admin.Status, now time.Time, err error) {
	if status.Protocol == 1 {
		return
	}
	s.truth(m.up, err == nil)
	if err != nil {
		return
	}
	s.gauge(m.info, 1, status.SenderID, status.Name, strconv.Itoa(int(status.SyncID)))
	for state, label := range states {
		s.truth(m.state, state == status.State, label)
	}
	s.gauge(m.missing, float64(status.Missing))
	s.gauge(m.sequence, float64(status.Sequence))
	s.truth(m.taking, status.Taking != nil)
	s.gauge(m.serving, float64(status.Serving))
	s.gauge(m.frame, float64(status.Frame))
	for _, l := range status.Narrow {
		s.gauge(m.narrow, float64(l.Frame), strconv.Itoa(l.Link))
	}
	peers := current(status.Peers)
	s.gauge(m.peers, float64(len(peers)))
	for _, p := range peers {
		m.collectPeer(s, p, now)
	}
}

func (m *membershipMetrics) collectPeer(s sample, p *admin.Peer, now time.Time) {
	id := p.SenderID
	s.gauge(m.peerInfo, 1, id, p.Name, p.Address)
	condition := p.Condition()
	for _, names := range []map[string]string{states, conditions} {
		for name, label := range names {
			s.truth(m.peerState, name == condition, id, label)
		}
	}
	s.gauge(m.peerHeard, ago(now, p.Heard), id)
	for _, l := range p.Links {
		s.gauge(m.peerLinkHeard, ago(now, l.Heard), id, strconv.Itoa(l.Link))
	}
	s.gauge(m.peerEntries, float64(p.Entries), id)
	s.gauge(m.peerSequence, float64(p.Sequence), id)
	s.gauge(m.peerMissing, float64(p.Missing), id)
	s.gauge(m.peerLag, p.Lag, id)
	s.counter(m.peerMissed, p.Missed, id)
	s.counter(m.peerRepaired, p.Repaired, id)
	s.truth(m.peerTwin, p.Twin, id)
	s.truth(m.peerResync, p.Resync, id)
}

// current returns one start of each peer: of those that have proven to be
// there, if any, the one that was heard last. Others are of the past, or
// somebody's that replays it.
func current(all []admin.Peer) (list []*admin.Peer) {
	better := func(a, b *admin.Peer) bool {
		if live := a.Proven && !a.Lost; live != (b.Proven && !b.Lost) {
			return live
		}
		return a.Heard < b.Heard
	}
	at := map[string]int{}
	for i := range all {
		p := &all[i]
		switch j, known := at[p.SenderID]; {
		case !known:
			at[p.SenderID] = len(list)
			list = append(list, p)
		case better(p, list[j]):
			list[j] = p
		}
	}
	return list
}

// ago is a time in seconds since 1970.
func ago(now time.Time, seconds float64) float64 {
	return float64(now.UnixMilli())/1000 - seconds
}
