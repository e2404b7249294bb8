package command

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/inspect"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// appendExplanation writes what each director has, this one first.
func appendExplanation(dst []byte, e *admin.Explanation) []byte {
	out := bytes.NewBuffer(dst)
	fmt.Fprintf(out, "here, %v:\n", e.Here.PeerName)
	writePlace(out, &e.Here)
	if len(e.Peers) == 0 {
		fmt.Fprintln(out, "no peer is there (ssyncpd status)")
	}
	for i := range e.Peers {
		fmt.Fprintf(out, "peer %v:\n", e.Peers[i].PeerName)
		writePlace(out, &e.Peers[i])
	}
	return out.Bytes()
}

func writePlace(out *bytes.Buffer, p *admin.Place) {
	writeFound(out, &p.Found, "connection", len(p.Connections), func(k int) { writeHeld(out, &p.Connections[k]) })
	if t := p.Conntrack; t != nil {
		writeFound(out, &t.Found, "conntrack entry", len(t.Entries), func(k int) { writeHeldEntry(out, &t.Entries[k]) })
	}
}

// writeFound writes what a director has of one class.
func writeFound(out *bytes.Buffer, f *inspect.Found, what string, n int, write func(k int)) {
	of := ""
	if what != "connection" {
		of = " of conntrack entries"
	}
	switch {
	case f.Silent:
		fmt.Fprintf(out, "  does not answer%s: is its ssyncpd older than this one?\n", of)
	case f.Failed:
		fmt.Fprintf(out, "  cannot answer%s: it does not carry such connections, cannot read them (its log says more), or has another version than this ssyncpd\n", of)
	case n == 0:
		fmt.Fprintf(out, "  has no such %s\n", what)
	}
	for k := range n {
		write(k)
	}
	if f.More {
		fmt.Fprintln(out, "  and more: --virtual and --protocol say which")
	}
}

// writeHeld writes a connection, and in words what its director knows of it.
func writeHeld(out *bytes.Buffer, c *inspect.Held) {
	what := "connection"
	if c.Template {
		what = "template"
	}
	fmt.Fprintf(out, "  %s %s  %s  %s > %s > %s  %s\n", c.Protocol, what, c.State, c.Client, c.Virtual, c.Dest, c.Method)
	var more []string
	if len(c.Flags) > 0 {
		more = append(more, "flags "+strings.Join(c.Flags, ","))
	}
	if c.Fwmark != 0 {
		more = append(more, fmt.Sprintf("firewall mark %d", c.Fwmark))
	}
	if c.In != nil && c.Out != nil {
		more = append(more, fmt.Sprintf("sequence numbers moved by %d in and %d out", int32(c.In.Delta), int32(c.Out.Delta)))
	}
	if c.PEName != "" {
		more = append(more, fmt.Sprintf("persistence engine %q with %q", c.PEName, c.PEData))
	}
	if c.Bound {
		more = append(more, "bound to a real server")
	} else {
		more = append(more, "not bound to a real server")
	}
	fmt.Fprintf(out, "    %s\n", strings.Join(more, ", "))
	fmt.Fprintf(out, "    expires in %s of %s\n", milliseconds(c.RemainingMS), milliseconds(c.TimeoutMS))
	last := milliseconds(c.AgeMS)
	switch {
	case c.Owned && c.Told && c.LastAdvertMS != nil:
		fmt.Fprintf(out, "    its own: the last packet was %s ago; peers were told of that of %s ago\n", last, milliseconds(*c.LastAdvertMS))
	case c.Owned && c.Told:
		fmt.Fprintf(out, "    its own: the last packet was %s ago; peers were told of it\n", last)
	case c.Owned:
		fmt.Fprintf(out, "    its own: the last packet was %s ago; peers have not been told of it yet\n", last)
	default:
		writeCopy(out, c.Owners, c.LastAdvertMS, last)
	}
}

// writeHeldEntry writes the same of a conntrack entry.
func writeHeldEntry(out *bytes.Buffer, e *inspect.HeldEntry) {
	fmt.Fprintf(out, "  %s conntrack entry  %s\n", e.Protocol, entry(&e.Shown))
	more := []string{"status " + strings.Join(e.Status, ",")}
	if e.Mark != 0 {
		more = append(more, fmt.Sprintf("mark %d", e.Mark))
	}
	if e.Zones != [2]uint16{} {
		more = append(more, fmt.Sprintf("zones %d and %d", e.Zones[0], e.Zones[1]))
	}
	if e.Helper != "" {
		more = append(more, fmt.Sprintf("helper %q", e.Helper))
	}
	if len(e.Labels) > 0 {
		more = append(more, fmt.Sprintf("labels %x", e.Labels))
	}
	fmt.Fprintf(out, "    %s\n", strings.Join(more, ", "))
	fmt.Fprintf(out, "    expires in %s of %s\n", milliseconds(e.RemainingMS), milliseconds(e.TimeoutMS))
	last := milliseconds(e.AgeMS)
	switch {
	case e.Owned && e.Told:
		fmt.Fprintf(out, "    its own: the last packet was %s ago; peers hear of it\n", last)
	case e.Owned:
		fmt.Fprintf(out, "    its own: the last packet was %s ago; peers do not hear of it, by its state or the filter there\n", last)
	default:
		writeCopy(out, e.Owners, e.LastAdvertMS, last)
	}
}

