package admin_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/cluster"
	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// What the daemon hands to Parts.
var _ admin.Director = (*cluster.Director)(nil)

// raw sends a request as it is, and returns the answer.
func raw(t *testing.T, path, request string) (code int, body string) {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestStatusDocument(t *testing.T) {
	now := time.Now()
	second := peer(0x2b, "lb2", "10.0.0.2")
	second.Origin.Link, second.Heard = 1, now.Add(-1500*time.Millisecond)
	second.Entries, second.Last, second.Missing, second.Resync = 20000, 99, 3, true
	second.Since, second.Missed, second.Repaired = now.Add(-4*time.Second), 9, 6
	second.Links = [4]time.Time{now.Add(-2500 * time.Millisecond), second.Heard}
	first := peer(0x2a, "", "[fe80::1%eth1]:7114")
	first.Peer, first.Proven, first.Lost, first.Twin, first.State, first.Heard = id(0x2a, 9), false, true, true, 0, now.Add(-time.Minute)
	d := &director{status: peering.Status{
		Self: id(0x29, 0xff), Name: "lb0", State: block.StateDegraded, Missing: 12, Sequence: 1 << 40,
		Taking: &second, Serving: 2, Frame: 1372, Narrow: [4]int{1: 1372, 3: 1436}, Peers: []peering.PeerStatus{second, first},
	}}
	path := socket(t)
	serve(t, path, d)
	code, body := raw(t, path, "GET /v1/status HTTP/1.0\r\n\r\n")
	if code != http.StatusOK {
		t.Fatalf("%d: %s", code, body)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	// The times go on while the test runs.
	peers := got["peers"].([]any)
	for i, want := range []float64{60, 1.5} {
		p := peers[i].(map[string]any)
		about(t, p, heard, want)
		about(t, p, "lag_seconds", []float64{0, 4}[i])
		for i, l := range p["links"].([]any) {
			about(t, l.(map[string]any), heard, []float64{2.5, 1.5}[i])
		}
	}
	const want = `{
		"version": "1.2.3", "protocol_version": 2, "sync_id": 7, "classes": ["ipvs", "conntrack"],
		"sender_id": "00000029", "start_id": "000000000000000000000000000000ff", "name": "lb0",
		"state": "degraded", "missing": 12, "sequence": 1099511627776,
		"taking_snapshot": {"sender_id": "0000002b", "start_id": "00000000000000000000000000000001", "name": "lb2"},
		"serving_snapshots": 2,
		"frame_bytes": 1372, "narrow_links": [{"link": 2, "frame_bytes": 1372}, {"link": 4, "frame_bytes": 1436}],
		"peers": [{
			"sender_id": "0000002a", "start_id": "00000000000000000000000000000009", "name": "", "address": "[fe80::1%eth1]:7114",
			"link": 1, "proven": false, "lost": true, "twin": true, "state": "", "entries": 0, "last_sequence": 0, "missing": 0, "missed": 0, "repaired": 0,
			"resync": false, "links": []
		}, {
			"sender_id": "0000002b", "start_id": "00000000000000000000000000000001", "name": "lb2", "address": "10.0.0.2",
			"link": 2, "proven": true, "lost": false, "twin": false, "state": "synced", "entries": 20000, "last_sequence": 99,
			"missing": 3, "missed": 9, "repaired": 6, "resync": true, "links": [{"link": 1}, {"link": 2}]
		}],
		"vrrp_roles": [], "rates": null,
		"counters": {"good": {"apples": 3, "pears": 0}, "bad": {"apples": 0, "pears": 7}},
		"troubles": ["bad"]
	}`
	var expected map[string]any
	if err := json.Unmarshal([]byte(want), &expected); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, expected) {
		t.Errorf("got  %v\nwant %v", got, expected)
	}
}

// A class that cannot be used for a while is carried again afterwards.
func TestWhatCannotBeUsedIsNotCarried(t *testing.T) {
	path := socket(t)
	failing := errors.New("no such table")
	d := &director{status: peering.Status{State: block.StateSynced, Failing: map[block.Class]error{block.ClassConntrack: failing}}}
	serve(t, path, d)
	client := admin.NewClient(path)
	s, err := client.Status(t.Context())
	if err != nil || !slices.Equal(s.Classes, []string{"ipvs"}) || s.NotCarried["conntrack"] != failing.Error() {
		t.Errorf("carries %v, not %v, %v", s.Classes, s.NotCarried, err)
	}
	d.status.Failing = nil
	s, err = client.Status(t.Context())
	if err != nil || !slices.Equal(s.Classes, []string{"ipvs", "conntrack"}) || len(s.NotCarried) > 0 {
		t.Errorf("afterwards it carries %v, not %v, %v", s.Classes, s.NotCarried, err)
	}
}

const heard = "heard_seconds_ago"

// about expects that many seconds, and takes them away.
func about(t *testing.T, document map[string]any, key string, want float64) {
	t.Helper()
	if got, ok := document[key].(float64); !ok || got < want || got > want+30 {
		t.Errorf("%s: %v, want %v and little more", key, document[key], want)
	}
	delete(document, key)
}

func TestStatusOfVersion1HasCountersAlone(t *testing.T) {
	path := socket(t)
	serve(t, path, nil)
	_, body := raw(t, path, "GET /v1/status HTTP/1.0\r\n\r\n")
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"version", "protocol_version", "sync_id", "classes", "vrrp_roles", "rates", "counters", "troubles"} {
		if _, ok := got[key]; !ok {
			t.Errorf("no %s", key)
		}
		delete(got, key)
	}
	if len(got) > 0 {
		t.Errorf("also %v", maps.Collect(maps.All(got)))
	}
	s, err := admin.NewClient(path).Status(t.Context())
	if err != nil || s.Membership != nil || s.Counters["bad"]["pears"] != 7 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestResyncAsksWhoIsMeant(t *testing.T) {
	lost := peer(0xdeadbeef, "lb4", "10.0.0.4")
	lost.Lost = true
	unproven := peer(7, "", "10.0.0.7")
	unproven.Proven = false
	before := peer(0x2b, "lb2", "10.0.0.9")
	before.Peer.Start[0], before.Lost, before.Heard = 1, true, time.Now().Add(-time.Minute)
	d := &director{status: peering.Status{Peers: []peering.PeerStatus{
		before,
		peer(0x2b, "lb2", "10.0.0.2"), // the same director, started anew
		peer(0x2c, "lb3", "[fe80::3%eth1]:7114"),
		peer(42, "lb5", "10.0.0.5"),
		peer(0x42, "lb6", "10.0.0.6"),
		peer(100, "twice", "10.0.1.1"),
		peer(101, "twice", "10.0.1.2"),
		peer(5000, "43", "10.0.1.3"),
		lost, unproven,
	}}}
	path := socket(t)
	serve(t, path, d)
	client := admin.NewClient(path)
	for _, tt := range []struct {
		name   string
		peer   string
		sender uint32   // that was asked
		asked  int      // how many
		err    []string // parts of it
	}{
		{"all", "", 0, 7, nil},
		{"a name", "lb2", 0x2b, 1, nil},
		{"a sender ID as it is shown", "0000002c", 0x2c, 1, nil},
		{"a sender ID with 0x", "0x2C", 0x2c, 1, nil},
		{"a sender ID without zeros", "2c", 0x2c, 1, nil},
		{"a sender ID in decimal", "44", 0x2c, 1, nil},
		{"sender ID and start ID, as in the log", id(0x2c, 1).String(), 0x2c, 1, nil},
		{"an address", "10.0.0.5", 42, 1, nil},
		{"an address that it had before", "10.0.0.9", 0x2b, 1, nil},
		{"an address without its zone", "fe80::3", 0x2c, 1, nil},
		{"an address with its zone", "fe80::3%eth1", 0x2c, 1, nil},
		{"an address with its port", "[fe80::3%eth1]:7114", 0x2c, 1, nil},
		{"digits with zeros before them are hexadecimal", "00000042", 0x42, 1, nil},
		{"0x is hexadecimal", "0x42", 0x42, 1, nil},

		{"digits of one peer in hexadecimal and of another in decimal", "42", 0, 0, []string{
			`more than one peer is meant by "42": name it by its sender ID, with 0x before it`, "lb5 (0000002a) at 10.0.0.5: synced", "lb6 (00000042)"}},
		{"digits that are a name, too", "43", 0, 0, []string{"more than one peer", "lb2 (0000002b)", "43 (00001388)"}},
		{"a name of two", "twice", 0, 0, []string{"more than one peer", "twice (00000064)", "twice (00000065)"}},
		{"nobody's name", "lb9", 0, 0, []string{
			`no such peer as "lb9": it is one of`, "lb2 (0000002b) at 10.0.0.2: synced", "lb4 (deadbeef) at 10.0.0.4: lost", "00000007 at 10.0.0.7: not proven"}},
		{"nobody's address", "10.9.9.9", 0, 0, []string{"no such peer"}},
		{"another port", "[fe80::3%eth1]:7115", 0, 0, []string{"no such peer"}},
		{"one that is lost", "lb4", 0xdeadbeef, 0, []string{"there is nobody to ask: what was heard of is", "lb4 (deadbeef) at 10.0.0.4: lost, heard "}},
		{"one whose freshness is not proven", "7", 7, 0, []string{"there is nobody to ask", "00000007 at 10.0.0.7: not proven"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d.asked.Store(0)
			done, err := client.Resync(t.Context(), tt.peer)
			if (err != nil) != (tt.err != nil) {
				t.Fatalf("err = %v", err)
			}
			for _, part := range tt.err {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("no %q in %v", part, err)
				}
			}
			if err != nil && !errors.Is(err, admin.ErrRefused) {
				t.Errorf("not refused: %v", err)
			}
			if done.Asked != tt.asked {
				t.Errorf("%d asked, want %d", done.Asked, tt.asked)
			}
			if named := done.Peer != nil; named != (tt.peer != "" && err == nil) {
				t.Errorf("peer %v", done.Peer)
			}
			// Nobody is asked by mistake.
			if asked := d.asked.Load(); tt.sender != 0 && asked != tt.sender+1 || tt.sender == 0 && err != nil && asked != 0 {
				t.Errorf("asked %#x", asked-1)
			}
		})
	}
}

