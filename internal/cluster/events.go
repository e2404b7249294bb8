package cluster

import (
	"context"
	"log/slog"

	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// observer logs what the node tells: it is peering.Observer.
type observer struct{ director *Director }

// levels of events; what is not here is slog.LevelInfo.
var levels = map[peering.Kind]slog.Level{
	peering.PeerLost:              slog.LevelWarn,
	peering.LinkSilent:            slog.LevelWarn,
	peering.TwinPeers:             slog.LevelError,
	peering.TwinOfOurs:            slog.LevelError,
	peering.ClonedWhileRunning:    slog.LevelError,
	peering.JoinedWithoutDonor:    slog.LevelWarn,
	peering.GapsGivenUp:           slog.LevelWarn,
	peering.SnapshotFailed:        slog.LevelWarn,
	peering.ServingFailedEvent:    slog.LevelWarn,
	peering.AnnouncingFailedEvent: slog.LevelWarn,
	peering.MTUTooSmall:           slog.LevelWarn,
}

// advice says what to do about it.
var advice = map[peering.Kind]string{
	peering.TwinPeers:          "give each director a wire.sender_id of its own, or a machine ID",
	peering.TwinOfOurs:         "give this director a wire.sender_id of its own, or a machine ID",
	peering.MTUTooSmall:        "lower the MTU of the link's interface, or mend the path; frames are smaller meanwhile",
	peering.ClonedWhileRunning: "this machine was cloned while it ran: starting anew; give the clone a machine ID of its own",
}

// Event is peering.Observer's.
func (o *observer) Event(e peering.Event) {
	d := o.director
	var attrs []any
	if e.Peer != (block.Peer{}) {
		attrs = append(attrs, "peer", e.Peer, "name", e.Name, "address", e.Origin.Addr.Addr(), "link", e.Origin.Link+1)
	}
	if e.Other != (block.Peer{}) {
		attrs = append(attrs, "other", e.Other, "other_name", e.OtherName, "other_address", e.OtherOrigin.Addr.Addr())
	}
	if e.Kind == peering.StateChanged {
		attrs = append(attrs, "from", e.From, "to", e.To)
	}
	if e.Missing > 0 {
		attrs = append(attrs, "refused_for_lack_of_a_service", e.Missing)
	}
	if e.Chunks > 0 {
		attrs = append(attrs, "chunks", e.Chunks)
	}
	if e.Room > 0 {
		attrs = append(attrs, "body", e.Room)
	}
	if e.Took > 0 {
		attrs = append(attrs, "took", e.Took)
	}
	if e.Err != nil {
		attrs = append(attrs, "error", e.Err)
	}
	if what := advice[e.Kind]; what != "" {
		attrs = append(attrs, "do", what)
	}
	level, ok := levels[e.Kind]
	if !ok {
		level = slog.LevelInfo
	}
	d.log.Log(context.Background(), level, e.Kind.String(), attrs...)
	if e.Kind == peering.ClonedWhileRunning {
		d.cloned = true
	}
}
