package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/inspect"
	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// What the daemon hands to Parts.
var _ admin.Connections = (*inspect.Inspector)(nil)

// held is a connection that a director has.
func held(state string) inspect.Held {
	return inspect.Held{Shown: ipvs.Shown{Protocol: "TCP", State: state}, Owners: []string{}}
}

func (d *director) Explain(_ context.Context, s *block.Selector) (*inspect.Explanation, error) {
	d.selector = *s
	e := &inspect.Explanation{Here: inspect.Place{Peer: d.status.Self, Connections: []inspect.Held{held("ESTABLISHED")}}}
	for i := range d.status.Peers {
		e.Peers = append(e.Peers, inspect.Place{Peer: d.status.Peers[i].Peer, Found: inspect.Found{Silent: i == 0}})
	}
	return e, d.err
}

func (d *director) Classes() []block.Class {
	return []block.Class{block.ClassIPVS, block.ClassConntrack}
}

func (d *director) Diff(_ context.Context, class block.Class, p block.Peer) (*inspect.Difference, error) {
	d.class, d.compared = class, p
	return &inspect.Difference{Equal: true, Here: 12, There: 12}, d.failing
}

func (d *director) Flush(_ context.Context, class block.Class) (*inspect.Flushed, error) {
	d.class = class
	d.flushed++
	return &inspect.Flushed{Copies: 3, Expired: 2, Refused: map[string]int{"local_hold": 1}}, d.err
}

func TestConnectionsAreAskedForByWhatIsKnownOfThem(t *testing.T) {
	d := &director{status: peering.Status{Self: id(0x2a, 1), Name: "lb1", Peers: []peering.PeerStatus{peer(0x2c, "lb3", "10.0.0.3"), peer(0x2b, "lb2", "10.0.0.2")}}}
	path := socket(t)
	serve(t, path, d)
	client := admin.NewClient(path)
	for _, tt := range []struct {
		name    string
		request admin.ExplainRequest
		want    block.Selector
	}{
		{"the client", admin.ExplainRequest{Client: "10.0.0.1:5555"}, block.Selector{Client: netip.MustParseAddrPort("10.0.0.1:5555")}},
		{"IPv6", admin.ExplainRequest{Client: "[fd00::1]:5555"}, block.Selector{Client: netip.MustParseAddrPort("[fd00::1]:5555")}},
		{"the service", admin.ExplainRequest{Client: "10.0.0.1:5555", Virtual: "192.0.2.80:80"},
			block.Selector{Client: netip.MustParseAddrPort("10.0.0.1:5555"), Virtual: netip.MustParseAddrPort("192.0.2.80:80")}},
		{"the protocol", admin.ExplainRequest{Client: "10.0.0.1:5555", Protocol: "UDP"}, block.Selector{Client: netip.MustParseAddrPort("10.0.0.1:5555"), Protocol: 17}},
		{"its number", admin.ExplainRequest{Client: "10.0.0.1:5555", Protocol: "132"}, block.Selector{Client: netip.MustParseAddrPort("10.0.0.1:5555"), Protocol: 132}},
	} {
		e, err := client.Explain(t.Context(), tt.request)
		if err != nil || d.selector != tt.want {
			t.Errorf("%s: asked for %+v, %v", tt.name, d.selector, err)
			continue
		}
		if e.Here.Name != "lb1" || len(e.Here.Connections) != 1 || e.Here.Connections[0].State != "ESTABLISHED" {
			t.Errorf("%s: here %+v", tt.name, e.Here)
		}
		if len(e.Peers) != 2 || e.Peers[0].Name != "lb2" || e.Peers[1].Name != "lb3" || e.Peers[0].Silent || !e.Peers[1].Silent {
			t.Errorf("%s: peers %+v", tt.name, e.Peers)
		}
	}
	for _, tt := range []struct {
		request admin.ExplainRequest
		text    string
	}{
		{admin.ExplainRequest{}, "no address with a port"},
		{admin.ExplainRequest{Client: "10.0.0.1"}, "no address with a port"},
		{admin.ExplainRequest{Client: "10.0.0.1:5555", Virtual: "192.0.2.80"}, "no address with a port"},
		{admin.ExplainRequest{Client: "10.0.0.1:5555", Virtual: "[fd00::1]:80"}, "two families"},
		{admin.ExplainRequest{Client: "[fe80::1%eth0]:5555"}, "no addresses of that kind"},
		{admin.ExplainRequest{Client: "10.0.0.1:5555", Protocol: "tcpp"}, "none of tcp, udp, sctp"},
		{admin.ExplainRequest{Client: "10.0.0.1:5555", Protocol: "256"}, "none of tcp, udp, sctp"},
	} {
		if _, err := client.Explain(t.Context(), tt.request); err == nil || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%+v: %v", tt.request, err)
		}
	}
}

