package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
)

// reasons are the groups that count one thing by its reason.
var reasons = map[string]string{
	"admin_refused":              "Connections to the admin socket that were refused, by reason.",
	"cluster_refused":            "Messages that were no frames of a peer of this cluster, by what was wrong with them.",
	"cluster_trouble":            "What went wrong on this side in speaking version 2, by what it was.",
	"conntrack_entries_not_sent": "Conntrack entries that peers are not told of, by reason.",
	"conntrack_entries_refused":  "Frames that were not looked into, and conntrack entries in them that were not taken, by reason.",
	"conntrack_troubles":         "What is lost of conntrack entries, or cannot be, by what it is.",
	"engine_trouble":             "What went wrong on this side in speaking version 1, by what it was.",
	"ipvs_entries_not_sent":      "Connections that version 2 could not tell peers of, by reason.",
	"ipvs_entries_refused":       "Frames that were not looked into, and connections in them that were not taken, by reason.",
	"ipvs_not_sent":              "Connections that version 1 could not tell peers of, by reason.",
	"ipvs_refused":               "Adverts of version 1 that were not looked into, and connections in them that were not taken, by reason.",
	"peer_unreachable":           "Datagrams that did not reach a peer by its address, by what this host or an ICMP error said.",
	"peering_trouble":            "Blocks and frames of peers that were dropped, and what went wrong between peers, by what it was.",
	"receive_dropped":            "Datagrams that were dropped before anybody looked into them, by reason.",
	"vrrp_troubles":              "What went wrong between keepalived and this daemon, by what it was.",
}

