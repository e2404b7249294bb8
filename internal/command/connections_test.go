package command_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/inspect"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// established is a connection of the tests.
func established(remaining int64) ipvs.Shown {
	return ipvs.Shown{
		Protocol: "TCP", Client: "10.0.0.1:5555", Virtual: "192.0.2.80:80", Dest: "10.0.2.21:80", Method: "Masq", State: "ESTABLISHED",
		Flags: []string{}, TimeoutMS: 900_000, AgeMS: 900_000 - remaining, RemainingMS: remaining,
	}
}

func (d *director) Explain(context.Context, *block.Selector) (*inspect.Explanation, error) {
	e := &inspect.Explanation{
		Here: inspect.Place{Peer: d.Self, Connections: []inspect.Held{
			{Shown: established(899_000), Owned: true, Told: true, Bound: true, Owners: []string{"lb1"}},
			{Shown: established(898_000), Owned: true, Told: true, LastAdvertMS: new(int64), Owners: []string{"lb1"}},
		}},
	}
	for i := range d.Peers {
		p := inspect.Place{Peer: d.Peers[i].Peer, Found: inspect.Found{Silent: i == 2}}
		if i == 0 {
			copied := established(700_000)
			copied.Flags, copied.PEName, copied.PEData = []string{"SYNC"}, "sip", []byte("call\x00")
			ago := int64(12_000)
			copied.In, copied.Out = &ipvs.Sequence{Delta: 5}, &ipvs.Sequence{Delta: 1<<32 - 7}
			p.Conntrack = &inspect.Entries{Entries: []inspect.HeldEntry{{Shown: tracked(), Owners: []string{"lb1"}}}}
			p.Connections, p.More = []inspect.Held{{Shown: copied, LastAdvertMS: &ago, Owners: []string{"lb1"}}}, true
		}
		if i == 1 {
			p.Conntrack = &inspect.Entries{Found: inspect.Found{Failed: true}}
		}
		e.Peers = append(e.Peers, p)
	}
	own := inspect.HeldEntry{Shown: tracked(), Owned: true, Told: true, Owners: []string{"lb1"}}
	own.Mark, own.Zones, own.Helper, own.Labels = 3, [2]uint16{5, 5}, "ftp", []byte{1, 0xff}
	query := tracked()
	query.Protocol, query.State, query.Status = "UDP", "", []string{"CONFIRMED"}
	e.Here.Conntrack = &inspect.Entries{Entries: []inspect.HeldEntry{own, {Shown: query, Owned: true}}}
	return e, nil
}

// tracked is the conntrack entry of the connection of the tests.
func tracked() conntrack.Shown {
	return conntrack.Shown{
		Protocol: "TCP", State: "ESTABLISHED", Status: []string{"SEEN_REPLY", "ASSURED"},
		Original:  conntrack.ShownTuple{Source: "10.0.0.1:5555", Destination: "192.0.2.80:80"},
		Reply:     conntrack.ShownTuple{Source: "10.0.2.21:80", Destination: "10.0.0.1:5555"},
		TimeoutMS: 432_000_000, AgeMS: 1000, RemainingMS: 431_999_000,
	}
}

// diffEntries differs from one of the peers; another one has none.
func (d *director) diffEntries(p block.Peer) (*inspect.Difference, error) {
	if p.Sender == d.Peers[0].Peer.Sender {
		return &inspect.Difference{Equal: true, Here: 1, There: 1}, nil
	}
	here, there := tracked(), tracked()
	there.Mark = 4
	return &inspect.Difference{
		Here: 20000, There: 19999, Differing: 2, Kinds: map[inspect.Kind]int{inspect.Mark: 1, inspect.MissingHere: 1},
		Entries: []inspect.Differing[conntrack.Shown]{{Kinds: []inspect.Kind{inspect.Mark}, Here: &here, There: &there}, {Kinds: []inspect.Kind{inspect.MissingHere}, There: &there}},
	}, nil
}

func (d *director) Classes() []block.Class {
	return []block.Class{block.ClassIPVS, block.ClassConntrack}
}

