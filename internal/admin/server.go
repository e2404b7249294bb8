package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/ssyncp/ssyncp/internal/counters"
	"github.com/ssyncp/ssyncp/internal/httpserver"
	"github.com/ssyncp/ssyncp/internal/inspect"
	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/internal/unixsocket"
	"github.com/ssyncp/ssyncp/internal/vrrp"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// What a client may take of the daemon. The last of the times is less than what
// Client waits for, so that it is told.
const (
	maxHeader     = 4 << 10
	maxBody       = 4 << 10
	readTimeout   = 2 * time.Second // a request
	writeTimeout  = 10 * time.Second
	answerTimeout = 3 * time.Second // the director's
)

// Director is what is asked: *cluster.Director.
type Director interface {
	Status(ctx context.Context) (peering.Status, error)
	// Resync returns how many peers will be asked; sender ID 0 is all.
	Resync(ctx context.Context, sender uint32) (asked int, err error)
}

// Connections are asked for where they are: *inspect.Inspector.
type Connections interface {
	Explain(ctx context.Context, s *block.Selector) (*inspect.Explanation, error)
	Diff(ctx context.Context, class block.Class, peer block.Peer) (*inspect.Difference, error)
	Flush(ctx context.Context, class block.Class) (*inspect.Flushed, error)
	// Classes are those that are carried.
	Classes() []block.Class
}

// Roles are those of VRRP instances: *vrrp.Follower.
type Roles interface {
	// Set returns at once.
	Set(instance string, role vrrp.Role) error
	Instances() []vrrp.Instance
}

// Parts are what answers are made from.
type Parts struct {
	Version  string // of the program
	Protocol int
	SyncID   uint8
	Director Director // nil with version 1
	// NotCarried are Status', those for good.
	NotCarried map[block.Class]error
	// Connections is nil with version 1.
	Connections Connections
	Roles       Roles
	// Traffic counts what goes over the links.
	Traffic func() Traffic
	// Counters returns all groups, and those that ought to stay where they
	// are.
	Counters func() (all, troubles []counters.Group)
	Log      *slog.Logger
}

// Status is of this moment. Where the director does not answer, there are all
// the same the counters, which need nobody to answer.
func (p *Parts) Status(ctx context.Context) (s Status, err error) {
	s = Status{Version: p.Version, Protocol: p.Protocol, SyncID: p.SyncID}
	s.Counters, s.Troubles = values(p.Counters())
	s.Classes = []string{block.ClassIPVS.String()}
	if p.Connections != nil {
		s.Classes = s.Classes[:0]
		for _, c := range p.Connections.Classes() {
			s.Classes = append(s.Classes, c.String())
		}
	}
	s.except(p.NotCarried)
	if p.Director == nil {
		return s, nil
	}
	status, err := p.Director.Status(ctx)
	if err != nil {
		return s, err
	}
	s.Membership = membership(status, time.Now())
	s.except(status.Failing)
	return s, nil
}

// except takes classes out of what is carried.
func (s *Status) except(classes map[block.Class]error) {
	for class, why := range classes {
		if s.NotCarried == nil {
			s.NotCarried = make(map[string]string)
		}
		s.NotCarried[class.String()] = why.Error()
		s.Classes = slices.DeleteFunc(s.Classes, func(c string) bool { return c == class.String() })
	}
}

// Count is what a server does.
type Count int

// Counts of a server.
const (
	Requests Count = iota
	Failures       // of these, those that were answered by a Failure
	countsOfServer
)

// Refusal is why a connection is of no use.
type Refusal int

// Refusals of a server.
const (
	RefusedUsers Refusal = iota // that may not ask
	refusals
)

var (
	countNames   = [countsOfServer]string{"requests", "failures"}
	refusalNames = [refusals]string{"users"}
)

// Server answers requests on a socket.
type Server struct {
	path     string
	socket   *unixsocket.Socket
	listener *listener
	counts   *counters.Set[Count]
	refused  *counters.Set[Refusal]
}

