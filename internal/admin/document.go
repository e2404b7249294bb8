package admin

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/ssyncp/ssyncp/internal/counters"
	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/internal/vrrp"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// Status is what a daemon knows of itself and of its peers. Durations are in
// seconds. Fields may be added; those that are here keep their meaning.
type Status struct {
	Version  string `json:"version"` // of the program
	Protocol int    `json:"protocol_version"`
	SyncID   uint8  `json:"sync_id"`

	Classes []string `json:"classes"` // of what is carried: ipvs, conntrack

	Roles []InstanceRole `json:"vrrp_roles"` // by instance, as they were told
	Rates *Rates         `json:"rates"`      // null in the first second

	*Membership // what only version 2 has: absent with version 1

	// NotCarried says of classes that ought to be carried why they are not: for
	// good, or for as long as the kernel's objects cannot be used.
	NotCarried map[string]string `json:"not_carried,omitempty"`

	// Counters by group and name, since the start. Two of one name are
	// added up: those of both versions, where both are spoken.
	Counters map[string]map[string]uint64 `json:"counters"`
	// Troubles are the groups that ought to stay where they are: what was
	// dropped, refused or failed.
	Troubles []string `json:"troubles"`
}

// Membership is a director of version 2 among its peers.
type Membership struct {
	SenderID string    `json:"sender_id"` // 8 hexadecimal digits, as in the log
	StartID  string    `json:"start_id"`  // 32 hexadecimal digits
	Name     string    `json:"name"`
	State    string    `json:"state"`           // joining, synced, synced (alone) or degraded
	Missing  int       `json:"missing"`         // entries refused for lack of a service
	Sequence uint64    `json:"sequence"`        // of the advert sent last
	Taking   *PeerName `json:"taking_snapshot"` // of whom; null: of nobody
	Serving  int       `json:"serving_snapshots"`
	// Frame is how many bytes the longest frames have that this director sends,
	// without the headers of IP and UDP.
	Frame int `json:"frame_bytes"`
	// Narrow are the links that take less than their interfaces claim.
	Narrow []NarrowLink `json:"narrow_links"`
	Peers  []Peer       `json:"peers"` // by sender ID
}

// NarrowLink is a link that loses frames which its interface takes.
type NarrowLink struct {
	Link  int `json:"link"`        // from 1
	Frame int `json:"frame_bytes"` // of the longest that comes through
}

// PeerName says which peer.
type PeerName struct {
	SenderID string `json:"sender_id"`
	StartID  string `json:"start_id"`
	Name     string `json:"name"` // empty until a heartbeat came
}

// Peer is one start of another director.
type Peer struct {
	PeerName
	Address  string      `json:"address"` // that its last frame came from, with the port where there are ports
	Link     int         `json:"link"`    // that it came over, from 1, as they are configured
	Proven   bool        `json:"proven"`  // what it sends is fresh
	Lost     bool        `json:"lost"`    // it fell silent
	Twin     bool        `json:"twin"`    // another one has its sender ID
	Heard    float64     `json:"heard_seconds_ago"`
	State    string      `json:"state"` // empty until a heartbeat came
	Entries  uint32      `json:"entries"`
	Sequence uint64      `json:"last_sequence"` // of its adverts, that is known of
	Missing  int         `json:"missing"`       // of its adverts, that are waited for
	Lag      float64     `json:"lag_seconds"`   // how long one of these is missing
	Missed   uint64      `json:"missed"`        // of its adverts, late or lost, since it is known
	Repaired uint64      `json:"repaired"`      // of these, that came after all
	Resync   bool        `json:"resync"`        // a snapshot of what it owns is going to be taken
	Links    []LinkHeard `json:"links"`         // that it was ever heard on
}

// LinkHeard is when a peer was heard on a link.
type LinkHeard struct {
	Link  int     `json:"link"` // from 1
	Heard float64 `json:"heard_seconds_ago"`
}

// ResyncRequest asks for snapshots.
type ResyncRequest struct {
	// Peer is a sender ID, a name or an address; empty for all that are there.
	Peer string `json:"peer"`
}

// Resynced says what comes of it.
type Resynced struct {
	Asked int       `json:"asked"` // how many peers will be asked
	Peer  *PeerName `json:"peer"`  // the one that was named; null: none was
}