// entry is one in a few words: its state, where it has one, and both directions.
func entry(e *conntrack.Shown) string {
	state := e.State
	if state != "" {
		state += "  "
	}
	return fmt.Sprintf("%s%s > %s, reply %s > %s", state, e.Original.Source, e.Original.Destination, e.Reply.Source, e.Reply.Destination)
}

// writeCopy says whose copy it is, and when it was heard of last.
func writeCopy(out *bytes.Buffer, owners []string, advert *int64, last string) {
	owner, came := "nobody who answered", "came last"
	if len(owners) > 0 {
		owner = strings.Join(owners, " and ")
	}
	if advert != nil {
		came = "came " + milliseconds(*advert) + " ago"
	}
	fmt.Fprintf(out, "    a copy, of what %s owns: the advert that %s had a packet of %s ago\n", owner, came, last)
}

func milliseconds(n int64) string { return ago(float64(n) / 1000) }

// meanings of differences.
var meanings = map[inspect.Kind]string{
	inspect.MissingHere:  "missing here",
	inspect.MissingThere: "missing there",
	inspect.Dest:         "another real server",
	inspect.Reply:        "another reply: other addresses behind NAT",
	inspect.State:        "another state",
	inspect.Flags:        "other flags",
	inspect.Mark:         "another mark",
	inspect.Lifetime:     "lifetimes further apart than copies are told",
}

// appendDifference writes whether two tables are alike, and what differs.
func appendDifference(dst []byte, d *admin.Difference) []byte {
	out := bytes.NewBuffer(dst)
	what, many := "connection", "connections"
	if d.Class == classConntrack {
		what, many = "conntrack entry", "conntrack entries"
	}
	number := func(n int) string {
		if n == 1 {
			return "1 " + what
		}
		return fmt.Sprintf("%d %s", n, many)
	}
	if d.Equal {
		fmt.Fprintf(out, "alike: %s here, %d at %v\n", number(d.Here), d.There, d.Peer)
	} else {
		differ := "differ"
		if d.Differing == 1 {
			differ = "differs"
		}
		fmt.Fprintf(out, "%s %s: %d here, %d at %v\n", number(d.Differing), differ, d.Here, d.There, d.Peer)
		for _, k := range inspect.Kinds {
			if n := d.Kinds[k]; n > 0 {
				fmt.Fprintf(out, "  %-14s%d: %s\n", k, n, meanings[k])
			}
		}
	}
	fmt.Fprintf(out, "compared in %s", ago(d.Took))
	if d.Passing > 0 {
		fmt.Fprintf(out, "; %d more differed at the first look and not two periods later: what is younger may be under way", d.Passing)
	}
	fmt.Fprintln(out)
	for i := range d.Connections {
		writeDiffering(out, &d.Connections[i], func(c *ipvs.Shown) {
			fmt.Fprintf(out, "%s  %s  %s > %s > %s  %s  %s  expires in %s\n", c.Protocol, c.State, c.Client, c.Virtual, c.Dest,
				c.Method, strings.Join(c.Flags, ","), milliseconds(c.RemainingMS))
		})
	}
	for i := range d.Entries {
		writeDiffering(out, &d.Entries[i], func(e *conntrack.Shown) {
			fmt.Fprintf(out, "%s  %s  %s  mark %d  expires in %s\n", e.Protocol, entry(e), strings.Join(e.Status, ","), e.Mark, milliseconds(e.RemainingMS))
		})
	}
	if rest := d.Differing - d.Named(); rest > 0 {
		fmt.Fprintf(out, "... and %d more\n", rest)
	}
	return out.Bytes()
}

func writeDiffering[S any](out *bytes.Buffer, d *inspect.Differing[S], write func(*S)) {
	var kinds []string
	for _, k := range d.Kinds {
		kinds = append(kinds, string(k))
	}
	fmt.Fprintf(out, "\n%s\n", strings.Join(kinds, ", "))
	for _, side := range []struct {
		name string
		one  *S
	}{{"here ", d.Here}, {"there", d.There}} {
		if side.one != nil {
			fmt.Fprintf(out, "  %s  ", side.name)
			write(side.one)
		}
	}
}

// appendFlushed says what became of copies.
func appendFlushed(dst []byte, f *inspect.Flushed) []byte {
	out := bytes.NewBuffer(dst)
	fmt.Fprintf(out, "%d of %s end now; what peers tell of again comes back\n", f.Expired, copies(f.Copies))
	for _, reason := range slices.Sorted(maps.Keys(f.Refused)) {
		fmt.Fprintf(out, "  refused: %s  %d\n", reason, f.Refused[reason])
	}
	return out.Bytes()
}

func copies(n int) string {
	if n == 1 {
		return "1 copy"
	}
	return fmt.Sprintf("%d copies", n)
}