func TestNobodyWasHeardOf(t *testing.T) {
	path := socket(t)
	serve(t, path, new(director))
	for _, peer := range []string{"", "lb2"} {
		_, err := admin.NewClient(path).Resync(t.Context(), peer)
		if err == nil || !strings.Contains(err.Error(), "no peer was heard of") {
			t.Errorf("%q: %v", peer, err)
		}
	}
}

func TestRefusedRequests(t *testing.T) {
	post := func(resource, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", resource, len(body), body)
	}
	all := &director{status: peering.Status{Peers: []peering.PeerStatus{peer(1, "lb1", "10.0.0.1")}}}
	for _, tt := range []struct {
		name     string
		director admin.Director
		request  string
		code     int
		text     string // part of it
	}{
		{"resync of version 1", nil, post("/v1/resync", ""), http.StatusNotImplemented, "only version 2 has it (wire.version = 2)"},
		{"a peer in the query", all, post("/v1/resync?peer=lb1", ""), http.StatusBadRequest, "named in the body"},
		{"a form", all, post("/v1/resync", "peer=lb1"), http.StatusBadRequest, "not a request"},
		{"another key", all, post("/v1/resync", `{"peers": "lb1"}`), http.StatusBadRequest, `unknown field`},
		{"two documents", all, post("/v1/resync", `{"peer": "lb1"}{}`), http.StatusBadRequest, "something behind it"},
		{"a number", all, post("/v1/resync", `{"peer": 1}`), http.StatusBadRequest, "not a request"},
		{"a long body", all, post("/v1/resync", `{"peer": "`+strings.Repeat("n", 5000)+`"}`), http.StatusBadRequest, "too large"},
		{"a long header", all, "GET /v1/status HTTP/1.0\r\nX: " + strings.Repeat("n", 10000) + "\r\n\r\n", http.StatusRequestHeaderFieldsTooLarge, ""},
		{"resync that changes nothing", all, "GET /v1/resync HTTP/1.0\r\n\r\n", http.StatusMethodNotAllowed, ""},
		{"another resource", all, "GET /v1/erase HTTP/1.0\r\n\r\n", http.StatusNotFound, ""},
		{"a director that stopped", &director{err: cluster.ErrStopped}, "GET /v1/status HTTP/1.0\r\n\r\n", http.StatusServiceUnavailable, "the director does not run"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all.asked.Store(0)
			path := socket(t)
			serve(t, path, tt.director)
			code, body := raw(t, path, tt.request)
			if code != tt.code || !strings.Contains(body, tt.text) {
				t.Errorf("%d: %s", code, body)
			}
			if all.asked.Load() != 0 {
				t.Error("a resync all the same")
			}
		})
	}
}

