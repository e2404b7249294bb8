package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/cluster"
	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/conntrackclass"
	"github.com/ssyncp/ssyncp/internal/counters"
	"github.com/ssyncp/ssyncp/internal/identity"
	"github.com/ssyncp/ssyncp/internal/inspect"
	"github.com/ssyncp/ssyncp/internal/ipvsclass"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/internal/keyring"
	"github.com/ssyncp/ssyncp/internal/transport"
	"github.com/ssyncp/ssyncp/pkg/wire"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// version2 is the speaker of version 2, and for a limited time of version 1
// beside it.
type version2 struct {
	cluster *cluster.Director
	link    *transport.Counters
	ipvs    *ipvsclass.Counters
	table   *ipvsclass.Table
	device  ipvsdevice.Opener
	tracked *conntrackclass.Counters // nil: not carried
	entries *conntrackclass.Table    // nil: not carried
	missing map[block.Class]error    // why they are not carried
	daemon  *daemon

	old   *version1 // nil: version 1 is not spoken
	until time.Time
}

func newVersion2(d *daemon, cfg config.Config, open ipvsdevice.Opener) (*version2, error) {
	settings, err := clusterSettings(cfg)
	if err != nil {
		return nil, err
	}
	self, err := identity.Of(cfg.Wire.SenderID, cfg.Wire.Name)
	if err != nil {
		return nil, err
	}
	v := &version2{link: transport.NewCounters(), ipvs: ipvsclass.NewCounters(), daemon: d}
	v.device = open
	if v.table, err = ipvsclass.NewTable(open, filter(cfg.Filter)); err != nil {
		return nil, err
	}
	if link, ok := cfg.Version1Link(); ok && cfg.Wire.Dual(time.Now()) {
		share := ipvsdevice.NewShare(open)
		open = share.First
		v.old, v.until = newVersion1(d, cfg, link, share.Second, true), cfg.Wire.DualUntil
	}
	parts := cluster.Parts{Tables: []cluster.Table{v.table}, Objects: []func() (cluster.Objects, error){
		func() (cluster.Objects, error) {
			objects, err := ipvsclass.Open(ipvsclass.Options{Device: open, Linger: cfg.Device.Linger, Filter: filter(cfg.Filter), Counters: v.ipvs})
			if err != nil {
				return nil, err // not a nil *Objects, which is no nil cluster.Objects
			}
			if err := d.deviceIsOpen(); err != nil {
				objects.Close()
				return nil, err
			}
			return objects, nil
		},
	}}
	if cfg.Conntrack.Enabled {
		if err := v.addConntrack(cfg.Conntrack, &parts); err != nil {
			return nil, err
		}
	}
	beside := new(transport.Interfaces)
	for _, link := range cfg.Links {
		options := transport.Options{
			Interface: link.Interface,
			Group:     link.Group,
			Peers:     link.Peers,
			Protocol:  wire.Protocol,
			Port:      int(link.UDPPort),
			TTL:       link.TTL,
			Counters:  v.link,
			Bound:     cfg.SharesPort(link),
			Beside:    beside,
		}
		parts.Links = append(parts.Links, func() (cluster.Link, error) { return v.openLink(options) })
	}
	v.cluster, err = cluster.New(cluster.Config{
		SyncID: cfg.SyncID, Sender: self.SenderID, Name: self.Name,
		JoinTimeout: cfg.Wire.JoinTimeout, RingBytes: cfg.Wire.RingBytes, Bilingual: v.old != nil,
	}, parts, settings, d.log)
	return v, err
}

// addConntrack adds conntrack entries to the objects. That this host has none is
// no reason to let IPVS connections go.
func (v *version2) addConntrack(c config.Conntrack, parts *cluster.Parts) (err error) {
	if err := conntrackclass.Check(); err != nil {
		v.daemon.log.Error("conntrack entries are not carried, IPVS connections are", "error", err)
		v.missing = map[block.Class]error{block.ClassConntrack: err}
		return nil
	}
	v.tracked = conntrackclass.NewCounters()
	options := conntrackclass.Options{
		Filter: conntrackclass.Filter{
			Protocols: c.Protocols, Networks: c.Networks, Except: c.Except, States: c.States, WithoutIPVS: c.WithoutIPVS,
		},
		Counters: v.tracked,
	}
	parts.Objects = append(parts.Objects, func() (cluster.Objects, error) {
		objects, err := conntrackclass.Open(options)
		if err != nil {
			return nil, err // not a nil *Objects, which is no nil cluster.Objects
		}
		v.daemon.log.Info("conntrack entries are carried")
		return objects, nil
	})
	v.entries, err = conntrackclass.NewTable(conntrackclass.TableOptions{
		Filter: options.Filter,
		Objects: func(ctx context.Context, do func(*conntrackclass.Objects)) error {
			return v.cluster.With(ctx, block.ClassConntrack, func(o cluster.Objects) { do(o.(*conntrackclass.Objects)) })
		},
	})
	if err == nil {
		parts.Tables = append(parts.Tables, v.entries)
	}
	return err
}