// Diff differs from one of the peers.
func (d *director) Diff(_ context.Context, class block.Class, p block.Peer) (*inspect.Difference, error) {
	if class == block.ClassConntrack {
		return d.diffEntries(p)
	}
	if p.Sender == d.Peers[0].Peer.Sender {
		return &inspect.Difference{Equal: true, Here: 20000, There: 20001, Passing: 3}, nil
	}
	here, there := established(899_000), established(899_000)
	there.State = "FIN_WAIT"
	return &inspect.Difference{
		Here: 20000, There: 19000, Differing: 1001, Kinds: map[inspect.Kind]int{inspect.State: 1, inspect.MissingThere: 1000},
		Connections: []inspect.Differing[ipvs.Shown]{{Kinds: []inspect.Kind{inspect.State}, Here: &here, There: &there}, {Kinds: []inspect.Kind{inspect.MissingThere}, Here: &here}},
	}, nil
}

func (d *director) Flush(_ context.Context, class block.Class) (*inspect.Flushed, error) {
	if class == block.ClassConntrack {
		return &inspect.Flushed{Copies: 1, Expired: 1}, nil
	}
	return &inspect.Flushed{Copies: 3, Expired: 2, Refused: map[string]int{"local_hold": 1}}, nil
}

func TestAskingAboutConnections(t *testing.T) {
	cluster, version1 := serve(t, member(), 1), serve(t, nil, 0)
	for _, tt := range []struct {
		name           string
		socket         string
		args           string
		code           int
		stdout, stderr []string // parts of it; none is nothing at all
	}{
		{"explain", cluster, "explain 10.0.0.1:5555", 0, []string{
			"here, lb1 (0000002a):\n  TCP connection  ESTABLISHED  10.0.0.1:5555 > 192.0.2.80:80 > 10.0.2.21:80  Masq\n    bound to a real server\n" +
				"    expires in 14m59s of 15m0s\n    its own: the last packet was 1.0s ago; peers were told of it\n",
			"its own: the last packet was 2.0s ago; peers were told of that of 0.0s ago\n", "peer lb2 (0000002b):\n", "    flags SYNC, sequence numbers moved by 5 in and -7 out, persistence engine \"sip\" with \"call\\x00\", not bound to a real server\n",
			"    a copy, of what lb1 owns: the advert that came 12s ago had a packet of 3m20s ago\n  and more: --virtual and --protocol say which\n",
			"peer lb3 (0000002c):\n  has no such connection\n  cannot answer of conntrack entries: it does not carry such",
			"  TCP conntrack entry  ESTABLISHED  10.0.0.1:5555 > 192.0.2.80:80, reply 10.0.2.21:80 > 10.0.0.1:5555\n" +
				"    status SEEN_REPLY,ASSURED, mark 3, zones 5 and 5, helper \"ftp\", labels 01ff\n    expires in 119h59m59s of 120h0m0s\n" +
				"    its own: the last packet was 1.0s ago; peers hear of it\n",
			"  UDP conntrack entry  10.0.0.1:5555 > ", "peers do not hear of it, by its state or the filter there\n",
			"peer lb4 (0000002d):\n  does not answer: is its ssyncpd older than this one?\n",
		}, nil},
		{"explain one of several", cluster, "explain 10.0.0.1:5555 --virtual 192.0.2.80:80 --protocol tcp", 0, []string{"here, lb1"}, nil},
		{"explain nothing", cluster, "explain", 2, nil, []string{"explain takes a client's address and port"}},
		{"explain something else", cluster, "explain lb2", 1, nil, []string{`the client "lb2" is no address with a port`}},
		{"diff of what is alike", cluster, "diff lb2", 0, []string{"alike: 20000 connections here, 20001 at lb2 (0000002b)\n", "; 3 more differed at the first look"}, nil},
		{"diff", cluster, "diff lb3", 1, []string{
			"1001 connections differ: 20000 here, 19000 at lb3 (0000002c)\n  missing there 1000: missing there\n  state         1: another state\n",
			"\nstate\n  here   TCP  ESTABLISHED  10.0.0.1:5555 > ", "  there  TCP  FIN_WAIT  ", "\nmissing there\n  here   TCP", "\n... and 999 more\n",
		}, nil},
		{"diff of all classes", cluster, "diff lb2", 0, []string{"alike: 20000 connections here, ", "\n\nalike: 1 conntrack entry here, 1 at lb2 (0000002b)\n"}, nil},
		{"diff of IPVS alone", cluster, "diff lb3 --class ipvs", 1, []string{"1001 connections differ"}, nil},
		{"diff of conntrack alone", cluster, "diff lb3 --class conntrack", 1, []string{
			"2 conntrack entries differ: 20000 here, 19999 at lb3 (0000002c)\n  missing here  1: missing here\n  mark          1: another mark\n",
			"\nmark\n  here   TCP  ESTABLISHED  10.0.0.1:5555 > 192.0.2.80:80, reply ", "  there  TCP  ", "ASSURED  mark 4  expires in 119h59m59s\n",
		}, nil},
		{"diff of no class", cluster, "diff lb2 --class sctp", 2, nil, []string{"--class is ipvs or conntrack, not \"sctp\""}},
		{"explain of a class", cluster, "explain 10.0.0.1:5555 --class conntrack", 2, nil, []string{"--class is for dump, diff, flush"}},
		{"diff with nobody", cluster, "diff", 2, nil, []string{"diff takes a peer"}},
		{"diff with a stranger", cluster, "diff lb9", 2, nil, []string{`no such peer as "lb9"`}},
		{"diff without a daemon", closed, "diff lb2", 2, nil, []string{"is ssyncpd running?"}},
		{"diff of version 1", version1, "diff lb2", 2, nil, []string{"only version 2 has it"}},
		{"flush", cluster, "flush --copies", 0, []string{"2 of 3 copies end now; what peers tell of again comes back\n  refused: local_hold  1\n"}, nil},
		{"flush of conntrack", cluster, "flush --copies --class conntrack", 0, []string{"1 of 1 copy end now"}, nil},
		{"flush of everything", cluster, "flush", 2, nil, []string{"flush takes --copies"}},
		{"copies of something else", cluster, "status --copies", 2, nil, []string{"--copies is for flush"}},
		{"a protocol of something else", cluster, "diff lb2 --protocol tcp", 2, nil, []string{"--virtual and --protocol are for explain"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asks(t, tt.socket, tt.args, tt.code, tt.stdout, tt.stderr)
		})
	}
}

