package doctor

import (
	"context"
	"fmt"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// Severity is how much a finding matters.
type Severity string

// The severities. A note is what could not be found out, or what is only worth
// knowing: it counts for nothing.
const (
	Note    Severity = "note"
	Warning Severity = "warning"
	Failure Severity = "failure"
)

// Finding is something that is wrong, and what to do about it.
type Finding struct {
	Severity Severity `json:"severity"`
	What     string   `json:"what"`
	Remedy   string   `json:"remedy"`
}

// Result is what a check came to.
type Result struct {
	Check    string    `json:"check"`
	Facts    []string  `json:"facts"` // what it saw, in few words
	Findings []Finding `json:"findings"`
}

// Severity returns that of the worst finding; "" is none.
func (r *Result) Severity() Severity {
	var worst Severity
	for _, f := range r.Findings {
		if f.Severity == Failure || f.Severity == Warning && worst != Failure || worst == "" {
			worst = f.Severity
		}
	}
	return worst
}

// Report is what all checks came to.
type Report struct {
	Results  []Result `json:"checks"`
	Failures int      `json:"failures"`
	Warnings int      `json:"warnings"`
}

// Subject is the configuration that the host is judged by. Without a valid one,
// Err says why, and checks that need the invalid part say nothing.
type Subject struct {
	File   string // that it was read from
	Config config.Config
	Err    error
}

// check is one concern.
type check struct {
	name string
	run  func(*examination)
}

// checks are all there are, in the order in which a reader wants to know: what
// comes later often follows from what came before.
var checks = []check{
	{"configuration", (*examination).configuration},
	{"user", (*examination).user},
	{"key", (*examination).key},
	{"kernel", (*examination).kernel},
	{"module", (*examination).module},
	{"device", (*examination).device},
	{"in-kernel daemon", (*examination).kernelDaemons},
	{"services", (*examination).services},
	{"sysctl", (*examination).sysctls},
	{"conntrack", (*examination).conntrack},
	{"links", (*examination).links},
	{"multicast", (*examination).multicast},
	{"firewall", (*examination).firewall},
	{"unit", (*examination).unit},
	{"daemon", (*examination).daemon},
	{"peers", (*examination).peers},
	{"MTU", (*examination).mtu},
}

// Checks returns the names of all checks.
func Checks() []string {
	names := make([]string, len(checks))
	for i, c := range checks {
		names[i] = c.name
	}
	return names
}

// examination is one run over all checks, and what they share.
type examination struct {
	Subject
	ctx    context.Context
	host   Host
	result *Result // of the check that runs

	stats       *chardev.Stats // nil: not to be had
	status      *admin.Status  // nil: nobody answered
	statusErr   error
	process     *process // the daemon's, nil: not found
	interfaces  map[string]Interface
	ownUnit     unitFile
	heardOnLink []bool // a peer is heard, by link
}

// Examine runs all checks.
func Examine(ctx context.Context, host Host, subject Subject) Report {
	x := &examination{Subject: subject, ctx: ctx, host: host}
	x.gather()
	var report Report
	for _, c := range checks {
		result := Result{Check: c.name, Facts: []string{}, Findings: []Finding{}}
		x.result = &result
		c.run(x)
		for _, f := range result.Findings {
			switch f.Severity {
			case Failure:
				report.Failures++
			case Warning:
				report.Warnings++
			}
		}
		report.Results = append(report.Results, result)
	}
	return report
}

// gather asks what several checks want to know.
func (x *examination) gather() {
	x.ownUnit = x.readUnit()
	if x.Config.Admin.Socket != "" {
		status, err := x.host.Status(x.ctx, x.Config.Admin.Socket)
		if err == nil {
			x.status = &status
		}
		x.statusErr = err
	}
	x.interfaces = make(map[string]Interface)
	for _, i := range x.host.Interfaces() {
		x.interfaces[i.Name] = i
	}
	x.process = findDaemon(x.host.Files, x.Config.Device.Path)
	x.heardOnLink = make([]bool, len(x.Config.Links))
	for _, p := range x.livePeers() {
		for _, l := range p.Links {
			if l.Link <= len(x.heardOnLink) && l.Heard < silence.Seconds() {
				x.heardOnLink[l.Link-1] = true
			}
		}
	}
}

// livePeers returns those that the running daemon hears.
func (x *examination) livePeers() []admin.Peer {
	var live []admin.Peer
	if x.status != nil && x.status.Membership != nil {
		for _, p := range x.status.Peers {
			if p.Proven && !p.Lost {
				live = append(live, p)
			}
		}
	}
	return live
}

// count returns a counter of the running daemon.
func (x *examination) count(group, name string) uint64 {
	if x.status == nil {
		return 0
	}
	return x.status.Counters[group][name]
}

// fact adds something that was seen.
func (x *examination) fact(format string, args ...any) {
	x.result.Facts = append(x.result.Facts, fmt.Sprintf(format, args...))
}

// find adds a finding with its remedy.
func (x *examination) find(s Severity, remedy, format string, args ...any) {
	x.result.Findings = append(x.result.Findings, Finding{Severity: s, What: fmt.Sprintf(format, args...), Remedy: remedy})
}
