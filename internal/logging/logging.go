// Package logging is how the daemon's log looks: for people, for programs, or
// with the priorities that the journal takes.
package logging

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strconv"
	"sync"
)

// Format is what a line is.
type Format string

// Formats.
const (
	Text Format = "text"
	JSON Format = "json"
)

// Options of a handler.
type Options struct {
	Format  Format
	Level   slog.Leveler
	Journal bool // the journal reads it: lines begin with their priority
}

// New returns a handler that writes a line for each record, in one write.
func New(w io.Writer, o Options) slog.Handler {
	settings := &slog.HandlerOptions{Level: o.Level}
	if !o.Journal {
		return handler(w, o.Format, settings)
	}
	if o.Format == Text {
		settings.ReplaceAttr = withoutTime
	}
	p := &prefixed{to: w}
	return &prioritized{Handler: handler(p, o.Format, settings), out: p}
}

func handler(w io.Writer, f Format, o *slog.HandlerOptions) slog.Handler {
	if f == JSON {
		return slog.NewJSONHandler(w, o)
	}
	return slog.NewTextHandler(w, o)
}

// withoutTime leaves out what the journal has itself.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// prioritized tells the journal the priority of each line.
type prioritized struct {
	slog.Handler
	out *prefixed
}

// Handle is slog.Handler's.
func (h *prioritized) Handle(ctx context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.prefix = Prefix(r.Level)
	return h.Handler.Handle(ctx, r)
}

// WithAttrs is slog.Handler's.
func (h *prioritized) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &prioritized{Handler: h.Handler.WithAttrs(attrs), out: h.out}
}

// WithGroup is slog.Handler's.
func (h *prioritized) WithGroup(name string) slog.Handler {
	return &prioritized{Handler: h.Handler.WithGroup(name), out: h.out}
}

// prefixed puts a prefix before what is written. Whoever writes has the lock.
type prefixed struct {
	mu     sync.Mutex
	prefix string
	to     io.Writer
	line   bytes.Buffer
}

func (p *prefixed) Write(line []byte) (int, error) {
	p.line.Reset()
	p.line.WriteString(p.prefix)
	p.line.Write(line)
	if _, err := p.to.Write(p.line.Bytes()); err != nil {
		return 0, err
	}
	return len(line), nil
}

// Priorities of syslog, which the journal has, too.
const (
	priorityError   = 3
	priorityWarning = 4
	priorityInfo    = 6
	priorityDebug   = 7
)

// Prefix is what the journal takes for the priority of a line.
func Prefix(level slog.Level) string {
	priority := priorityDebug
	switch {
	case level >= slog.LevelError:
		priority = priorityError
	case level >= slog.LevelWarn:
		priority = priorityWarning
	case level >= slog.LevelInfo:
		priority = priorityInfo
	}
	return "<" + strconv.Itoa(priority) + ">"
}
