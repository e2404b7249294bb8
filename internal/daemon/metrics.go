package daemon

import (
	"context"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/metrics"
)

// serveMetrics lets Prometheus and people look. Where the address cannot be
// had, the daemon does without: connections matter more, and who scrapes it
// finds out.
func (d *daemon) serveMetrics(ctx context.Context, cfg config.Config, parts admin.Parts) (stop func()) {
	if cfg.Metrics.Listen == (config.Listen{}) {
		return func() {}
	}
	server, err := metrics.Listen(metrics.Address(cfg.Metrics.Listen))
	if err != nil {
		d.log.Error("no metrics are served", "error", err)
		return func() {}
	}
	return serve(ctx, func(ctx context.Context) {
		if err := server.Serve(ctx, metrics.Source{Status: parts.Status, Module: d.stats}, d.log); err != nil {
			d.log.Error("metrics are not served any more", "error", err)
		}
	})
}

// serve runs what answers others until it is stopped.
func serve(ctx context.Context, run func(context.Context)) (stop func()) {
	serving, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run(serving)
	}()
	return func() { cancel(); <-ended }
}
