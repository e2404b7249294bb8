package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ssyncp/ssyncp/internal/inspect"
	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

const (
	// explainTimeout is for a walk over the table, and for peers.
	explainTimeout = 15 * time.Second
	// longTimeout is for what goes over whole tables, at the pace of snapshots.
	longTimeout = 10 * time.Minute
)

// timeouts are those of resources that take longer than others.
var timeouts = map[string]time.Duration{"/v1/explain": explainTimeout, "/v1/diff": longTimeout, "/v1/flush": longTimeout}

// ExplainRequest asks where connections are.
type ExplainRequest struct {
	Client   string `json:"client"`   // address and port: 10.0.0.1:5555, [fd00::1]:5555
	Virtual  string `json:"virtual"`  // of the service; empty: any
	Protocol string `json:"protocol"` // tcp, udp, sctp or a number; empty: any
}

// Explanation says where they are.
type Explanation struct {
	Here  Place   `json:"here"`
	Peers []Place `json:"peers"`
}

// Place is what one director has.
type Place struct {
	PeerName
	*inspect.Place
}

// DiffRequest asks how a table differs from that of a peer.
type DiffRequest struct {
	Peer  string `json:"peer"`  // a sender ID, a name or an address
	Class string `json:"class"` // ipvs or conntrack; empty: ipvs
}

// Difference says how.
type Difference struct {
	Peer  PeerName `json:"peer"`
	Class string   `json:"class"`
	*inspect.Difference
	Took float64 `json:"seconds"`
}

// FlushRequest asks to drop connections.
type FlushRequest struct {
	Copies bool   `json:"copies"` // of what other directors own; nothing else can be flushed
	Class  string `json:"class"`  // ipvs or conntrack; empty: ipvs
}

var protocols = map[string]ipvs.Protocol{"tcp": ipvs.TCP, "udp": ipvs.UDP, "sctp": ipvs.SCTP}

// classNamed returns the class of a name.
func classNamed(name string) (block.Class, error) {
	for _, c := range []block.Class{block.ClassIPVS, block.ClassConntrack} {
		if name == c.String() {
			return c, nil
		}
	}
	if name == "" {
		return block.ClassIPVS, nil
	}
	return 0, fmt.Errorf("%w: the class %q is none of %v and %v", ErrRequest, name, block.ClassIPVS, block.ClassConntrack)
}

// selector is what a request means.
func (r *ExplainRequest) selector() (s block.Selector, err error) {
	such := `: such as {"client": "10.0.0.1:5555", "virtual": "192.0.2.80:80", "protocol": "tcp"}`
	if s.Client, err = netip.ParseAddrPort(r.Client); err != nil {
		return s, fmt.Errorf("%w: the client %q is no address with a port%s", ErrRequest, r.Client, such)
	}
	if r.Virtual != "" {
		if s.Virtual, err = netip.ParseAddrPort(r.Virtual); err != nil {
			return s, fmt.Errorf("%w: the virtual service %q is no address with a port%s", ErrRequest, r.Virtual, such)
		}
		if s.Virtual.Addr().Is4() != s.Client.Addr().Is4() {
			return s, fmt.Errorf("%w: client and virtual service are of two families", ErrRequest)
		}
	}
	for _, a := range []*netip.AddrPort{&s.Client, &s.Virtual} {
		if a.Addr().Zone() != "" || a.Addr().Is4In6() {
			return s, fmt.Errorf("%w: %v: IPVS has no addresses of that kind", ErrRequest, a)
		}
	}
	if r.Protocol == "" {
		return s, nil
	}
	if p, ok := protocols[strings.ToLower(r.Protocol)]; ok {
		s.Protocol = uint8(p)
		return s, nil
	}
	n, err := strconv.ParseUint(r.Protocol, 10, 8)
	if err != nil || n == 0 {
		return s, fmt.Errorf("%w: the protocol %q is none of tcp, udp, sctp and 1 to 255", ErrRequest, r.Protocol)
	}
	s.Protocol = uint8(n)
	return s, nil
}

