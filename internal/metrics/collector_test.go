package metrics_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/metrics"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

var errSilent = errors.New("the director does not answer")

// source plays a daemon: a synced director with a peer that is well, and one
// that was restarted since it was lost.
func source() metrics.Source {
	status := admin.Status{
		Version: "1.2.3 (device ABI 1)", Protocol: 2, SyncID: 7,
		Membership: &admin.Membership{
			SenderID: "0000002a", Name: "lb1", State: "synced (alone)", Missing: 2, Sequence: 4711, Serving: 1,
			Frame: 1372, Narrow: []admin.NarrowLink{{Link: 2, Frame: 1372}},
			Taking: &admin.PeerName{SenderID: "0000002b", Name: "lb2"},
			Peers: []admin.Peer{
				{
					PeerName: admin.PeerName{SenderID: "0000002b", Name: "lb2"}, Address: "10.0.0.2", Proven: true, State: "synced",
					Heard: 0.5, Entries: 20000, Sequence: 712, Missing: 3, Lag: 1.25, Missed: 9, Repaired: 6,
					Links: []admin.LinkHeard{{Link: 1, Heard: 0.5}, {Link: 2, Heard: 61}},
				},
				{PeerName: admin.PeerName{SenderID: "0000002c", StartID: "1", Name: "lb3"}, Address: "10.0.0.3", Lost: true, Heard: 2},
				{PeerName: admin.PeerName{SenderID: "0000002c", StartID: "2", Name: "lb3"}, Address: "10.0.0.4", Proven: true, State: "joining", Heard: 3, Resync: true},
				{PeerName: admin.PeerName{SenderID: "0000002c", StartID: "3"}, Address: "10.0.0.5", Heard: 0.1, Twin: true},
			},
		},
		Roles: []admin.InstanceRole{{RoleRequest: admin.RoleRequest{Instance: "VI_1", Role: "master"}, Since: 61}},
		Counters: map[string]map[string]uint64{
			"receive_dropped": {"ttl": 12, "own": 0},
			"received":        {"bytes": 1 << 30},
		},
		Troubles: []string{"receive_dropped"},
	}
	var stats chardev.Stats
	stats.ABIVersion, stats.State, stats.Missing = 1, chardev.StateCapturing|chardev.StateInterposed, chardev.MissingFillCPort
	stats.QueueLen, stats.ConnCount = 65536, 20123
	stats.Counters[chardev.CounterDroppedFull] = 5
	stats.Counters[chardev.CounterRefused+chardev.Counter(chardev.RefusedNoDest)] = 7
	stats.Counters[chardev.CounterCreated] = 20000
	return metrics.Source{
		Status: func(context.Context) (admin.Status, error) { return status, nil },
		Module: func() (chardev.Stats, error) { return stats, nil },
	}
}

// gather returns all values by name and labels.
func gather(t *testing.T, s metrics.Source) map[string]float64 {
	t.Helper()
	families, err := metrics.NewRegistry(s).Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		if f.GetHelp() == "" {
			t.Errorf("%s has no help", f.GetName())
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			value := m.GetGauge().GetValue() + m.GetCounter().GetValue()
			values[f.GetName()+"{"+strings.Join(labels, ",")+"}"] = value
		}
	}
	return values
}

func TestWhatIsKnownIsToldWithItsLabels(t *testing.T) {
	got := gather(t, source())
	for name, want := range map[string]float64{
		"ssyncp_receive_dropped_total{reason=ttl}":                    12,
		"ssyncp_receive_dropped_total{reason=own}":                    0,
		"ssyncp_vrrp_role{instance=VI_1,role=master}":                 1,
		"ssyncp_vrrp_role{instance=VI_1,role=fault}":                  0,
		"ssyncp_received_bytes_total{}":                               1 << 30,
		"ssyncp_module_up{}":                                          1,
		"ssyncp_module_abi_version{}":                                 1,
		"ssyncp_module_state{state=capturing}":                        1,
		"ssyncp_module_state{state=buried}":                           0,
		"ssyncp_module_helper_missing{helper=fill_cport}":             1,
		"ssyncp_module_helper_missing{helper=find_dest}":              0,
		"ssyncp_module_queue_slots{}":                                 65536,
		"ssyncp_module_connections{}":                                 20123,
		"ssyncp_module_dropped_total{reason=full}":                    5,
		"ssyncp_module_refused_total{reason=no_dest}":                 7,
		"ssyncp_module_created_total{}":                               20000,
		"ssyncp_director_up{}":                                        1,
		"ssyncp_director_info{name=lb1,sender_id=0000002a,sync_id=7}": 1,
		"ssyncp_director_state{state=synced_alone}":                   1,
		"ssyncp_director_state{state=synced}":                         0,
		"ssyncp_director_refused_entries{}":                           2,
		"ssyncp_director_last_sequence{}":                             4711,
		"ssyncp_director_taking_snapshot{}":                           1,
		"ssyncp_director_serving_snapshots{}":                         1,
		"ssyncp_director_frame_bytes{}":                               1372,
		"ssyncp_director_narrow_link_frame_bytes{link=2}":             1372,
		"ssyncp_peers{}":                                              2,
		"ssyncp_peer_info{address=10.0.0.2,name=lb2,peer=0000002b}":   1,
		"ssyncp_peer_state{peer=0000002b,state=synced}":               1,
		"ssyncp_peer_state{peer=0000002b,state=lost}":                 0,
		"ssyncp_peer_entries{peer=0000002b}":                          20000,
		"ssyncp_peer_last_sequence{peer=0000002b}":                    712,
		"ssyncp_peer_missing_adverts{peer=0000002b}":                  3,
		"ssyncp_peer_lag_seconds{peer=0000002b}":                      1.25,
		"ssyncp_peer_missed_adverts_total{peer=0000002b}":             9,
		"ssyncp_peer_repaired_adverts_total{peer=0000002b}":           6,
		"ssyncp_peer_twin{peer=0000002b}":                             0,
		"ssyncp_peer_resync_pending{peer=0000002c}":                   1,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %v (%v), want %v", name, value, ok, want)
		}
	}
	if value, ok := got["ssyncp_director_narrow_link_frame_bytes{link=1}"]; ok {
		t.Errorf("link 1 takes what its interface claims, and not %v", value)
	}
	now := float64(time.Now().Unix())
	for name, seconds := range map[string]float64{
		"ssyncp_peer_last_heard_timestamp_seconds{peer=0000002b}":             0.5,
		"ssyncp_peer_link_last_heard_timestamp_seconds{link=2,peer=0000002b}": 61,
	} {
		if d := now - got[name]; d < seconds-2 || d > seconds+30 {
			t.Errorf("%s is %v ago, want %v", name, d, seconds)
		}
	}
	if _, ok := got["process_resident_memory_bytes{}"]; !ok {
		t.Error("nothing of the process")
	}
}

