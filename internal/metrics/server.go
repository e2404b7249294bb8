package metrics

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"github.com/ssyncp/ssyncp/internal/httpserver"
	"github.com/ssyncp/ssyncp/internal/unixsocket"
)

// What clients may take of the daemon.
const (
	maxConnections = 16 // more wait in the kernel
	maxScrapes     = 2  // at once; others are told to come again
	maxHeader      = 8 << 10
	readTimeout    = 2 * time.Second // a request
	scrapeTimeout  = 8 * time.Second
	writeTimeout   = 10 * time.Second
	idleTimeout    = 2 * time.Minute // between two scrapes
)

// Address is where to listen.
type Address struct {
	Network string // "tcp" or "unix"
	Address string
}

func (a Address) String() string {
	if a.Network == "unix" {
		return "unix:" + a.Address
	}
	return a.Address
}

// Server answers on an address.
type Server struct {
	address  Address
	listener net.Listener
	socket   *unixsocket.Socket // nil with TCP
}

// Listen makes the socket. A unix one is for the daemon's user and group.
func Listen(a Address) (*Server, error) {
	s := &Server{address: a}
	if a.Network == "unix" {
		socket, err := unixsocket.Listen(a.Address, unixsocket.Purpose{Name: "metrics socket", Key: "metrics.listen", Mode: 0o660})
		if err != nil {
			return nil, err
		}
		s.socket, s.listener = socket, socket.Listener
		return s, nil
	}
	l, err := net.Listen(a.Network, a.Address)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w: set another metrics.listen, or \"\" for none", err)
	}
	s.listener = l
	return s, nil
}

// Addr is that of the listener.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close closes the listener. Serve does it, too.
func (s *Server) Close() {
	s.listener.Close()
	if s.socket != nil {
		s.socket.Close()
	}
}

// Serve answers until ctx is done.
func (s *Server) Serve(ctx context.Context, source Source, log *slog.Logger) error {
	defer s.Close()
	server := &http.Server{
		Handler:           handler(source, log),
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	log.Info("metrics are served", "listen", s.address.String())
	if err := httpserver.Serve(ctx, server, netutil.LimitListener(s.listener, maxConnections)); err != nil {
		return fmt.Errorf("metrics on %v: %w", s.address, err)
	}
	return nil
}

func handler(source Source, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	registry := NewRegistry(source)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ErrorHandling:       promhttp.ContinueOnError, // they are counted; the rest is of use all the same
		Registry:            registry,
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTimeout,
	}))
	mux.Handle("GET /{$}", page{source})
	return mux
}