func (h *handlers) explain(w http.ResponseWriter, r *http.Request) {
	e, err := h.explained(w, r)
	if err != nil {
		h.fail(w, err)
		return
	}
	answer(w, http.StatusOK, e)
}

func (h *handlers) explained(w http.ResponseWriter, r *http.Request) (e Explanation, err error) {
	var request ExplainRequest
	if err := readRequest(w, r, &request, `{"client": "10.0.0.1:5555"}`); err != nil {
		return e, err
	}
	s, err := request.selector()
	if err != nil {
		return e, err
	}
	if h.Connections == nil {
		return e, ErrVersion1
	}
	status, err := h.Director.Status(r.Context())
	if err != nil {
		return e, err
	}
	found, err := h.Connections.Explain(r.Context(), &s)
	if err != nil {
		return e, err
	}
	self := peering.PeerStatus{Peer: found.Here.Peer, Name: status.Name}
	e = Explanation{Here: Place{peerName(&self), &found.Here}, Peers: []Place{}}
	for i := range found.Peers {
		p := &found.Peers[i]
		name := PeerName{SenderID: senderID(p.Peer), StartID: p.Peer.Start.String()}
		if k := slices.IndexFunc(status.Peers, func(q peering.PeerStatus) bool { return q.Peer == p.Peer }); k >= 0 {
			name = peerName(&status.Peers[k])
		}
		e.Peers = append(e.Peers, Place{name, p})
	}
	slices.SortFunc(e.Peers, func(a, b Place) int { return strings.Compare(a.SenderID, b.SenderID) })
	return e, nil
}

func (h *handlers) diff(w http.ResponseWriter, r *http.Request) {
	d, err := h.differing(w, r)
	if err != nil {
		h.fail(w, err)
		return
	}
	answer(w, http.StatusOK, d)
}

func (h *handlers) differing(w http.ResponseWriter, r *http.Request) (d Difference, err error) {
	var request DiffRequest
	if err := readRequest(w, r, &request, `{"peer": "lb2"}`); err != nil {
		return d, err
	}
	class, err := classNamed(request.Class)
	if err != nil {
		return d, err
	}
	if h.Connections == nil {
		return d, ErrVersion1
	}
	status, err := h.Director.Status(r.Context())
	if err != nil {
		return d, err
	}
	chosen, err := choose(status.Peers, request.Peer)
	if err != nil {
		return d, err
	}
	if !chosen.Proven || chosen.Lost {
		return d, nobody(status.Peers, chosen.Peer.Sender)
	}
	began := time.Now()
	d.Peer, d.Class = peerName(chosen), class.String()
	d.Difference, err = h.Connections.Diff(r.Context(), class, chosen.Peer)
	d.Took = seconds(time.Since(began))
	if errors.Is(err, context.DeadlineExceeded) {
		err = ErrLong
	}
	return d, err
}

func (h *handlers) flush(w http.ResponseWriter, r *http.Request) {
	f, class, err := h.flushed(w, r)
	if err != nil {
		h.fail(w, err)
		return
	}
	h.Log.Info("copies were flushed", "class", class, "copies", f.Copies, "expired", f.Expired, "refused", f.Refused,
		"process", r.Context().Value(connectionKey{}).(*connection).process)
	answer(w, http.StatusOK, f)
}

func (h *handlers) flushed(w http.ResponseWriter, r *http.Request) (done *inspect.Flushed, class block.Class, err error) {
	var request FlushRequest
	if err := readRequest(w, r, &request, `{"copies": true}`); err != nil {
		return nil, 0, err
	}
	if !request.Copies {
		return nil, 0, fmt.Errorf(`%w: only copies can be flushed: {"copies": true}`, ErrRequest)
	}
	if class, err = classNamed(request.Class); err != nil {
		return nil, 0, err
	}
	if h.Connections == nil {
		return nil, 0, ErrVersion1
	}
	done, err = h.Connections.Flush(r.Context(), class)
	return done, class, err
}
