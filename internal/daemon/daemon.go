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
	"time"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/counters"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/internal/logging"
	"github.com/ssyncp/ssyncp/internal/vrrp"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// Options of Run.
type Options struct {
	Version string
	Load    func() (config.Config, error)                // called at the start and at every SIGHUP
	Open    func(path string) (ipvsdevice.Device, error) // the kernel module's device
	Signals <-chan os.Signal                             // SIGHUP reloads, SIGUSR1 logs the counters
	Log     io.Writer
	Journal bool // the journal reads Log
}

// daemon is what signals act upon.
type daemon struct {
	options Options
	config  config.Config // running
	path    string        // of the device, for good
	level   *slog.LevelVar
	log     *slog.Logger
	speaker speaker
	admin   *admin.Server // nil: there is no socket
	roles   *vrrp.Follower
	// untracked is told at the end of the track file whether it said 1; nil:
	// there is none.
	untracked chan bool
	vrrp      vrrp.Counters
	report    *report
	manager   *manager
}

// Run runs until leaving is done, which is a clean stop, and a master's addresses
// are another director's. It fails where it cannot start.
func Run(leaving context.Context, o Options) error {
	ctx, stop := context.WithCancel(context.WithoutCancel(leaving))
	defer stop()
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
		log:     slog.New(logging.New(o.Log, logging.Options{Format: cfg.Log.Format, Level: level, Journal: o.Journal})),
	}
	if err := d.choose(cfg); err != nil {
		return err
	}
	following, stopFollowing := context.WithCancel(ctx)
	defer stopFollowing()
	followed, err := d.follow(following, leaving, cfg.VRRP)
	if err != nil {
		return err
	}
	defer followed()
	defer stopFollowing()
	parts := d.parts(cfg)
	stopAnswering, err := d.answer(ctx, cfg, parts)
	if err != nil {
		return err
	}
	defer stopAnswering()
	defer d.serveMetrics(ctx, cfg, parts)()
	d.report = newReport(d.log, d.stats, d.counters)
	defer d.report.ticker.Stop()

	d.log.Info("ssyncpd starts", "version", o.Version, "protocol", cfg.Wire.Version, "sync_id", cfg.SyncID, "device", cfg.Device.Path,
		"period", cfg.Device.Period, "max_pps", cfg.Multicast.MaxPPS)
	for _, warning := range cfg.Warnings(time.Now()) {
		d.log.Warn(warning)
	}

	d.manager = newManager(d.speaker, d.log)
	defer serve(leaving, d.manager.run)()
	defer serve(ctx, func(ctx context.Context) { d.leave(ctx, leaving, stop) })()

	ended := make(chan error, 1)
	go func() { ended <- d.speaker.run(ctx) }()
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

// choose makes the speaker of the version that is configured.
func (d *daemon) choose(cfg config.Config) (err error) {
	open := func() (ipvsdevice.Device, error) { return d.options.Open(cfg.Device.Path) }
	if cfg.Wire.Version == 1 {
		d.speaker = newVersion1(d, cfg, cfg.Links[0], open, false)
		return nil
	}
	d.speaker, err = newVersion2(d, cfg, open)
	return err
}

// parts are what the daemon is asked for.
func (d *daemon) parts(cfg config.Config) admin.Parts {
	return admin.Parts{
		Version: d.options.Version, Protocol: cfg.Wire.Version, SyncID: cfg.SyncID,
		NotCarried: d.speaker.notCarried(),
		Director:   d.speaker.director(), Connections: d.speaker.connections(), Roles: d.roles, Traffic: d.speaker.traffic, Counters: d.counters, Log: d.log,
	}
}

// counters are those of the speaker, of VRRP, and of what answers people.
func (d *daemon) counters() (all, troubles []counters.Group) {
	all, troubles = d.speaker.counters()
	all, troubles = append(all, d.vrrp.Counts, d.vrrp.Troubles), append(troubles, d.vrrp.Troubles)
	if d.admin != nil {
		a, b := d.admin.Counters()
		all, troubles = append(all, a...), append(troubles, b...)
	}
	return all, troubles
}

// answer has operators asked and answered. Where nobody asked for the socket by
// name, the daemon does without: connections matter more.
func (d *daemon) answer(ctx context.Context, cfg config.Config, parts admin.Parts) (stop func(), err error) {
	if cfg.Admin.Socket == "" {
		return func() {}, nil
	}
	server, err := admin.Listen(cfg.Admin.Socket)
	if err != nil {
		if cfg.Admin.Required() {
			return nil, err
		}
		d.log.Warn("nobody can ask for status or resync, or tell roles", "error", err)
		return func() {}, nil
	}
	d.admin = server
	return serve(ctx, func(ctx context.Context) {
		if err := server.Serve(ctx, parts); err != nil {
			d.log.Error("nobody can ask for status or resync, or tell roles, any more", "error", err)
		}
	}), nil
}

// deviceIsOpen says so, and what the module lacks.
func (d *daemon) deviceIsOpen() error {
	stats, err := d.stats()
	if err != nil {
		return err
	}
	d.log.Info("device is open", "device", d.path, "state", stats.State, "connections", stats.ConnCount, "queue_len", stats.QueueLen)
	if stats.Missing != 0 {
		d.log.Warn("the kernel module did not find all of ip_vs: what needs the rest is refused", "missing", stats.Missing)
	}
	return nil
}

func (d *daemon) signal(s os.Signal) {
	switch s {
	case syscall.SIGHUP:
		over := d.manager.reloading()
		d.reload()
		over()
	case syscall.SIGUSR1:
		d.report.summary()
	}
}

// reload takes over a new configuration as a whole, or nothing of it.
func (d *daemon) reload() {
	next, err := d.options.Load()
	var (
		running config.Config
		restart []string
		take    func()
	)
	if err == nil {
		running, restart = d.config.Reload(next)
		take, err = d.speaker.prepare(running)
	}
	if err != nil {
		for _, line := range problems(err) {
			d.log.Error("configuration refused, the running one stays", "error", line)
		}
		return
	}
	d.config = running
	d.level.Set(running.Log.Level)
	take()
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
