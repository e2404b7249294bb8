// Package daemon is ssyncpd: it puts configuration, link, device and engine
// together and answers signals.
package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"syscall"

	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/engine"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/internal/ipvssync"
	"github.com/ssyncp/ssyncp/internal/transport"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/wire"
)

// Options of Run.
type Options struct {
	Version string
	Load    func() (config.Config, error)                // called at the start and at every SIGHUP
	Open    func(path string) (ipvsdevice.Device, error) // the kernel module's device
	Signals <-chan os.Signal                             // SIGHUP reloads, SIGUSR1 logs the counters
	Log     io.Writer
}

// daemon is what signals act upon.
type daemon struct {
	options Options
	config  config.Config // running
	path    string        // of the device, for good
	level   *slog.LevelVar
	log     *slog.Logger
	engine  *engine.Engine
	report  *report
}

// Run runs until ctx is done, which is a clean stop. It fails where it cannot
// start.
func Run(ctx context.Context, o Options) error {
	cfg, err := o.Load()
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	level.Set(cfg.Log.Level)
	d := &daemon{
		options: o,
		config:  cfg,
		path:    cfg.Device.Path,
		level:   level,
		log:     slog.New(slog.NewTextHandler(o.Log, &slog.HandlerOptions{Level: level})),
	}
	link, ipvs := transport.NewCounters(), ipvssync.NewCounters()
	d.engine = engine.New(engine.Parts{
		Link: func() (engine.Link, error) {
			return d.openLink(transport.Options{
				Interface: cfg.Multicast.Interface,
				Group:     cfg.Multicast.Group,
				Protocol:  wire.Protocol,
				MaxSize:   wire.MaxSize,
				Counters:  link,
			})
		},
		Device: func() (engine.Source, engine.Sink, error) {
			return d.openDevice(ipvssync.Options{
				Open:     func() (ipvsdevice.Device, error) { return o.Open(cfg.Device.Path) },
				SyncID:   cfg.SyncID,
				Counters: ipvs,
			})
		},
	}, wire.MaxSize, settings(cfg), d.log)
	d.report = newReport(d.log, d.stats, d.engine.Counters(), link, ipvs)
	defer d.report.ticker.Stop()

	d.log.Info("ssyncpd starts", "version", o.Version, "sync_id", cfg.SyncID, "device", cfg.Device.Path,
		"period", cfg.Device.Period, "interface", cfg.Multicast.Interface, "group", cfg.Multicast.Group,
		"max_pps", cfg.Multicast.MaxPPS)

	ended := make(chan error, 1)
	go func() { ended <- d.engine.Run(ctx) }()
	for {
		select {
		case err := <-ended:
			if err == nil {
				d.report.summary()
				d.log.Info("ssyncpd stopped")
			}
			return err
		case s := <-o.Signals:
			d.signal(s)
		case <-d.report.tick():
			d.report.troubles()
		}
	}
}

func (d *daemon) openLink(o transport.Options) (engine.Link, error) {
	link, err := transport.OpenAdverts(o)
	if err != nil {
		return nil, err // not a nil *Adverts, which is no nil engine.Link
	}
	d.log.Info("link is open", "link", link.String())
	return link, nil
}

// openDevice opens source and sink, or nothing.
func (d *daemon) openDevice(o ipvssync.Options) (engine.Source, engine.Sink, error) {
	source, err := ipvssync.OpenSource(o)
	if err != nil {
		return nil, nil, err
	}
	sink, err := ipvssync.OpenSink(o)
	if err != nil {
		source.Close()
		return nil, nil, err
	}
	stats, err := d.stats()
	if err != nil {
		source.Close()
		sink.Close()
		return nil, nil, err
	}
	d.log.Info("device is open", "device", d.path, "state", stats.State, "connections", stats.ConnCount, "queue_len", stats.QueueLen)
	if stats.Missing != 0 {
		d.log.Warn("the kernel module did not find all of ip_vs: what needs the rest is refused", "missing", stats.Missing)
	}
	return source, sink, nil
}

func settings(cfg config.Config) engine.Settings {
	return engine.Settings{Period: cfg.Device.Period, MaxPPS: cfg.Multicast.MaxPPS}
}

func (d *daemon) signal(s os.Signal) {
	switch s {
	case syscall.SIGHUP:
		d.reload()
	case syscall.SIGUSR1:
		d.report.summary()
	}
}

// reload takes over a new configuration as a whole, or nothing of it.
func (d *daemon) reload() {
	next, err := d.options.Load()
	if err != nil {
		for _, line := range problems(err) {
			d.log.Error("configuration refused, the running one stays", "error", line)
		}
		return
	}
	running, restart := d.config.Reload(next)
	d.config = running
	d.level.Set(running.Log.Level)
	d.engine.Set(settings(running))
	if len(restart) > 0 {
		d.log.Warn("these keys changed and take effect at the next start", "keys", strings.Join(restart, ", "))
	}
	d.log.Info("configuration reloaded", "period", running.Device.Period, "max_pps", running.Multicast.MaxPPS,
		"level", running.Log.Level)
}

// problems splits what is wrong with a configuration, for a log line each.
func problems(err error) []string {
	var list *config.Error
	if !errors.As(err, &list) {
		return []string{err.Error()}
	}
	lines := make([]string, len(list.Problems))
	for i, p := range list.Problems {
		lines[i] = p.Error()
	}
	return lines
}

// stats asks the kernel module for its counters.
func (d *daemon) stats() (stats chardev.Stats, err error) {
	device, err := d.options.Open(d.path)
	if err != nil {
		return stats, err
	}
	defer device.Close()
	return stats, device.Stats(&stats)
}
