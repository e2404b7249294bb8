package engine_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ssyncp/ssyncp/internal/engine"
)

// The fakes speak a protocol of one byte an entry, three entries an advert.
const (
	advertSize = 3
	readSize   = 6 // entries a read
	sweepEvery = 2 * time.Second
)

// kernel stands for the queue and the table behind a source.
type kernel struct {
	mu       sync.Mutex
	queue    string
	lost     bool
	pause    error
	owned    string // entries of a snapshot
	due      string // those of a sweep, until it has told them
	every    time.Duration
	everyErr error
	openErr  error
	readErr  error
	snapErr  error
	dueErr   error // of beginning a sweep
	walkErr  error // of reading one
	trace    *trace
	open     int // sources
	snapshot []time.Time
}

func (k *kernel) news(entries string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.queue += entries
}

func (k *kernel) do(f func(*kernel)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(k)
}

// trace is what happened, in order and with the time since the start.
type trace struct {
	mu    sync.Mutex
	start time.Time
	list  []event
}

type event struct {
	at   time.Duration
	what string
}

func newTrace() *trace { return &trace{start: time.Now()} }

func (t *trace) add(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = append(t.list, event{time.Since(t.start), fmt.Sprintf(format, args...)})
}

// only returns the events that begin with one of the prefixes.
func (t *trace) only(prefixes ...string) []event {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []event
	for _, e := range t.list {
		for _, p := range prefixes {
			if strings.HasPrefix(e.what, p) {
				list = append(list, e)
				break
			}
		}
	}
	return list
}

func (t *trace) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var words []string
	for _, e := range t.list {
		words = append(words, e.what)
	}
	return strings.Join(words, " ")
}

type source struct {
	k       *kernel
	partial []byte
}

func (s *source) Read(out *engine.Outbox) (engine.Reading, error) {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	s.k.trace.add("read")
	if s.k.readErr != nil {
		return engine.Reading{}, s.k.readErr
	}
	r := engine.Reading{Lost: s.k.lost, Pause: s.k.pause}
	s.k.lost = false
	n := min(readSize, len(s.k.queue))
	for _, entry := range []byte(s.k.queue[:n]) {
		s.partial = pack(s.partial, entry, out)
	}
	s.k.queue = s.k.queue[n:]
	r.Entries, r.More = n, n == readSize
	return r, nil
}

func pack(partial []byte, entry byte, out *engine.Outbox) []byte {
	if partial == nil {
		partial = out.Buffer()
	}
	partial = append(partial, entry)
	if len(partial) == advertSize {
		out.Add(partial)
		return nil
	}
	return partial
}

func (s *source) Flush(out *engine.Outbox) {
	if s.partial != nil {
		out.Add(s.partial)
		s.partial = nil
	}
}

func (s *source) Snapshot(kind engine.Kind) (engine.Snapshot, error) {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	if kind == engine.Due {
		if s.k.dueErr != nil {
			s.k.trace.add("sweep-failed")
			return nil, s.k.dueErr
		}
		s.k.trace.add("sweep")
		return &sweep{k: s.k}, nil
	}
	if s.k.snapErr != nil {
		return nil, s.k.snapErr
	}
	s.k.snapshot = append(s.k.snapshot, time.Now())
	s.k.trace.add("snapshot")
	return &snapshot{k: s.k, left: s.k.owned}, nil
}

func (s *source) SweepEvery() (time.Duration, error) {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	return s.k.every, s.k.everyErr
}

func (s *source) Close() error {
	s.k.do(func(k *kernel) { k.open-- })
	s.k.trace.add("close-source")
	return nil
}

type snapshot struct {
	k    *kernel
	left string
}

func (s *snapshot) Read(out *engine.Outbox) (bool, error) {
	s.k.trace.add("walk")
	if s.left == "" {
		return false, nil
	}
	n := min(advertSize, len(s.left))
	out.Add(append(out.Buffer(), s.left[:n]...))
	s.left = s.left[n:]
	return true, nil
}