// counts are the groups whose counters are of different things.
var counts = map[string]map[string]string{
	"admin": {
		"requests": "Requests on the admin socket.",
		"failures": "Requests on the admin socket that failed or were refused.",
	},
	"received": {
		"datagrams": "Datagrams received on all links.",
		"bytes":     "Bytes of the datagrams received on all links.",
		"calls":     "System calls that received datagrams.",
	},
	"cluster": {
		"opened_frames": "Frames of peers that were authentic.",
		"version_1":     "Messages of version 1, where both versions are spoken.",
		"reads":         "Looks for news in the kernel.",
		"read_entries":  "Connections read as news from the kernel.",
		"paced":         "Periods without a look for news, as multicast.max_pps left no room.",
		"sent_frames":   "Frames sent, on all links.",
		"sent_bytes":    "Bytes of the frames sent, on all links.",
		"sweeps":        "Walks over the connections that are due to be refreshed.",
		"sent_swept":    "Frames of connections that were due to be refreshed.",
		"reopened":      "Times that a link or the device was opened again after a failure.",
	},
	"peering": {
		"received_frames":   "Frames of peers that were looked into.",
		"applied_frames":    "Frames of peers whose connections were handed to the kernel.",
		"duplicate_frames":  "Frames that had come over another link before.",
		"repeated_adverts":  "Adverts that came again, as another director had asked for them.",
		"sent_news":         "Frames with news, sent for the first time.",
		"sent_again":        "Frames sent again, as a peer had missed them.",
		"sent_chunks":       "Frames of snapshots sent.",
		"sent_chunks_again": "Frames of snapshots that were sent again.",
		"sent_heartbeats":   "HEARTBEATs sent.",
		"sent_challenges":   "CHALLENGEs sent.",
		"sent_echoes":       "ECHOs sent.",
		"sent_nacks":        "NACKs sent: times that missing adverts were asked for.",
		"sent_gone":         "GONEs sent: answers that an advert is not kept any more.",
		"sent_requests":     "SNAPSHOT REQUESTs sent.",
		"sent_acks":         "SNAPSHOT ACKs sent.",
		"sent_refusals":     "Snapshots that were refused to a peer.",
		"suppressed_nacks":  "NACKs not sent, as another director had asked.",
		"proofs":            "Times that a peer proved that what it sends is fresh.",
		"snapshots":         "Snapshots taken to their end.",
		"snapshots_served":  "Snapshots given to peers, to their end.",
		"announcements":     "Announcements begun of everything that this director owns.",
		"sent_announced":    "Frames of announcements.",
		"sent_probes":       "PROBEs sent, of what a link takes.",
		"sent_probe_acks":   "PROBE ACKs sent.",
		"sent_queries":      "QUERYs sent: times that a peer was asked where connections are.",
		"sent_answers":      "ANSWERs sent to such questions.",
		"inspections":       "Tables of peers that were read to be compared.",
	},
	"ipvs_entries": {
		"encoded":  "Connections put into frames.",
		"bodies":   "Frame bodies made with connections in them.",
		"decoded":  "Connections of peers that were decoded.",
		"writes":   "Writes of peers' connections to the kernel.",
		"filtered": "Connections not sent because of [filter].",
		"retried":  "Connections of peers handed to the kernel once more, as they had packets here just before (local_hold).",
	},
	"conntrack_entries": {
		"events":    "Events of netfilter's connection tracking.",
		"completed": "Conntrack entries that were asked for, as an event did not say all of them.",
		"encoded":   "Conntrack entries put into frames.",
		"bodies":    "Frame bodies made with conntrack entries in them.",
		"decoded":   "Conntrack entries of peers that were decoded.",
		"created":   "Copies of peers' conntrack entries made.",
		"updated":   "Copies of peers' conntrack entries brought up to date.",
		"ended":     "Copies of conntrack entries taken away, as the connection had ended at its owner.",
		"claimed":   "Copies of conntrack entries that had packets here, and are this director's own from then on.",
		"filtered":  "Conntrack entries not sent because of [conntrack].",
		"stale":     "Peers' conntrack entries that were not fresher than what is known here.",
		"local":     "Peers' conntrack entries of connections that had packets here just now.",
		"expired":   "Peers' conntrack entries of which no time was left.",
		"retried":   "Peers' conntrack entries that were judged once more, as their connections had packets here just before.",
	},
	"vrrp": {
		"changes":                    "Changes of the role of a VRRP instance.",
		"announcements":              "Announcements asked for as an instance became master.",
		"resyncs":                    "Resyncs asked for as an instance became backup.",
		"resyncs_covered_by_joining": "Resyncs that were not asked for, as the director was joining.",
		"fifo_lines":                 "Lines of keepalived's FIFO that told of a role.",
		"fifo_other_lines":           "Lines of keepalived's FIFO that told of something else.",
	},
	"engine": {
		"sessions":        "Times that link and device were opened for version 1.",
		"reads":           "Looks for news in the kernel, for version 1.",
		"read_entries":    "Connections read for version 1.",
		"sent_adverts":    "Adverts of version 1 sent.",
		"sent_bytes":      "Bytes of the adverts of version 1 sent.",
		"sent_snapshot":   "Adverts of version 1 that told of everything that this director owns.",
		"sent_sweep":      "Adverts of version 1 that refreshed what was due.",
		"paced":           "Waits of version 1 for multicast.max_pps.",
		"snapshots":       "Snapshots begun for version 1, of everything that this director owns.",
		"sweeps":          "Walks of version 1 over the connections that are due to be refreshed.",
		"applied_batches": "Batches of adverts of version 1 handed on.",
	},
	"ipvs": {
		"encoded":   "Connections put into adverts of version 1.",
		"adverts":   "Adverts of version 1 made.",
		"decoded":   "Connections of peers that were decoded from version 1.",
		"writes":    "Writes of peers' connections of version 1 to the kernel.",
		"version_2": "Frames of version 2 that came, where both versions are spoken.",
	},
}

// groupMetrics are the counters of the daemon.
type groupMetrics struct {
	reasons map[string]*prometheus.Desc
	counts  map[string]map[string]*prometheus.Desc
}

func newGroupMetrics() groupMetrics {
	m := groupMetrics{map[string]*prometheus.Desc{}, map[string]map[string]*prometheus.Desc{}}
	for group, help := range reasons {
		m.reasons[group] = describe(group+"_total", help, "reason")
	}
	for group, helps := range counts {
		m.counts[group] = map[string]*prometheus.Desc{}
		for counter, help := range helps {
			m.counts[group][counter] = describe(group+"_"+counter+"_total", help)
		}
	}
	return m
}

func (m *groupMetrics) describe(ch chan<- *prometheus.Desc) {
	for _, desc := range m.reasons {
		ch <- desc
	}
	for _, group := range m.counts {
		for _, desc := range group {
			ch <- desc
		}
	}
}

// collect tells of all counters. That none lacks a description is tested where
// all groups are known.
func (m *groupMetrics) collect(s sample, groups map[string]map[string]uint64) {
	for group, values := range groups {
		for name, value := range values {
			if desc := m.reasons[group]; desc != nil {
				s.counter(desc, value, name)
			} else if desc := m.counts[group][name]; desc != nil {
				s.counter(desc, value)
			}
		}
	}
}

// Described reports whether a counter of a group has a metric.
func Described(group, counter string) bool {
	return reasons[group] != "" || counts[group][counter] != ""
}