// Listen makes the socket, for root and the daemon's user alone.
func Listen(path string) (*Server, error) {
	s, err := unixsocket.Listen(path, unixsocket.Purpose{Name: "admin socket", Key: "admin.socket", Mode: 0o600})
	if err != nil {
		return nil, err
	}
	return &Server{
		path: path, socket: s, listener: newListener(s.Listener),
		counts:  counters.New[Count]("admin", countNames[:]...),
		refused: counters.New[Refusal]("admin_refused", refusalNames[:]...),
	}, nil
}

// Path returns that of the socket.
func (s *Server) Path() string { return s.path }

// Counters returns the server's own groups, and those that ought to stay where
// they are.
func (s *Server) Counters() (all, troubles []counters.Group) {
	return []counters.Group{s.counts, s.refused}, []counters.Group{s.refused}
}

// Close removes the socket. Serve does it, too.
func (s *Server) Close() {
	s.listener.Close()
	s.socket.Close()
}

// Serve answers until ctx is done, and removes the socket.
func (s *Server) Serve(ctx context.Context, parts Parts) error {
	defer s.Close()
	h := &handlers{Parts: parts, counts: s.counts, refused: s.refused, meter: meter{read: parts.Traffic}}
	var metering sync.WaitGroup
	metered, stop := context.WithCancel(ctx)
	metering.Go(func() { h.meter.run(metered) })
	defer metering.Wait()
	defer stop()
	server := &http.Server{
		Handler:           h.handler(),
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(parts.Log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connectionKey{}, c)
		},
	}
	// A connection is for one request: there is nothing to wait for behind it.
	server.SetKeepAlivesEnabled(false)

	parts.Log.Info("admin socket is open", "socket", s.path)
	if err := httpserver.Serve(ctx, server, s.listener); err != nil {
		return fmt.Errorf("admin socket %s: %w", s.path, err)
	}
	return nil
}

// connectionKey is where a request has its *connection.
type connectionKey struct{}

// handlers answer.
type handlers struct {
	Parts
	counts  *counters.Set[Count]
	refused *counters.Set[Refusal]
	meter   meter
}

func (h *handlers) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", h.status)
	mux.HandleFunc("POST /v1/resync", h.resync)
	mux.HandleFunc("POST /v1/role", h.role)
	mux.HandleFunc("POST /v1/explain", h.explain)
	mux.HandleFunc("POST /v1/diff", h.diff)
	mux.HandleFunc("POST /v1/flush", h.flush)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.counts.Add(Requests, 1)
		if c := r.Context().Value(connectionKey{}).(*connection); c.refused != nil {
			h.refused.Add(RefusedUsers, 1)
			h.fail(w, c.refused)
			return
		}
		timeout, long := timeouts[r.URL.Path]
		if !long {
			timeout = answerTimeout
		} else {
			// The server's limits are for what is answered at once.
			control := http.NewResponseController(w)
			end := time.Now().Add(timeout + writeTimeout)
			if err := errors.Join(control.SetReadDeadline(end), control.SetWriteDeadline(end)); err != nil {
				h.fail(w, err)
				return
			}
		}
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		mux.ServeHTTP(w, r.WithContext(ctx))
	})
}

func (h *handlers) status(w http.ResponseWriter, r *http.Request) {
	s, err := h.Status(r.Context())
	if err != nil {
		h.fail(w, err)
		return
	}
	now := time.Now()
	s.Roles, s.Rates = roles(h.Roles.Instances(), now), h.meter.rates(now)
	answer(w, http.StatusOK, s)
}

func (h *handlers) resync(w http.ResponseWriter, r *http.Request) {
	done, err := h.resynced(w, r)
	if err != nil {
		h.fail(w, err)
		return
	}
	whom := "all"
	if done.Peer != nil {
		whom = done.Peer.String()
	}
	h.Log.Info("a resync was asked for", "peer", whom, "asked", done.Asked,
		"process", r.Context().Value(connectionKey{}).(*connection).process)
	answer(w, http.StatusOK, done)
}

