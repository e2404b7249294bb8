package command

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/inspect"
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
	switch {
	case p.Silent:
		fmt.Fprintln(out, "  does not answer: is its ssyncpd older than this one?")
	case p.Failed:
		fmt.Fprintln(out, "  cannot answer: it does not carry such connections, cannot read them (its log says more), or is newer than this ssyncpd")
	case len(p.Connections) == 0:
		fmt.Fprintln(out, "  has no such connection")
	}
	for i := range p.Connections {
		writeHeld(out, &p.Connections[i])
	}
	if p.More {
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
	fmt.Fprintf(out, "    expires in %s of %s\n", ago(float64(c.RemainingMS)/1000), ago(float64(c.TimeoutMS)/1000))
	last := ago(float64(c.AgeMS) / 1000)
	switch {
	case c.Owned && c.Told:
		fmt.Fprintf(out, "    its own: the last packet was %s ago; peers were told of it\n", last)
	case c.Owned:
		fmt.Fprintf(out, "    its own: the last packet was %s ago; peers have not been told of it yet\n", last)
	case len(c.Owners) > 0:
		fmt.Fprintf(out, "    a copy, of what %s owns: the advert that came last had a packet of %s ago\n", strings.Join(c.Owners, " and "), last)
	default:
		fmt.Fprintf(out, "    a copy, of what nobody who answered owns: the advert that came last had a packet of %s ago\n", last)
	}
}

// meanings of differences.
var meanings = map[inspect.Kind]string{
	inspect.MissingHere:  "missing here",
	inspect.MissingThere: "missing there",
	inspect.Dest:         "another real server",
	inspect.State:        "another state",
	inspect.Flags:        "other flags",
	inspect.Lifetime:     "lifetimes further apart than copies are told",
}

// appendDifference writes whether two tables are alike, and what differs.
func appendDifference(dst []byte, d *admin.Difference) []byte {
	out := bytes.NewBuffer(dst)
	if d.Equal {
		fmt.Fprintf(out, "alike: %s here, %d at %v\n", plural(d.Here, "connection"), d.There, d.Peer)
	} else {
		fmt.Fprintf(out, "%s: %d here, %d at %v\n", differing(d.Differing), d.Here, d.There, d.Peer)
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
		writeDiffering(out, &d.Connections[i])
	}
	if rest := d.Differing - len(d.Connections); rest > 0 {
		fmt.Fprintf(out, "... and %d more\n", rest)
	}
	return out.Bytes()
}

func differing(n int) string {
	if n == 1 {
		return "1 connection differs"
	}
	return fmt.Sprintf("%d connections differ", n)
}

func writeDiffering(out *bytes.Buffer, d *inspect.Differing) {
	var kinds []string
	for _, k := range d.Kinds {
		kinds = append(kinds, string(k))
	}
	fmt.Fprintf(out, "\n%s\n", strings.Join(kinds, ", "))
	for _, side := range []struct {
		name string
		c    *inspect.Connection
	}{{"here ", d.Here}, {"there", d.There}} {
		if c := side.c; c != nil {
			fmt.Fprintf(out, "  %s  %s  %s  %s > %s > %s  %s  %s  expires in %s\n", side.name, c.Protocol, c.State, c.Client, c.Virtual, c.Dest,
				c.Method, strings.Join(c.Flags, ","), ago(float64(c.RemainingMS)/1000))
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
