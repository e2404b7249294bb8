package command

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ssyncp/ssyncp/internal/admin"
)

// remarks say what a state means, where its name does not.
var remarks = map[string]string{
	"joining":        "it takes over what peers know, and is not to become master yet",
	"synced (alone)": "no peer was heard of when it started, and none has been since",
}

// appendStatus writes a status for people: the state first, then the peers,
// then what went wrong since the start.
func appendStatus(dst []byte, s *admin.Status) []byte {
	out := bytes.NewBuffer(dst)
	if s.Membership != nil {
		writeState(out, s)
		writeRates(out, s.Rates)
		writePeers(out, s.Peers)
	} else {
		fmt.Fprintf(out, "running: version %d of the protocol knows neither states nor peers\n", s.Protocol)
		fmt.Fprintf(out, "sync ID %d, ssyncpd %s\n", s.SyncID, s.Version)
		writeRates(out, s.Rates)
	}
	writeRoles(out, s.Roles)
	writeTroubles(out, s)
	return out.Bytes()
}

func writeState(out *bytes.Buffer, s *admin.Status) {
	remark := remarks[s.State]
	if s.Missing > 0 {
		remark = fmt.Sprintf("%d entries were refused, as their service is not configured here (ipvsadm -ln)", s.Missing)
	}
	if remark != "" {
		remark = ": " + remark
	}
	fmt.Fprintf(out, "%s%s\n", s.State, remark)
	fmt.Fprintf(out, "%s (%s), sync ID %d, protocol version %d, ssyncpd %s\n", s.Name, s.SenderID, s.SyncID, s.Protocol, s.Version)
	if len(s.Classes) > 0 {
		fmt.Fprintf(out, "carries %s\n", strings.Join(s.Classes, " and "))
	}
	for _, class := range slices.Sorted(maps.Keys(s.NotCarried)) {
		fmt.Fprintf(out, "DOES NOT CARRY %s: %s\n", class, s.NotCarried[class])
	}
	fmt.Fprintf(out, "last sequence %d", s.Sequence)
	if s.Taking != nil {
		fmt.Fprintf(out, ", takes a snapshot of %v", *s.Taking)
	}
	if s.Serving > 0 {
		fmt.Fprintf(out, ", serves %s", plural(s.Serving, "snapshot"))
	}
	fmt.Fprintln(out)
	for _, l := range s.Narrow {
		fmt.Fprintf(out, "link %d takes frames of up to %d bytes, less than its interface claims\n", l.Link, l.Frame)
	}
	if s.State == "joining" {
		writeWaiting(out, s)
	}
}

// writeWaiting says what joining waits for, where that can be told.
func writeWaiting(out *bytes.Buffer, s *admin.Status) {
	there, missing := 0, 0
	for _, p := range s.Peers {
		if p.Proven && !p.Lost {
			there++
			missing += p.Missing
		}
	}
	switch {
	case there == 0:
		fmt.Fprintln(out, "waits for a peer, for wire.join_timeout")
	case s.Taking == nil && missing > 0:
		fmt.Fprintf(out, "waits for %s that are missing\n", plural(missing, "advert"))
	case s.Taking == nil:
		fmt.Fprintln(out, "waits for a peer that can give a snapshot")
	}
}

// writeRates says what goes over the links.
func writeRates(out *bytes.Buffer, r *admin.Rates) {
	if r == nil {
		return
	}
	for _, way := range []struct {
		name string
		rate admin.FlowRate
	}{{"in ", r.In}, {"out", r.Out}} {
		fmt.Fprintf(out, "%s  %.0f entries, %.0f frames, %.0f bytes a second\n", way.name, way.rate.Entries, way.rate.Frames, way.rate.Bytes)
	}
}

func writePeers(out *bytes.Buffer, peers []admin.Peer) {
	if len(peers) == 0 {
		fmt.Fprint(out, "\nno peers\n")
		return
	}
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PEER\tNAME\tADDRESS\tSTATE\tHEARD\tENTRIES\tSEQUENCE\tMISSING\tLAG\tMISSED\tREPAIRED\tLINKS")
	for _, p := range peers {
		name := p.Name
		if name == "" {
			name = "-"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\t%d\t%d\t%s\n", p.SenderID, name, p.Address, condition(p), ago(p.Heard),
			p.Entries, p.Sequence, p.Missing, lag(p), p.Missed, p.Repaired, links(p))
	}
	table.Flush()
}

// lag is how long the advert is missing that is missing longest.
func lag(p admin.Peer) string {
	if p.Missing == 0 {
		return "-"
	}
	return ago(p.Lag)
}

// condition is a peer's state and what there is to say about it.
func condition(p admin.Peer) string {
	text := p.Condition()
	if p.Twin {
		text += ", twin"
	}
	if p.Resync {
		text += ", resync"
	}
	return text
}

// links are those that a peer was heard on, and how long ago.
func links(p admin.Peer) string {
	if len(p.Links) == 0 {
		return "-"
	}
	list := make([]string, len(p.Links))
	for i, l := range p.Links {
		list[i] = fmt.Sprintf("%d: %s", l.Link, ago(l.Heard))
	}
	return strings.Join(list, ", ")
}

// writeRoles lists the roles of VRRP instances, where there are any.
func writeRoles(out *bytes.Buffer, roles []admin.InstanceRole) {
	if len(roles) == 0 {
		return
	}
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "INSTANCE\tROLE\tFOR")
	for _, r := range roles {
		fmt.Fprintf(table, "%s\t%s\t%s\n", r.Instance, r.Role, ago(r.Since))
	}
	table.Flush()
}

// writeTroubles lists what was dropped, refused or failed, by reason.
func writeTroubles(out *bytes.Buffer, s *admin.Status) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	none := true
	for _, group := range s.Troubles {
		values := s.Counters[group]
		var names []string
		for name, value := range values {
			if value > 0 {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		for _, name := range names {
			if none {
				fmt.Fprint(out, "\nDropped, refused or failed since the start:\n")
				none = false
			}
			fmt.Fprintf(table, "  %s\t%s\t%d\n", group, name, values[name])
		}
	}
	table.Flush()
	if none {
		fmt.Fprint(out, "\nNothing was dropped, refused or failed since the start.\n")
	}
}

// ago is a time that people compare at a glance.
func ago(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < 10*time.Second {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
