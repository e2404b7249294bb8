package daemon_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// scrape returns the metrics that a daemon serves on a unix socket.
func scrape(t *testing.T, socket string) string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	response, err := client.Get("http://ssyncpd/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", response.Status, err)
	}
	return "\n" + string(body)
}

func TestMetricsOfARunningDaemon(t *testing.T) {
	nsA, nsB := pair(t)
	key := newKey(t)
	socket := filepath.Join(t.TempDir(), "m")
	a := start2(t, nsA, 1, key, "--metrics-listen=unix:"+socket, "--admin-socket="+filepath.Join(t.TempDir(), "a"))
	b := start2(t, nsB, 2, key)
	a.with(1).synced()
	b.with(1).synced()
	for _, want := range []string{
		`ssyncp_build_info{goversion="go`,
		`ssyncp_director_info{name="dir1",sender_id="00000001",sync_id="7"} 1`,
		`ssyncp_director_state{state="synced"} 1`,
		`ssyncp_director_up 1`, `ssyncp_module_up 1`, `ssyncp_peers 1`,
		`ssyncp_peer_info{address="`,
		`ssyncp_peer_lag_seconds{peer="00000002"} 0`,
		`ssyncp_receive_dropped_total{reason="ttl"} 0`,
		`ssyncp_admin_requests_total 0`,
	} {
		if text := scrape(t, socket); !strings.Contains(text, "\n"+want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	b.stop()
	eventually(t, "the peer to be lost", func() bool {
		return strings.Contains(scrape(t, socket), `ssyncp_peer_state{peer="00000002",state="lost"} 1`)
	})
	a.stop()
}

func TestLogInJSON(t *testing.T) {
	ns, _ := pair(t)
	d := start(t, ns, "--log-format=json").started()
	d.stop()
	count := 0
	for line := range strings.Lines(d.log.String()) {
		var record struct{ Time, Level, Msg string }
		if err := json.Unmarshal([]byte(line), &record); err != nil || record.Time == "" || record.Level == "" || record.Msg == "" {
			t.Errorf("%s: %v", line, err)
		}
		count++
	}
	if count < 5 {
		t.Errorf("%d lines", count)
	}
}

// Who scrapes finds out; connections are synchronized all the same.
func TestDaemonGoesOnWithoutMetrics(t *testing.T) {
	ns, _ := pair(t)
	start(t, ns, "--metrics-listen=unix:/nonexistent/m").started().logs("no metrics are served", "/nonexistent", "set metrics.listen")
}
