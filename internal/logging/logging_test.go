package logging_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/ssyncp/ssyncp/internal/logging"
)

// writes keeps what was written, write by write.
type writes struct {
	mu  sync.Mutex
	all []string
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, string(p))
	return len(p), nil
}

func TestLines(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options logging.Options
		begins  string
		holds   string
		lacks   string
	}{
		{"text", logging.Options{Format: logging.Text}, "time=", `level=WARN msg="a peer" link.name=eth1`, "<"},
		{"text in the journal", logging.Options{Format: logging.Text, Journal: true}, "<4>level=WARN ", `msg="a peer" link.name=eth1`, "time="},
		{"JSON", logging.Options{Format: logging.JSON}, `{"time":"`, `"level":"WARN","msg":"a peer","link":{"name":"eth1"}}`, "<"},
		{"JSON in the journal", logging.Options{Format: logging.JSON, Journal: true}, `<4>{"time":"`, `"msg":"a peer","link":{"name":"eth1"}}`, "=eth1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var w writes
			slog.New(logging.New(&w, tt.options)).WithGroup("link").With("name", "eth1").Warn("a peer")
			if len(w.all) != 1 {
				t.Fatalf("%d writes: %q", len(w.all), w.all)
			}
			if line := w.all[0]; !strings.HasPrefix(line, tt.begins) || !strings.Contains(line, tt.holds) || strings.Contains(line, tt.lacks) || !strings.HasSuffix(line, "\n") {
				t.Errorf("%s", line)
			}
		})
	}
}

func TestPriorities(t *testing.T) {
	for level, want := range map[slog.Level]string{
		slog.LevelDebug: "<7>", slog.LevelInfo: "<6>", slog.LevelWarn: "<4>", slog.LevelError: "<3>", slog.LevelError + 4: "<3>", slog.LevelWarn + 1: "<4>",
	} {
		if got := logging.Prefix(level); got != want {
			t.Errorf("%v: %s, want %s", level, got, want)
		}
	}
}

func TestLevelMayChange(t *testing.T) {
	var w writes
	level := new(slog.LevelVar)
	log := slog.New(logging.New(&w, logging.Options{Format: logging.Text, Level: level, Journal: true}))
	log.Debug("one")
	level.Set(slog.LevelDebug)
	log.Debug("two")
	if len(w.all) != 1 || !strings.HasPrefix(w.all[0], "<7>") {
		t.Errorf("%q", w.all)
	}
}

// Each line keeps its own priority, whoever else writes.
func TestLinesDoNotMix(t *testing.T) {
	var w writes
	log := slog.New(logging.New(&w, logging.Options{Format: logging.JSON, Journal: true}))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				log.Error("e")
				log.With("a", 1).Info("i")
			}
		})
	}
	all.Wait()
	for _, line := range w.all {
		var record struct{ Level string }
		if err := json.Unmarshal([]byte(line[3:]), &record); err != nil || line[:3] != map[string]string{"ERROR": "<3>", "INFO": "<6>"}[record.Level] {
			t.Fatalf("%q: %v", line, err)
		}
	}
}

func TestWriteThatFailsIsSaid(t *testing.T) {
	r, w := io.Pipe()
	r.Close()
	h := logging.New(w, logging.Options{Format: logging.Text, Journal: true})
	if err := h.Handle(t.Context(), slog.Record{}); err == nil {
		t.Error("no error")
	}
}
