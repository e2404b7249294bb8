package command

import (
	"testing"

	"github.com/ssyncp/ssyncp/internal/admin"
)

func TestStatusText(t *testing.T) {
	counters := map[string]map[string]uint64{
		"sent":            {"frames": 1000},
		"receive_dropped": {"header": 0, "ttl": 12, "own": 1},
		"cluster_refused": {"seal": 100},
		"peer_error":      {"firewall": 0},
	}
	troubles := []string{"cluster_refused", "peer_error", "receive_dropped"}
	self := func(m admin.Membership) *admin.Membership {
		m.SenderID, m.Name = "0000002a", "lb1"
		return &m
	}
	for _, tt := range []struct {
		name   string
		status admin.Status
		want   string
	}{
		{"in company", admin.Status{
			Classes: []string{"ipvs", "conntrack"},
			Membership: self(admin.Membership{
				State: "degraded", Missing: 12, Sequence: 4711, Serving: 2, Taking: &admin.PeerName{SenderID: "0000002b", Name: "lb2"},
				Peers: []admin.Peer{{
					PeerName: admin.PeerName{SenderID: "0000002b", Name: "lb2"}, Address: "10.0.0.2", Link: 1, Proven: true, State: "synced",
					Heard: 0.31, Entries: 20000, Sequence: 712, Missing: 3, Lag: 0.24, Missed: 9, Repaired: 6, Resync: true, Links: []admin.LinkHeard{{Link: 1, Heard: 0.31}, {Link: 2, Heard: 61.5}},
				}, {
					PeerName: admin.PeerName{SenderID: "0000002c", Name: "lb3.example.com"}, Address: "[2001:db8::3]:7114", Link: 2, Proven: true, State: "joining",
					Lost: true, Twin: true, Heard: 12.4, Links: []admin.LinkHeard{{Link: 2, Heard: 12.4}},
				}, {
					PeerName: admin.PeerName{SenderID: "deadbeef"}, Address: "10.0.0.9", Link: 1, Heard: 9.94,
				}},
			}),
			Counters: counters, Troubles: troubles,
			Rates: &admin.Rates{Seconds: 10, In: admin.FlowRate{Entries: 1234.5, Frames: 20, Bytes: 25000}, Out: admin.FlowRate{Entries: 0.4}},
		}, `degraded: 12 entries were refused, as their service is not configured here (ipvsadm -ln)
lb1 (0000002a), sync ID 7, protocol version 2, ssyncpd 1.2.3
carries ipvs and conntrack
last sequence 4711, takes a snapshot of lb2 (0000002b), serves 2 snapshots
in   1234 entries, 20 frames, 25000 bytes a second
out  0 entries, 0 frames, 0 bytes a second

PEER      NAME             ADDRESS             STATE           HEARD  ENTRIES  SEQUENCE  MISSING  LAG   MISSED  REPAIRED  LINKS
0000002b  lb2              10.0.0.2            synced, resync  0.3s   20000    712       3        0.2s  9       6         1: 0.3s, 2: 1m2s
0000002c  lb3.example.com  [2001:db8::3]:7114  lost, twin      12s    0        0         0        -     0       0         2: 12s
deadbeef  -                10.0.0.9            not proven      9.9s   0        0         0        -     0       0         -

Dropped, refused or failed since the start:
  cluster_refused  seal  100
  receive_dropped  own   1
  receive_dropped  ttl   12
`},
		{"with links that take less than they claim", admin.Status{Membership: self(admin.Membership{
			State: "synced (alone)", Frame: 1372, Narrow: []admin.NarrowLink{{Link: 1, Frame: 1436}, {Link: 2, Frame: 1372}},
		})}, `synced (alone): no peer was heard of when it started, and none has been since
lb1 (0000002a), sync ID 7, protocol version 2, ssyncpd 1.2.3
last sequence 0
link 1 takes frames of up to 1436 bytes, less than its interface claims
link 2 takes frames of up to 1372 bytes, less than its interface claims

no peers

Nothing was dropped, refused or failed since the start.
`},
		{"alone", admin.Status{Membership: self(admin.Membership{State: "synced (alone)"})}, `synced (alone): no peer was heard of when it started, and none has been since
lb1 (0000002a), sync ID 7, protocol version 2, ssyncpd 1.2.3
last sequence 0

no peers

Nothing was dropped, refused or failed since the start.
`},
		{"joining", admin.Status{Membership: self(admin.Membership{State: "joining"})}, `joining: it takes over what peers know, and is not to become master yet
lb1 (0000002a), sync ID 7, protocol version 2, ssyncpd 1.2.3
last sequence 0
waits for a peer, for wire.join_timeout

no peers

Nothing was dropped, refused or failed since the start.
`},
		{"without a class that it ought to have", admin.Status{
			Membership: self(admin.Membership{State: "synced (alone)"}), Classes: []string{"ipvs"}, NotCarried: map[string]string{"conntrack": "load nf_conntrack_netlink"},
		}, `synced (alone): no peer was heard of when it started, and none has been since
lb1 (0000002a), sync ID 7, protocol version 2, ssyncpd 1.2.3
carries ipvs
DOES NOT CARRY conntrack: load nf_conntrack_netlink
last sequence 0

no peers

Nothing was dropped, refused or failed since the start.
`},
		{"joining in company", admin.Status{Membership: self(admin.Membership{State: "joining", Taking: &admin.PeerName{SenderID: "0000002b"}, Peers: []admin.Peer{
			{PeerName: admin.PeerName{SenderID: "0000002b"}, Address: "10.0.0.2", Proven: true, State: "synced"},
		}})}, `joining: it takes over what peers know, and is not to become master yet
lb1 (0000002a), sync ID 7, protocol version 2, ssyncpd 1.2.3
last sequence 0, takes a snapshot of 0000002b

PEER      NAME  ADDRESS   STATE   HEARD  ENTRIES  SEQUENCE  MISSING  LAG  MISSED  REPAIRED  LINKS
0000002b  -     10.0.0.2  synced  0.0s   0        0         0        -    0       0         -

Nothing was dropped, refused or failed since the start.
`},
		{"version 1", admin.Status{Protocol: 1, Counters: counters, Troubles: troubles[1:]}, `running: version 1 of the protocol knows neither states nor peers
sync ID 7, ssyncpd 1.2.3

Dropped, refused or failed since the start:
  receive_dropped  own  1
  receive_dropped  ttl  12
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.status
			s.Version, s.SyncID = "1.2.3", 7
			if s.Protocol == 0 {
				s.Protocol = 2
			}
			if got := string(appendStatus(nil, &s)); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}
