package daemon

import (
	"context"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/counters"
	"github.com/ssyncp/ssyncp/internal/engine"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/internal/ipvssync"
	"github.com/ssyncp/ssyncp/internal/transport"
	"github.com/ssyncp/ssyncp/pkg/wire"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// version1 is the speaker of version 1.
type version1 struct {
	engine *engine.Engine
	link   *transport.Counters
	ipvs   *ipvssync.Counters
}

// newVersion1 returns a speaker for a link. It may be there beside version 2,
// whose frames then come, too.
func newVersion1(d *daemon, cfg config.Config, link config.Link, open ipvsdevice.Opener, beside bool) *version1 {
	size := wire.MaxSize
	if beside {
		size = 0 // whatever fits
	}
	v := &version1{link: transport.NewCounters(), ipvs: ipvssync.NewCounters()}
	v.engine = engine.New(engine.Parts{
		Link: func() (engine.Link, error) {
			l, err := transport.OpenAdverts(transport.Options{
				Interface: link.Interface,
				Group:     link.Group,
				Protocol:  wire.Protocol,
				MaxSize:   size,
				Counters:  v.link,
			})
			if err != nil {
				return nil, err // not a nil *Adverts, which is no nil engine.Link
			}
			d.log.Info("link is open", "link", l.String(), "version", 1)
			return l, nil
		},
		Device: func() (engine.Source, engine.Sink, error) {
			return v.openDevice(d, ipvssync.Options{Open: open, SyncID: cfg.SyncID, Linger: cfg.Device.Linger, Bilingual: beside, Counters: v.ipvs})
		},
	}, wire.MaxSize, engineSettings(cfg), d.log)
	return v
}

// openDevice opens source and sink, or nothing.
func (v *version1) openDevice(d *daemon, o ipvssync.Options) (engine.Source, engine.Sink, error) {
	source, err := ipvssync.OpenSource(o)
	if err != nil {
		return nil, nil, err
	}
	sink, err := ipvssync.OpenSink(o)
	if err == nil {
		if err = d.deviceIsOpen(); err == nil {
			return source, sink, nil
		}
		sink.Close()
	}
	source.Close()
	return nil, nil, err
}

func engineSettings(cfg config.Config) engine.Settings {
	return engine.Settings{Period: cfg.Device.Period, MaxPPS: cfg.Multicast.MaxPPS}
}

func (v *version1) run(ctx context.Context) error { return v.engine.Run(ctx) }

func (v *version1) prepare(cfg config.Config) (func(), error) {
	return func() { v.engine.Set(engineSettings(cfg)) }, nil
}

func (v *version1) alive(ctx context.Context) (string, error) {
	return "synchronizes, version 1 of the protocol", v.engine.Alive(ctx)
}

func (v *version1) counters() (all, troubles []counters.Group) {
	e := v.engine.Counters()
	return []counters.Group{e.Counts, e.Troubles, v.link.Received, v.link.Dropped, v.link.PeerErrors, v.ipvs.Counts, v.ipvs.Skipped, v.ipvs.Refused},
		[]counters.Group{e.Troubles, v.link.Dropped, v.ipvs.Skipped, v.ipvs.Refused}
}

func (v *version1) traffic() (t admin.Traffic) {
	e := v.engine.Counters()
	t.In = admin.Flow{
		Entries: v.ipvs.Counts.Value(ipvssync.Decoded),
		Frames:  v.link.Received.Value(transport.ReceivedDatagrams), Bytes: v.link.Received.Value(transport.ReceivedBytes),
	}
	t.Out = admin.Flow{
		Entries: v.ipvs.Counts.Value(ipvssync.Encoded),
		Frames:  e.Counts.Value(engine.SentAdverts), Bytes: e.Counts.Value(engine.SentBytes),
	}
	return t
}

func (v *version1) notCarried() map[block.Class]error { return nil }

func (v *version1) director() director { return nil }

func (v *version1) connections() admin.Connections { return nil }
