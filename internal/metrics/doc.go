// Package metrics tells Prometheus what a daemon counts and knows, and people
// the same at a glance, over HTTP. Nothing can be changed there.
//
// A counter group of the daemon is a metric of its name: ssyncp_GROUP_total,
// with the counter as the reason, where the group has the reasons of one thing;
// ssyncp_GROUP_COUNTER_total where its counters are of different things.
package metrics

import (
	"context"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

const namespace = "ssyncp_"

// Source is what is asked at every scrape.
type Source struct {
	// Status returns the counters even where it fails: then the director did
	// not answer.
	Status func(ctx context.Context) (admin.Status, error)
	// Module asks the kernel module.
	Module func() (chardev.Stats, error)
}