// RoleRequest says what a VRRP instance has become.
type RoleRequest struct {
	Instance string `json:"instance"`
	Role     string `json:"role"` // master, backup or fault; stop: it is gone
}

// InstanceRole is what a VRRP instance is.
type InstanceRole struct {
	RoleRequest
	Since float64 `json:"seconds"` // for so long
}

// Failure says why there is no other answer.
type Failure struct {
	Error string `json:"error"`
}

// String is how people know a peer: "lb2 (0000002b)".
func (p PeerName) String() string {
	if p.Name == "" {
		return p.SenderID
	}
	return p.Name + " (" + p.SenderID + ")"
}

// Condition is the peer's state, or why it has none that counts.
func (p Peer) Condition() string {
	switch {
	case p.Lost:
		return "lost"
	case !p.Proven:
		return "not proven"
	case p.State == "":
		return "unknown"
	}
	return p.State
}

func membership(s peering.Status, now time.Time) *Membership {
	m := &Membership{
		SenderID: senderID(s.Self), StartID: s.Self.Start.String(), Name: s.Name, State: s.State.String(),
		Missing: s.Missing, Sequence: s.Sequence, Serving: s.Serving, Frame: s.Frame, Narrow: []NarrowLink{}, Peers: []Peer{},
	}
	for i, bytes := range s.Narrow {
		if bytes > 0 {
			m.Narrow = append(m.Narrow, NarrowLink{Link: i + 1, Frame: bytes})
		}
	}
	if s.Taking != nil {
		name := peerName(s.Taking)
		m.Taking = &name
	}
	for i := range s.Peers {
		m.Peers = append(m.Peers, peerOf(&s.Peers[i], now))
	}
	slices.SortFunc(m.Peers, func(a, b Peer) int {
		return cmp.Or(strings.Compare(a.SenderID, b.SenderID), strings.Compare(a.StartID, b.StartID))
	})
	return m
}

func peerOf(s *peering.PeerStatus, now time.Time) Peer {
	p := Peer{
		PeerName: peerName(s), Address: address(s.Origin), Link: s.Origin.Link + 1,
		Proven: s.Proven, Lost: s.Lost, Twin: s.Twin, Heard: seconds(now.Sub(s.Heard)),
		Entries: s.Entries, Sequence: s.Last, Missing: s.Missing, Missed: s.Missed, Repaired: s.Repaired, Resync: s.Resync, Links: []LinkHeard{},
	}
	if !s.Since.IsZero() {
		p.Lag = seconds(now.Sub(s.Since))
	}
	if s.State != 0 {
		p.State = s.State.String()
	}
	for i, heard := range s.Links {
		if !heard.IsZero() {
			p.Links = append(p.Links, LinkHeard{Link: i + 1, Heard: seconds(now.Sub(heard))})
		}
	}
	return p
}

func roles(instances []vrrp.Instance, now time.Time) []InstanceRole {
	list := make([]InstanceRole, len(instances))
	for i, in := range instances {
		list[i] = InstanceRole{RoleRequest{in.Name, in.Role.String()}, seconds(now.Sub(in.Since))}
	}
	return list
}

func peerName(s *peering.PeerStatus) PeerName {
	return PeerName{SenderID: senderID(s.Peer), StartID: s.Peer.Start.String(), Name: s.Name}
}

func senderID(p block.Peer) string {
	sender, _, _ := strings.Cut(p.String(), "/")
	return sender
}

func address(o peering.Origin) string {
	if o.Addr.Port() == 0 {
		return o.Addr.Addr().String()
	}
	return o.Addr.String()
}

// seconds is as exact as anybody needs it.
func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }

// values returns the groups' counters, and the names of those groups that are
// troubles.
func values(all, troubles []counters.Group) (map[string]map[string]uint64, []string) {
	sums := make(map[string]map[string]uint64)
	for _, g := range all {
		if sums[g.Group()] == nil {
			sums[g.Group()] = make(map[string]uint64)
		}
		for name, value := range g.All() {
			sums[g.Group()][name] += value
		}
	}
	names := []string{}
	for _, g := range troubles {
		names = append(names, g.Group())
	}
	slices.Sort(names)
	return sums, slices.Compact(names)
}