func TestTablesAreComparedWithWhoIsMeant(t *testing.T) {
	lost := peer(0x2c, "lb3", "10.0.0.3")
	lost.Lost = true
	d := &director{status: peering.Status{Peers: []peering.PeerStatus{peer(0x2b, "lb2", "10.0.0.2"), lost}}}
	path := socket(t)
	serve(t, path, d)
	client := admin.NewClient(path)
	got, err := client.Diff(t.Context(), admin.DiffRequest{Peer: "10.0.0.2"})
	if err != nil || d.compared != id(0x2b, 1) || got.Peer.Name != "lb2" || !got.Equal || got.Here != 12 {
		t.Errorf("compared with %v: %+v, %v", d.compared, got, err)
	}
	for peer, text := range map[string]string{"": "no such peer", "lb9": "no such peer", "lb3": "there is nobody to ask"} {
		if _, err := client.Diff(t.Context(), admin.DiffRequest{Peer: peer}); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", peer, err)
		}
	}
	for _, reason := range []error{inspect.ErrBusy, inspect.ErrTooMany, inspect.ErrNotCarried, inspect.ErrPeer, inspect.ErrSilent, peering.ErrRefused, peering.ErrJoining, context.DeadlineExceeded} {
		d.failing = reason
		code, body := raw(t, path, post("/v1/diff", `{"peer": "lb2"}`))
		if d.failing = nil; code == http.StatusOK || strings.Contains(body, "its director did not answer") {
			t.Errorf("%v: %d: %s", reason, code, body)
		}
	}
}

func post(resource, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", resource, len(body), body)
}

func TestOnlyCopiesAreFlushed(t *testing.T) {
	d := new(director)
	path := socket(t)
	serve(t, path, d)
	f, err := admin.NewClient(path).FlushCopies(t.Context(), "")
	if err != nil || f.Copies != 3 || f.Expired != 2 || f.Refused["local_hold"] != 1 {
		t.Errorf("%+v, %v", f, err)
	}
	for _, body := range []string{"", "{}", `{"copies": false}`, `{"all": true}`} {
		if code, text := raw(t, path, post("/v1/flush", body)); code != http.StatusBadRequest || d.flushed != 1 {
			t.Errorf("%q: %d: %s, flushed %d times", body, code, text, d.flushed)
		}
	}
}

// What is compared and flushed is of one class, which is IPVS's unless it is
// named.
func TestAClassIsNamed(t *testing.T) {
	d := &director{status: peering.Status{Peers: []peering.PeerStatus{peer(0x2b, "lb2", "10.0.0.2")}}}
	path := socket(t)
	serve(t, path, d)
	client := admin.NewClient(path)
	for _, tt := range []struct {
		name string
		want block.Class
	}{{"", block.ClassIPVS}, {"ipvs", block.ClassIPVS}, {"conntrack", block.ClassConntrack}} {
		got, err := client.Diff(t.Context(), admin.DiffRequest{Peer: "lb2", Class: tt.name})
		if err != nil || d.class != tt.want || got.Class != tt.want.String() {
			t.Errorf("%q: compared class %v, %+v, %v", tt.name, d.class, got, err)
		}
		d.class = 0
		if _, err := client.FlushCopies(t.Context(), tt.name); err != nil || d.class != tt.want {
			t.Errorf("%q: flushed class %v, %v", tt.name, d.class, err)
		}
	}
	flushed := d.flushed
	_, compared := client.Diff(t.Context(), admin.DiffRequest{Peer: "lb2", Class: "sctp"})
	_, dropped := client.FlushCopies(t.Context(), "sctp")
	for _, err := range []error{compared, dropped} {
		if err == nil || !strings.Contains(err.Error(), `the class "sctp" is none of ipvs and conntrack`) {
			t.Errorf("%v", err)
		}
	}
	if d.flushed != flushed {
		t.Error("something was flushed")
	}
	if s, err := client.Status(t.Context()); err != nil || !slices.Equal(s.Classes, []string{"ipvs", "conntrack"}) {
		t.Errorf("status: %v, %v", s.Classes, err)
	}
}