func TestConnectionsForPrograms(t *testing.T) {
	socket := "--admin-socket=" + serve(t, member(), 1)
	read := func(want int, document any, args ...string) {
		t.Helper()
		code, stdout, stderr := execute(append(args, "--json", socket)...)
		if err := json.Unmarshal([]byte(stdout), document); err != nil || code != want || stderr != "" {
			t.Errorf("%v: %d: %q, %q", args, code, stdout, stderr)
		}
	}
	var e admin.Explanation
	if read(0, &e, "explain", "10.0.0.1:5555"); len(e.Here.Connections) != 2 || !e.Here.Connections[0].Owned || !e.Peers[2].Silent || e.Here.Connections[0].LastAdvertMS != nil || *e.Peers[0].Connections[0].LastAdvertMS != 12_000 {
		t.Errorf("%+v", e)
	}
	var d admin.Difference
	if read(1, &d, "diff", "lb3", "--class=ipvs"); d.Differing != 1001 || d.Kinds[inspect.MissingThere] != 1000 || d.Connections[1].There != nil || d.Peer.Name != "lb3" {
		t.Errorf("%+v", d)
	}
	var tracked admin.Difference
	if read(1, &tracked, "diff", "lb3", "--class=conntrack"); tracked.Class != "conntrack" || len(tracked.Entries) != 2 || tracked.Entries[1].Here != nil || tracked.Entries[0].There.Mark != 4 {
		t.Errorf("%+v", tracked)
	}
	// A document for each class, a line each.
	code, stdout, _ := execute("diff", "lb3", "--json", socket)
	if lines := strings.Split(strings.TrimSpace(stdout), "\n"); code != 1 || len(lines) != 2 || !strings.Contains(lines[0], `"class":"ipvs"`) || !strings.Contains(lines[1], `"class":"conntrack"`) {
		t.Errorf("%d: %d lines", code, len(lines))
	}
	var f inspect.Flushed
	if read(0, &f, "flush", "--copies"); f.Copies != 3 || f.Refused["local_hold"] != 1 {
		t.Errorf("%+v", f)
	}
}
