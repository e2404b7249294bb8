package metrics

import (
	"context"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/ssyncp/ssyncp/internal/vrrp"
)

// answerTimeout is how long the director has to answer.
const answerTimeout = 3 * time.Second

// NewRegistry returns what is told of a daemon, and of its process.
func NewRegistry(s Source) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		&collector{
			source:     s,
			build:      describe("build_info", "The version of ssyncpd that runs: 1.", "version", "goversion", "protocol_version"),
			groups:     newGroupMetrics(),
			module:     newModuleMetrics(),
			membership: newMembershipMetrics(),
			role:       describe("vrrp_role", "The role of a VRRP instance: 1 for the one that it has.", "instance", "role"),
		},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return r
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+name, help, labels, nil)
}

// collector asks at every scrape: nothing is kept between two.
type collector struct {
	source     Source
	build      *prometheus.Desc
	groups     groupMetrics
	module     moduleMetrics
	membership membershipMetrics
	role       *prometheus.Desc
}

// Describe is prometheus.Collector's.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.build
	c.groups.describe(ch)
	c.module.describe(ch)
	c.membership.describe(ch)
	ch <- c.role
}

// Collect is prometheus.Collector's.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := sample(ch)
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	status, err := c.source.Status(ctx)
	version, _, _ := strings.Cut(status.Version, " ")
	s.gauge(c.build, 1, version, runtime.Version(), strconv.Itoa(status.Protocol))
	c.groups.collect(s, status.Counters)
	c.membership.collect(s, &status, time.Now(), err)
	for _, instance := range status.Roles {
		for _, role := range []vrrp.Role{vrrp.Master, vrrp.Backup, vrrp.Fault} {
			s.truth(c.role, role.String() == instance.Role, instance.Instance, role.String())
		}
	}
	stats, err := c.source.Module()
	c.module.collect(s, stats, err)
}

// sample is where values go to.
type sample chan<- prometheus.Metric

func (s sample) gauge(desc *prometheus.Desc, value float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

func (s sample) counter(desc *prometheus.Desc, value uint64, labels ...string) {
	s <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), labels...)
}

func (s sample) truth(desc *prometheus.Desc, is bool, labels ...string) {
	value := 0.0
	if is {
		value = 1
	}
	s.gauge(desc, value, labels...)
}
