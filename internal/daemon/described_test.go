package daemon

import (
	"path/filepath"
	"testing"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/metrics"
)

func TestEveryCounterHasAMetric(t *testing.T) {
	server, err := admin.Listen(filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	d := &daemon{admin: server}
	v2, err := newVersion2(d, config.Config{SyncID: 7, Wire: config.Wire{Auth: config.AuthNone, SenderID: 1, Name: "lb1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	v2.old = newVersion1(d, config.Config{}, config.Link{}, nil, true)
	d.speaker = v2
	all, troubles := d.counters()
	for _, g := range all {
		for name := range g.All() {
			if !metrics.Described(g.Group(), name) {
				t.Errorf("internal/metrics does not describe %s of %s", name, g.Group())
			}
		}
	}
	for _, g := range troubles {
		for name := range g.All() {
			if !metrics.Described(g.Group(), name) {
				t.Errorf("internal/metrics does not describe the trouble %s of %s", name, g.Group())
			}
		}
	}
}