func TestRolesAreTold(t *testing.T) {
	path := socket(t)
	serve(t, path, nil) // whatever the protocol
	client := admin.NewClient(path)
	for _, r := range []admin.RoleRequest{{"VI_2", "backup"}, {"VI_1", "MASTER"}, {"VI_3", "fault"}, {"VI_3", "stop"}} {
		if err := client.Role(t.Context(), r.Instance, r.Role); err != nil {
			t.Errorf("%v: %v", r, err)
		}
	}
	s, err := client.Status(t.Context())
	if err != nil || len(s.Roles) != 2 || s.Roles[0].RoleRequest != (admin.RoleRequest{"VI_1", "master"}) || s.Roles[1].RoleRequest != (admin.RoleRequest{"VI_2", "backup"}) {
		t.Errorf("roles: %+v, %v", s.Roles, err)
	}
}

func TestRefusedRoles(t *testing.T) {
	path := socket(t)
	serve(t, path, nil)
	for _, tt := range []struct {
		name, body string
		text       string // part of the answer
	}{
		{"nothing", "", "no such role"},
		{"no instance", `{"role": "master"}`, "not a name of a VRRP instance: it is empty"},
		{"no role", `{"instance": "VI_1"}`, "no such role"},
		{"another role", `{"instance": "VI_1", "role": "slave"}`, `no such role: \"slave\"`},
		{"a name that breaks lines", `{"instance": "VI\n1", "role": "master"}`, "control characters"},
		{"a long name", `{"instance": "` + strings.Repeat("n", 256) + `", "role": "master"}`, "longer than 255 bytes"},
		{"another key", `{"instance": "VI_1", "role": "master", "priority": 100}`, "unknown field"},
		{"two documents", `{"instance": "VI_1", "role": "master"}{}`, "something behind it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, body := raw(t, path, fmt.Sprintf("POST /v1/role HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", len(tt.body), tt.body))
			if code != http.StatusBadRequest || !strings.Contains(body, tt.text) {
				t.Errorf("%d: %s", code, body)
			}
		})
	}
	if s, err := admin.NewClient(path).Status(t.Context()); err != nil || len(s.Roles) != 0 {
		t.Errorf("roles all the same: %+v, %v", s.Roles, err)
	}
}

func TestDirectorThatDoesNotAnswerIsGivenUp(t *testing.T) {
	t.Parallel()
	path := socket(t)
	serve(t, path, &director{hangs: true})
	_, err := admin.NewClient(path).Status(t.Context())
	if !errors.Is(err, admin.ErrRefused) || !strings.Contains(err.Error(), "its director did not answer in time") {
		t.Errorf("err = %v", err)
	}
}

func TestClientsThatHangHoldUpNobody(t *testing.T) {
	t.Parallel()
	path := socket(t)
	_, stop := serve(t, path, new(director))
	for i := range 20 {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%2 == 0 {
			io.WriteString(conn, "POST /v1/resync HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
		}
	}
	// All places are taken for as long as a request may take to come.
	if _, err := admin.NewClient(path).Status(t.Context()); err != nil {
		t.Error(err)
	}
	// Nor a stop.
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	begun := time.Now()
	stop()
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("a stop took %v", took)
	}
}
