package command_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/inspect"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// established is a connection of the tests.
func established(remaining int64) inspect.Connection {
	return inspect.Connection{
		Protocol: "TCP", Client: "10.0.0.1:5555", Virtual: "192.0.2.80:80", Dest: "10.0.2.21:80", Method: "Masq", State: "ESTABLISHED",
		Flags: []string{}, TimeoutMS: 900_000, AgeMS: 900_000 - remaining, RemainingMS: remaining,
	}
}

func (d *director) Explain(context.Context, *block.Selector) (*inspect.Explanation, error) {
	e := &inspect.Explanation{
		Here: inspect.Place{Peer: d.Self, Connections: []inspect.Held{{Connection: established(899_000), Owned: true, Told: true, Bound: true, Owners: []string{"lb1"}}}},
	}
	for i := range d.Peers {
		p := inspect.Place{Peer: d.Peers[i].Peer, Silent: i == 2}
		if i == 0 {
			copied := established(700_000)
			copied.Flags, copied.PEName, copied.PEData = []string{"SYNC"}, "sip", []byte("call\x00")
			copied.In, copied.Out = &ipvs.Sequence{Delta: 5}, &ipvs.Sequence{Delta: 1<<32 - 7}
			p.Connections, p.More = []inspect.Held{{Connection: copied, Owners: []string{"lb1"}}}, true
		}
		e.Peers = append(e.Peers, p)
	}
	return e, nil
}

// Diff differs from one of the peers.
func (d *director) Diff(_ context.Context, p block.Peer) (*inspect.Difference, error) {
	if p.Sender == d.Peers[0].Peer.Sender {
		return &inspect.Difference{Equal: true, Here: 20000, There: 20001, Passing: 3}, nil
	}
	here, there := established(899_000), established(899_000)
	there.State = "FIN_WAIT"
	return &inspect.Difference{
		Here: 20000, There: 19000, Differing: 1001, Kinds: map[inspect.Kind]int{inspect.State: 1, inspect.MissingThere: 1000},
		Connections: []inspect.Differing{{Kinds: []inspect.Kind{inspect.State}, Here: &here, There: &there}, {Kinds: []inspect.Kind{inspect.MissingThere}, Here: &here}},
	}, nil
}

func (d *director) Flush(context.Context) (*inspect.Flushed, error) {
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
			"peer lb2 (0000002b):\n", "    flags SYNC, sequence numbers moved by 5 in and -7 out, persistence engine \"sip\" with \"call\\x00\", not bound to a real server\n",
			"    a copy, of what lb1 owns: the advert that came last had a packet of 3m20s ago\n  and more: --virtual and --protocol say which\n",
			"peer lb3 (0000002c):\n  has no such connection\n",
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
		{"diff with nobody", cluster, "diff", 2, nil, []string{"diff takes a peer"}},
		{"diff with a stranger", cluster, "diff lb9", 2, nil, []string{`no such peer as "lb9"`}},
		{"diff without a daemon", closed, "diff lb2", 2, nil, []string{"is ssyncpd running?"}},
		{"diff of version 1", version1, "diff lb2", 2, nil, []string{"only version 2 has it"}},
		{"flush", cluster, "flush --copies", 0, []string{"2 of 3 copies end now; what peers tell of again comes back\n  refused: local_hold  1\n"}, nil},
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
	if read(0, &e, "explain", "10.0.0.1:5555"); len(e.Here.Connections) != 1 || !e.Here.Connections[0].Owned || !e.Peers[2].Silent {
		t.Errorf("%+v", e)
	}
	var d admin.Difference
	if read(1, &d, "diff", "lb3"); d.Differing != 1001 || d.Kinds[inspect.MissingThere] != 1000 || d.Connections[1].There != nil || d.Peer.Name != "lb3" {
		t.Errorf("%+v", d)
	}
	var f inspect.Flushed
	if read(0, &f, "flush", "--copies"); f.Copies != 3 || f.Refused["local_hold"] != 1 {
		t.Errorf("%+v", f)
	}
}
