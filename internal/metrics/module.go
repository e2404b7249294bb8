package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// moduleReasons are the counters of the module that count one thing by its
// reason, by how their names begin.
var moduleReasons = map[string]string{
	"skipped": "Connections that the module did not tell the daemon of, as no peer needs them, by reason.",
	"dropped": "Connections that the module had to tell of and did not, by reason.",
	"refused": "Connections of peers that the module refused, by reason.",
}

// moduleCounts are the others.
var moduleCounts = map[string]string{
	"queued":            "Connections put into the module's queue.",
	"read_calls":        "Reads of the module's device.",
	"read_records":      "Connections read from the module's queue.",
	"wakeups":           "Times that the module woke the reader.",
	"lost_events":       "Times that the module told the reader that news was lost.",
	"master_events":     "Times that the in-kernel sync master was started or stopped.",
	"snapshots":         "Walks over the connection table.",
	"snapshot_records":  "Connections read in walks over the connection table.",
	"snapshot_restarts": "Walks that began again, as the table moved.",
	"write_calls":       "Writes of peers' connections to the module.",
	"write_malformed":   "Writes that the module ended at a record that it did not understand.",
	"created":           "Connections of peers that were created.",
	"updated":           "Connections of peers that were updated.",
	"replaced":          "Connections of peers that were created in place of one to another real server.",
	"clamped":           "Connections of peers whose timeout was cut down to the module's max_timeout.",
	"unbound":           "Connections of peers that were created without a real server.",
}

// moduleMetrics are what the kernel module says.
type moduleMetrics struct {
	up, abi, state, unresolved, slots, connections *prometheus.Desc
	reasons, counts                                map[string]*prometheus.Desc
}

func newModuleMetrics() moduleMetrics {
	m := moduleMetrics{
		up:          describe("module_up", "Whether the kernel module answered (1) or not (0)."),
		abi:         describe("module_abi_version", "Version of the kernel module's device interface."),
		state:       describe("module_state", "What the kernel module is doing in this network namespace: 1 for each that it is.", "state"),
		unresolved:  describe("module_helper_missing", "Whether the module did not find a function of ip_vs (1): what needs it is refused.", "helper"),
		slots:       describe("module_queue_slots", "Connections that the module's queue can hold."),
		connections: describe("module_connections", "Connections in this network namespace's IPVS table."),
		reasons:     map[string]*prometheus.Desc{},
		counts:      map[string]*prometheus.Desc{},
	}
	for kind, help := range moduleReasons {
		m.reasons[kind] = describe("module_"+kind+"_total", help, "reason")
	}
	for counter, help := range moduleCounts {
		m.counts[counter] = describe("module_"+counter+"_total", help)
	}
	return m
}

func (m *moduleMetrics) describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{m.up, m.abi, m.state, m.unresolved, m.slots, m.connections} {
		ch <- desc
	}
	for _, desc := range m.reasons {
		ch <- desc
	}
	for _, desc := range m.counts {
		ch <- desc
	}
}

func (m *moduleMetrics) collect(s sample, stats chardev.Stats, err error) {
	s.truth(m.up, err == nil)
	if err != nil {
		return
	}
	s.gauge(m.abi, float64(stats.ABIVersion))
	for name, is := range stats.State.All() {
		s.truth(m.state, is, name)
	}
	for name, is := range stats.Missing.All() {
		s.truth(m.unresolved, is, name)
	}
	s.gauge(m.slots, float64(stats.QueueLen))
	s.gauge(m.connections, float64(stats.ConnCount))
	for counter, value := range stats.All() {
		name := counter.String()
		if desc := m.counts[name]; desc != nil {
			s.counter(desc, value)
			continue
		}
		kind, reason, _ := strings.Cut(name, "_")
		if desc := m.reasons[kind]; desc != nil {
			s.counter(desc, value, reason)
		}
	}
}