func (h *handlers) resynced(w http.ResponseWriter, r *http.Request) (done Resynced, err error) {
	if h.Director == nil {
		return done, ErrVersion1
	}
	var request ResyncRequest
	err = readRequest(w, r, &request, `{"peer": "lb2"}, or empty for all`)
	if err != nil {
		return done, err
	}
	status, err := h.Director.Status(r.Context())
	if err != nil {
		return done, err
	}
	var sender uint32
	if request.Peer != "" {
		chosen, err := choose(status.Peers, request.Peer)
		if err != nil {
			return done, err
		}
		name := peerName(chosen)
		sender, done.Peer = chosen.Peer.Sender, &name
	}
	if done.Asked, err = h.Director.Resync(r.Context(), sender); err == nil && done.Asked == 0 {
		err = nobody(status.Peers, sender)
	}
	return done, err
}

// readRequest takes nothing that it does not know: a peer that is named in the
// wrong place must not become a resync of all.
func readRequest(w http.ResponseWriter, r *http.Request, request any, such string) error {
	if r.URL.RawQuery != "" {
		return fmt.Errorf("%w: a query (%q): what is meant is named in the body, such as %s", ErrRequest, r.URL.RawQuery, such)
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(request)
	if err == io.EOF {
		return nil // no body
	}
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return nil
		}
		err = errors.New("something behind it")
	}
	return fmt.Errorf("%w: %w: the body is such as %s", ErrRequest, err, such)
}

// role does not wait for what comes of it: keepalived runs scripts one after the
// other.
func (h *handlers) role(w http.ResponseWriter, r *http.Request) {
	request, err := h.takeRole(w, r)
	if err != nil {
		h.fail(w, err)
		return
	}
	answer(w, http.StatusOK, request)
}

func (h *handlers) takeRole(w http.ResponseWriter, r *http.Request) (request RoleRequest, err error) {
	if err := readRequest(w, r, &request, `{"instance": "VI_1", "role": "master"}`); err != nil {
		return request, err
	}
	role, err := vrrp.ParseRole(request.Role)
	if err == nil {
		request.Role = role.String()
		err = h.Roles.Set(request.Instance, role)
	}
	return request, err
}

// codes of errors; what is not here is that the director does not answer.
var codes = []struct {
	err  error
	code int
}{
	{ErrUser, http.StatusForbidden},
	{ErrVersion1, http.StatusNotImplemented},
	{ErrRequest, http.StatusBadRequest},
	{ErrUnknown, http.StatusNotFound},
	{ErrSeveral, http.StatusConflict},
	{ErrNobody, http.StatusConflict},
	{ErrLong, http.StatusServiceUnavailable},
	{inspect.ErrBusy, http.StatusConflict},
	{inspect.ErrTooMany, http.StatusConflict},
	{inspect.ErrNotCarried, http.StatusConflict},
	{inspect.ErrPeer, http.StatusConflict},
	{inspect.ErrSilent, http.StatusConflict},
	{peering.ErrBusy, http.StatusConflict},
	{peering.ErrJoining, http.StatusConflict},
	{peering.ErrNoPeer, http.StatusConflict},
	{peering.ErrRefused, http.StatusConflict},
	{peering.ErrPeer, http.StatusConflict},
	{vrrp.ErrRole, http.StatusBadRequest},
	{vrrp.ErrName, http.StatusBadRequest},
	{vrrp.ErrInstances, http.StatusConflict},
}

func (h *handlers) fail(w http.ResponseWriter, err error) {
	h.counts.Add(Failures, 1)
	for _, c := range codes {
		if errors.Is(err, c.err) {
			answer(w, c.code, Failure{Error: err.Error()})
			return
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("the daemon is there, but its director did not answer in time: it starts, or is overloaded")
	}
	answer(w, http.StatusServiceUnavailable, Failure{Error: err.Error()})
}

// answer writes a document. Where that fails, nobody is there any more.
func answer(w http.ResponseWriter, code int, document any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(document)
}