// Two starts of one director must not be two values of one metric.
func TestOfAPeersStartsTheLiveOneIsTold(t *testing.T) {
	got := gather(t, source())
	for name, want := range map[string]bool{
		"ssyncp_peer_info{address=10.0.0.3,name=lb3,peer=0000002c}": false,
		"ssyncp_peer_info{address=10.0.0.4,name=lb3,peer=0000002c}": true,
		"ssyncp_peer_info{address=10.0.0.5,name=,peer=0000002c}":    false,
	} {
		if _, ok := got[name]; ok != want {
			t.Errorf("%s: %v", name, ok)
		}
	}
	if got["ssyncp_peer_state{peer=0000002c,state=joining}"] != 1 {
		t.Error("another state than joining")
	}
}

func TestAStateIsExactlyOneOfThoseThereAre(t *testing.T) {
	s := source()
	status, _ := s.Status(t.Context())
	for _, tt := range []struct {
		name  string
		peer  admin.Peer
		state string
	}{
		{"well", admin.Peer{Proven: true, State: "synced"}, "synced"},
		{"degraded", admin.Peer{Proven: true, State: "degraded"}, "degraded"},
		{"alone", admin.Peer{Proven: true, State: "synced (alone)"}, "synced_alone"},
		{"joining", admin.Peer{Proven: true, State: "joining"}, "joining"},
		{"lost", admin.Peer{Proven: true, Lost: true, State: "synced"}, "lost"},
		{"not proven", admin.Peer{State: "synced"}, "not_proven"},
		{"nothing heard of itself", admin.Peer{Proven: true}, "unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.peer.SenderID = "00000001"
			status.Peers = []admin.Peer{tt.peer}
			var is []string
			for name, value := range gather(t, s) {
				if state, ok := strings.CutPrefix(name, "ssyncp_peer_state{peer=00000001,state="); ok && value == 1 {
					is = append(is, strings.TrimSuffix(state, "}"))
				}
			}
			if len(is) != 1 || is[0] != tt.state {
				t.Errorf("states %q, want %q", is, tt.state)
			}
		})
	}
}

func TestWhatDoesNotAnswerIsSaidAndTheRestIsTold(t *testing.T) {
	s := source()
	status, _ := s.Status(t.Context())
	status.Membership = nil
	s.Status = func(context.Context) (admin.Status, error) { return status, errSilent }
	s.Module = func() (chardev.Stats, error) { return chardev.Stats{}, errors.New("no such device") }
	got := gather(t, s)
	for name, want := range map[string]float64{
		"ssyncp_director_up{}":                     0,
		"ssyncp_module_up{}":                       0,
		"ssyncp_receive_dropped_total{reason=ttl}": 12,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %v (%v), want %v", name, value, ok, want)
		}
	}
	for _, absent := range []string{"ssyncp_peers{}", "ssyncp_module_connections{}", "ssyncp_director_state{state=synced}"} {
		if _, ok := got[absent]; ok {
			t.Errorf("%s is told", absent)
		}
	}
}

func TestVersion1HasNoDirector(t *testing.T) {
	s := source()
	s.Status = func(context.Context) (admin.Status, error) { return admin.Status{Version: "1", Protocol: 1}, nil }
	got := gather(t, s)
	for name := range got {
		if strings.HasPrefix(name, "ssyncp_director_") || strings.HasPrefix(name, "ssyncp_peer") {
			t.Errorf("%s is told", name)
		}
	}
	if got["ssyncp_module_up{}"] != 1 {
		t.Error("nothing of the module")
	}
}

func TestEveryCounterOfTheModuleIsTold(t *testing.T) {
	s := source()
	var stats chardev.Stats
	for c := range stats.Counters {
		stats.Counters[c] = 1000 + uint64(c)
	}
	s.Module = func() (chardev.Stats, error) { return stats, nil }
	told := map[float64]string{}
	for name, value := range gather(t, s) {
		if strings.HasPrefix(name, "ssyncp_module_") {
			told[value] = name
		}
	}
	for c := range chardev.Counters {
		if told[1000+float64(c)] == "" {
			t.Errorf("%v is not told", c)
		}
	}
}

func TestNamesFollowTheConventions(t *testing.T) {
	problems, err := testutil.GatherAndLint(prometheus.Gatherers{metrics.NewRegistry(source())})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "ssyncp_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}
