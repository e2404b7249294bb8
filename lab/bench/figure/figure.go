// Package figure is what the instruction-count benchmark measures and what is
// made of it: measurements as they leave the guest, and the extra cost of each
// contestant over no synchronization at all, with its spread.
package figure

import (
	"fmt"
	"slices"
	"time"
)

// A Contestant is a way to keep the connections of directors in step, or a part
// of one.
type Contestant string

// Contestants of loads on a director that sends, in the order of the report.
const (
	None        Contestant = "none"         // no synchronization: what the others are compared with
	Loaded      Contestant = "loaded"       // ssyncp.ko, with nobody attached
	Master      Contestant = "master"       // the in-kernel master, its send included
	MasterEvery Contestant = "master-every" // the same with sync_threshold 0 1
	Read        Contestant = "read"         // ssyncp's hook, and a reader that discards
	Daemon      Contestant = "daemon"       // ssyncpd, its encoding and send included
)

// Contestants of loads on a director that is a firewall, beside None.
const (
	Conntrackd Contestant = "conntrackd" // in FT-FW mode, its sending included
	Entries    Contestant = "entries"    // ssyncpd with conntrack.enabled, its sending included
)

// Contestants of what a director receives. What they take is net of sending.
const (
	Bare   Contestant = "bare"   // ip_vs_conn_new() in a loop
	Backup Contestant = "backup" // the in-kernel backup, its receiving included
	Write  Contestant = "write"  // write() of records
	// and Daemon, its receiving and decoding included
)

// Contestants of a snapshot: Read, and what follows it.
const Encode Contestant = "encode" // decoded, and encoded into adverts

// Loads on a director that sends, in the order of the report.
const (
	Flood       = "SYN flood"
	PacketIn    = "established packet, from the client"
	PacketOut   = "established packet, from the server"
	WholeAtOnce = "7-packet connection, at once"
	WholeShort  = "7-packet connection, short"
	WholeLong   = "7-packet connection, long"
	Datagrams   = "UDP, a datagram and its answer"
	Mixed       = "mixed: a connection of any of these"
)

// The same connections through a director that is a firewall, without IPVS.
const (
	FirewallAtOnce = "through a firewall, at once"
	FirewallShort  = "through a firewall, short"
	FirewallLong   = "through a firewall, long"
)

// What a director receives, and what it reads of itself.
const (
	ReceiveNew    = "received: a new entry"
	ReceiveKnown  = "received: a known entry"
	SnapshotSmall = "snapshot of 100,000"
	SnapshotLarge = "snapshot of 1,000,000"
)

// Senders, Firewalls, Receivers and Snapshots are all loads of a kind, and
// Contestants those of all Senders.
var (
	Contestants = []Contestant{None, Master, MasterEvery, Read, Daemon}
	Senders     = []string{Flood, PacketIn, PacketOut, WholeAtOnce, WholeShort, WholeLong, Datagrams, Mixed}
	Firewalls   = []string{FirewallAtOnce, FirewallShort, FirewallLong}
	Receivers   = []string{ReceiveNew, ReceiveKnown}
	Snapshots   = []string{SnapshotSmall, SnapshotLarge}
)

// A Measurement is one load on one director with one contestant.
type Measurement struct {
	Repetition   int        `json:"repetition"`
	Load         string     `json:"load"`
	Contestant   Contestant `json:"contestant"`
	Units        int        `json:"units"`        // connections or packets: what the load counts
	Connections  int        `json:"connections"`  // that took part
	Steps        int        `json:"steps"`        // packets of each, in turn
	Apart        int        `json:"apart"`        // connections that begin between two of these
	Packets      int        `json:"packets"`      // while instructions were counted
	Instructions int64      `json:"instructions"` // of the whole machine, for all units
	Records      int64      `json:"records"`      // read from the device
	Adverts      int64      `json:"adverts"`      // sent to peers
	AdvertBytes  int64      `json:"advert_bytes"` // with their Ethernet headers
}

// PerUnit is the instructions of one connection or packet.
func (m Measurement) PerUnit() float64 { return float64(m.Instructions) / float64(m.Units) }

// Life is how long a connection takes from its first step to its last, on the
// clock of a guest that is busy with nothing else.
func (m Measurement) Life() time.Duration {
	step := m.PerUnit() * float64(m.Apart)
	if m.Apart == 0 {
		step = m.PerUnit() / float64(m.Steps)
	}
	return time.Duration(step * float64(m.Steps-1))
}

// A Summary is a figure over all repetitions.
type Summary struct {
	Median, Min, Max float64
}

// Summarize fails where there is nothing to summarize.
func Summarize(values []float64) (Summary, error) {
	if len(values) == 0 {
		return Summary{}, fmt.Errorf("figure: no values")
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return Summary{
		Median: (sorted[(n-1)/2] + sorted[n/2]) / 2,
		Min:    sorted[0],
		Max:    sorted[n-1],
	}, nil
}

// A Set is all measurements of a run.
type Set []Measurement

// And returns the measurements of both runs, those of the later one as further
// repetitions.
func (s Set) And(later Set) Set {
	next := 0
	for _, m := range s {
		next = max(next, m.Repetition+1)
	}
	both := slices.Clone(s)
	for _, m := range later {
		m.Repetition += next
		both = append(both, m)
	}
	return both
}

// Select returns the measurements of a contestant under a load, by repetition.
func (s Set) Select(load string, c Contestant) map[int]Measurement {
	found := make(map[int]Measurement)
	for _, m := range s {
		if m.Load == load && m.Contestant == c {
			found[m.Repetition] = m
		}
	}
	return found
}

// Has reports whether a contestant was measured under a load.
func (s Set) Has(load string, c Contestant) bool { return len(s.Select(load, c)) > 0 }

// Cost is the instructions of a unit.
func (s Set) Cost(load string, c Contestant) (Summary, error) {
	var costs []float64
	for _, m := range s.Select(load, c) {
		costs = append(costs, m.PerUnit())
	}
	return summarize(load, c, costs)
}

// Extra is what a contestant costs a unit over no synchronization in the same
// repetition.
func (s Set) Extra(load string, c Contestant) (Summary, error) {
	without := s.Select(load, None)
	var extra []float64
	for repetition, m := range s.Select(load, c) {
		base, measured := without[repetition]
		if !measured {
			return Summary{}, fmt.Errorf("figure: %s: repetition %d lacks %q", load, repetition, None)
		}
		extra = append(extra, m.PerUnit()-base.PerUnit())
	}
	return summarize(load, c, extra)
}

func summarize(load string, c Contestant, values []float64) (Summary, error) {
	summary, err := Summarize(values)
	if err != nil {
		return Summary{}, fmt.Errorf("%w of %q under %q", err, c, load)
	}
	return summary, nil
}