func (s *snapshot) Close() error {
	s.k.trace.add("close-snapshot")
	return nil
}

// sweep marks as told what it reads, as a kernel does.
type sweep struct{ k *kernel }

func (s *sweep) Read(out *engine.Outbox) (bool, error) {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	s.k.trace.add("tell")
	if s.k.walkErr != nil {
		return false, s.k.walkErr
	}
	if s.k.due == "" {
		return false, nil
	}
	n := min(advertSize, len(s.k.due))
	out.Add(append(out.Buffer(), s.k.due[:n]...))
	s.k.due = s.k.due[n:]
	return true, nil
}

func (s *sweep) Close() error {
	s.k.trace.add("close-sweep")
	return nil
}

// network is the link and what is at its other end.
type network struct {
	mu        sync.Mutex
	trace     *trace
	openErr   error
	sendErr   error
	checkErr  error
	unplugged bool
}

func (n *network) do(f func(*network)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(n)
}

type link struct {
	n        *network
	incoming chan [][]byte
	unblock  chan struct{}
	once     sync.Once
}

func (l *link) Send(adverts [][]byte) (int, error) {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	if l.n.sendErr != nil {
		return 0, l.n.sendErr
	}
	for _, a := range adverts {
		l.n.trace.add("send:%s", a)
	}
	return len(adverts), nil
}

var errUnblocked = errors.New("unblocked")

func (l *link) Receive() ([][]byte, error) {
	select {
	case adverts := <-l.incoming:
		return adverts, nil
	case <-l.unblock:
		return nil, errUnblocked
	}
}

func (l *link) Unblock() { l.once.Do(func() { close(l.unblock) }) }

func (l *link) Check() (bool, error) {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	return !l.n.unplugged, l.n.checkErr
}

func (l *link) Close() error { l.n.trace.add("close-link"); return nil }

type sink struct {
	trace *trace
	err   atomic.Pointer[error]
}

func (s *sink) Apply(adverts [][]byte) error {
	for _, a := range adverts {
		s.trace.add("apply:%s", a)
	}
	if err := s.err.Load(); err != nil {
		return *err
	}
	return nil
}

func (s *sink) Close() error { s.trace.add("close-sink"); return nil }

// world is an engine with everything around it.
type world struct {
	trace    *trace
	kernel   *kernel
	network  *network
	sink     *sink
	incoming chan [][]byte
	log      strings.Builder
	logMu    sync.Mutex
	engine   *engine.Engine
}

func newWorld(s engine.Settings) *world {
	t := newTrace()
	w := &world{
		trace:    t,
		kernel:   &kernel{trace: t, every: sweepEvery},
		network:  &network{trace: t},
		sink:     &sink{trace: t},
		incoming: make(chan [][]byte),
	}
	parts := engine.Parts{Link: w.openLink, Device: w.openDevice}
	w.engine = engine.New(parts, advertSize, s, slog.New(slog.NewTextHandler(w, nil)))
	return w
}

func (w *world) openLink() (engine.Link, error) {
	w.network.mu.Lock()
	defer w.network.mu.Unlock()
	if w.network.openErr != nil {
		w.trace.add("open-failed")
		return nil, w.network.openErr
	}
	w.trace.add("open-link")
	return &link{n: w.network, incoming: w.incoming, unblock: make(chan struct{})}, nil
}

func (w *world) openDevice() (engine.Source, engine.Sink, error) {
	w.kernel.mu.Lock()
	defer w.kernel.mu.Unlock()
	if w.kernel.openErr != nil {
		w.trace.add("open-failed")
		return nil, nil, w.kernel.openErr
	}
	w.trace.add("open-device")
	w.kernel.open++
	return &source{k: w.kernel}, w.sink, nil
}

func (w *world) Write(p []byte) (int, error) {
	w.logMu.Lock()
	defer w.logMu.Unlock()
	return w.log.Write(p)
}

// logged counts the log lines that contain text.
func (w *world) logged(text string) int {
	w.logMu.Lock()
	defer w.logMu.Unlock()
	return strings.Count(w.log.String(), text)
}
