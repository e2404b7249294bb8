package metrics_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/metrics"
	"github.com/ssyncp/ssyncp/internal/unixsocket"
)

var loopback = metrics.Address{Network: "tcp", Address: "127.0.0.1:0"}

// serve answers until the test ends, or stop is called.
func serve(t *testing.T, a metrics.Address, s metrics.Source) (at net.Addr, stop func()) {
	t.Helper()
	server, err := metrics.Listen(a)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, s, slog.New(slog.DiscardHandler)) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return server.Addr(), stop
}

// get returns the answer to a request.
func get(t *testing.T, at net.Addr, method, path string) (*http.Response, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, at.Network(), at.String())
		},
	}}
	request, err := http.NewRequestWithContext(t.Context(), method, "http://director"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func TestServerAnswersOnTCPAndOnAUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m")
	for _, a := range []metrics.Address{loopback, {Network: "unix", Address: path}} {
		t.Run(a.Network, func(t *testing.T) {
			at, stop := serve(t, a, source())
			response, body := get(t, at, "GET", "/metrics")
			if response.StatusCode != http.StatusOK || !strings.Contains(body, "\nssyncp_receive_dropped_total{reason=\"ttl\"} 12\n") ||
				!strings.Contains(body, "\n# HELP ssyncp_receive_dropped_total Datagrams that were dropped") {
				t.Errorf("%s: %.2000s", response.Status, body)
			}
			for _, tt := range []struct {
				method, path string
				code         int
			}{
				{"GET", "/", http.StatusOK},
				{"GET", "/debug/pprof/", http.StatusNotFound},
				{"GET", "/v1/status", http.StatusNotFound},
				{"POST", "/metrics", http.StatusMethodNotAllowed},
				{"POST", "/", http.StatusMethodNotAllowed},
			} {
				if response, _ := get(t, at, tt.method, tt.path); response.StatusCode != tt.code {
					t.Errorf("%s %s: %s", tt.method, tt.path, response.Status)
				}
			}
			stop()
			if c, err := net.Dial(at.Network(), at.String()); err == nil {
				c.Close()
				t.Error("somebody listens after the stop")
			}
		})
	}
}

func TestUnixSocketIsOfUserAndGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m")
	_, stop := serve(t, metrics.Address{Network: "unix", Address: path}, source())
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o660 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := metrics.Listen(metrics.Address{Network: "unix", Address: path}); !errors.Is(err, unixsocket.ErrInUse) ||
		!strings.Contains(err.Error(), "set another metrics.listen here") {
		t.Errorf("a second one: %v", err)
	}
	stop()
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestAddressInUseIsSaid(t *testing.T) {
	at, _ := serve(t, loopback, source())
	if _, err := metrics.Listen(metrics.Address{Network: "tcp", Address: at.String()}); err == nil ||
		!strings.Contains(err.Error(), at.String()) || !strings.Contains(err.Error(), "set another metrics.listen") {
		t.Errorf("%v", err)
	}
}

// Connections that say nothing must not keep others out for long.
func TestSilentClientsAreLeft(t *testing.T) {
	at, _ := serve(t, loopback, source())
	for range 20 {
		c, err := net.Dial(at.Network(), at.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	begin := time.Now()
	if response, _ := get(t, at, "GET", "/metrics"); response.StatusCode != http.StatusOK {
		t.Error(response.Status)
	}
	if took := time.Since(begin); took > 6*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestDirectorThatHangsDelaysOnlyForAWhile(t *testing.T) {
	s := source()
	s.Status = func(ctx context.Context) (admin.Status, error) {
		<-ctx.Done()
		return admin.Status{Protocol: 2}, ctx.Err()
	}
	at, _ := serve(t, loopback, s)
	response, body := get(t, at, "GET", "/metrics")
	if response.StatusCode != http.StatusOK || !strings.Contains(body, "\nssyncp_director_up 0\n") {
		t.Errorf("%s: %.500s", response.Status, body)
	}
}
