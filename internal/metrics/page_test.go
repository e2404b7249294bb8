package metrics_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/metrics"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

func TestPageShowsStatePeersAndTroubles(t *testing.T) {
	at, _ := serve(t, loopback, source())
	response, body := get(t, at, "GET", "/")
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%s, %v", response.Status, response.Header)
	}
	for _, want := range []string{
		`<h1 id="state">synced (alone)</h1>`, "lb1 (0000002a), sync ID 7, protocol version 2, takes a snapshot of lb2 (0000002b)",
		`<td class="badge good">synced</td>`, `<td class="badge bad">lost</td>`, "<td>10.0.0.2</td>", "VRRP: VI_1 is master since 1m1s", "20 000", "VRRP: VI_1 is master since 1m1s", "9 / 6", "1: 0.5 s, 2: 1m1s",
		"capturing,interposed", `<td>receive_dropped</td><td>ttl</td><td class="number">12</td>`, "fill_cport",
		"<dt>Longest frame, bytes</dt><dd>1 372</dd>", `<dt>Link 2 takes no longer ones</dt><dd class="badge fair">1 372</dd>`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in:\n%s", want, body)
		}
	}
	if strings.Contains(body, "<td>own</td>") {
		t.Error("shows a trouble that there was not")
	}
}

// Peers choose their names themselves.
func TestPageShowsNamesAsTheyAre(t *testing.T) {
	s := source()
	status, _ := s.Status(t.Context())
	status.Peers[0].Name = `<script>alert("lb2")</script>`
	at, _ := serve(t, loopback, s)
	response, body := get(t, at, "GET", "/")
	if strings.Contains(body, "<script") || !strings.Contains(body, "&lt;script&gt;") {
		t.Error(body)
	}
	policy := response.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "script-src") {
		t.Errorf("policy %q", policy)
	}
}

func TestPageNeedsNothingFromElsewhere(t *testing.T) {
	at, _ := serve(t, loopback, source())
	_, body := get(t, at, "GET", "/")
	for _, other := range []string{"http:", "https:", "src=", "url(", "@import", "<link"} {
		if strings.Contains(body, other) {
			t.Errorf("%q is in the page", other)
		}
	}
}

func TestPageSaysWhatDoesNotAnswer(t *testing.T) {
	s := source()
	s.Status = func(context.Context) (admin.Status, error) { return admin.Status{Protocol: 2}, errSilent }
	s.Module = func() (chardev.Stats, error) { return chardev.Stats{}, errors.New("no such device") }
	at, _ := serve(t, loopback, s)
	response, body := get(t, at, "GET", "/")
	if response.StatusCode != http.StatusServiceUnavailable {
		t.Error(response.Status)
	}
	for _, want := range []string{`<header class="bad">`, ">silent</h1>", errSilent.Error(), "does not answer: no such device"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in:\n%s", want, body)
		}
	}
}

func TestPageOfVersion1HasNoPeers(t *testing.T) {
	s := metrics.Source{
		Status: func(context.Context) (admin.Status, error) { return admin.Status{Version: "1.2.3", Protocol: 1}, nil },
		Module: source().Module,
	}
	at, _ := serve(t, loopback, s)
	response, body := get(t, at, "GET", "/")
	if response.StatusCode != http.StatusOK || !strings.Contains(body, ">running</h1>") || strings.Contains(body, `id="peers"`) {
		t.Errorf("%s: %s", response.Status, body)
	}
}