func (v *version2) openLink(o transport.Options) (cluster.Link, error) {
	l, err := transport.Open(o)
	switch {
	case errors.Is(err, transport.ErrTentative):
		return nil, fmt.Errorf("%w: %w", cluster.ErrNotYet, err)
	case err != nil:
		return nil, err
	}
	v.daemon.log.Info("link is open", "link", l.String(), "version", 2)
	return &reportedLink{Link: l, log: v.daemon.log}, nil
}

func clusterSettings(cfg config.Config) (cluster.Settings, error) {
	s := cluster.Settings{Period: cfg.Device.Period, MaxPPS: cfg.Multicast.MaxPPS}
	if cfg.Wire.Auth == config.AuthNone {
		return s, nil
	}
	keys, err := keyring.Load(cfg.Wire.KeyFile, cfg.Wire.AcceptedKeyFile)
	s.Keys = cluster.Keys{Seal: keys.Seal, Accepted: keys.Accepted}
	return s, err
}

func filter(f config.Filter) ipvsclass.Filter {
	out := ipvsclass.Filter{Protocols: f.Protocols, States: f.States, TemplatesOnly: f.TemplatesOnly}
	for _, s := range f.Services {
		out.Services = append(out.Services, ipvsclass.Service(s))
	}
	return out
}

// run runs the director, and version 1 beside it until its time is over. That
// version 1 fails ends nothing: it is the one that goes.
func (v *version2) run(ctx context.Context) error {
	if v.old == nil {
		return v.cluster.Run(ctx)
	}
	limited, stop := context.WithDeadline(ctx, v.until)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		switch err := v.old.run(limited); {
		case err != nil:
			v.daemon.log.Error("version 1 is not spoken", "error", err)
		case ctx.Err() == nil:
			v.daemon.log.Info("the time of version 1 is over: only version 2 is spoken", "until", v.until)
		}
	}()
	err := v.cluster.Run(ctx)
	stop()
	<-ended
	return err
}

func (v *version2) prepare(cfg config.Config) (func(), error) {
	s, err := clusterSettings(cfg)
	if err == nil {
		err = v.cluster.Check(s)
	}
	if err != nil {
		return nil, err
	}
	return func() {
		v.cluster.Set(s)
		if v.old != nil {
			v.old.engine.Set(engineSettings(cfg))
		}
	}, nil
}

func (v *version2) alive(ctx context.Context) (string, error) {
	s, err := v.cluster.Status(ctx)
	if err != nil {
		return "", err
	}
	there := 0
	for i := range s.Peers {
		if s.Peers[i].Proven && !s.Peers[i].Lost {
			there++
		}
	}
	return fmt.Sprintf("%v, peers: %d", s.State, there), nil
}

func (v *version2) counters() (all, troubles []counters.Group) {
	c := v.cluster.Counters()
	all = append(c.Groups(), v.link.Received, v.link.Dropped, v.link.PeerErrors, v.ipvs.Counts, v.ipvs.Skipped, v.ipvs.Refused)
	troubles = append(c.Bad(), v.link.Dropped, v.link.PeerErrors, v.ipvs.Skipped, v.ipvs.Refused)
	if v.tracked != nil {
		all = append(all, v.tracked.Counts, v.tracked.Skipped, v.tracked.Refused, v.tracked.Troubles)
		troubles = append(troubles, v.tracked.Refused, v.tracked.Troubles)
	}
	if v.old != nil {
		a, b := v.old.counters()
		all, troubles = append(all, a...), append(troubles, b...)
	}
	return all, troubles
}

func (v *version2) traffic() (t admin.Traffic) {
	c := v.cluster.Counters()
	t.In = admin.Flow{
		Entries: v.ipvs.Counts.Value(ipvsclass.Decoded),
		Frames:  v.link.Received.Value(transport.ReceivedDatagrams), Bytes: v.link.Received.Value(transport.ReceivedBytes),
	}
	t.Out = admin.Flow{
		Entries: v.ipvs.Counts.Value(ipvsclass.Encoded),
		Frames:  c.Counts.Value(cluster.SentFrames), Bytes: c.Counts.Value(cluster.SentBytes),
	}
	if v.tracked != nil {
		t.In.Entries += v.tracked.Counts.Value(conntrackclass.Decoded)
		t.Out.Entries += v.tracked.Counts.Value(conntrackclass.Encoded)
	}
	if v.old != nil {
		old := v.old.traffic()
		t.In, t.Out = t.In.And(old.In), t.Out.And(old.Out)
	}
	return t
}

func (v *version2) notCarried() map[block.Class]error { return v.missing }

func (v *version2) director() director { return v.cluster }

func (v *version2) connections() admin.Connections {
	parts := inspect.Parts{Director: v.cluster, Table: v.table, Device: v.device, Period: v.cluster.Period}
	if v.entries != nil {
		parts.Tracked = v.entries // not a nil *Table, which is no nil Tracked
	}
	return inspect.New(parts)
}
